/** The document behind an approval: what a voter rebuilds before he believes a hash. */
import { type Hex, keccak256, sha256, toHex } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex, utf8ToBytes } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import type { Kind } from '../approval.ts'

const evidenceSchema = z.strictObject({
  source: z.strictObject({
    repository: z.url({ protocol: /^(https|ssh|git)$/ }),
    /** The full id, not a branch or a tag that can be moved. */
    commit: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'a full commit id in lower case'),
  }),
  /** How to build the same bytes from that commit. */
  recipe: z.string().trim().min(1).max(2_000),
  /** What is measured, byte for byte, where it is a text: app-compose.json, an image's list of checksums. */
  manifest: z.string().min(1).max(65_536).optional(),
})

export type ApprovalEvidence = z.infer<typeof evidenceSchema>

/** Kinds whose id is the SHA-256 of their manifest. */
const hashedKinds: ReadonlySet<Kind> = new Set(['osImage', 'release'])

/** @throws EVIDENCE_INVALID */
export function parseEvidence(json: unknown): ApprovalEvidence {
  const parsed = evidenceSchema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new AssentError('EVIDENCE_INVALID', `Evidence: ${describeIssues(parsed.error)}`)
}

/**
 * The bytes that go on-chain: always the same for the same document, whatever the spacing of its file.
 *
 * @throws EVIDENCE_INVALID if the manifest is not that of `id`
 */
export function encodeEvidence(evidence: ApprovalEvidence, kind: Kind, id: Hex): Hex {
  const { source, recipe, manifest } = parseEvidence(evidence)
  if (manifest !== undefined) requireManifestOf(kind, id, manifest)
  const ordered = {
    source: { repository: source.repository, commit: source.commit },
    recipe,
    ...(manifest === undefined ? {} : { manifest }),
  }
  return toHex(JSON.stringify(ordered))
}

/** The hash that is approved must be the hash of what boots. */
export function requireManifestOf(kind: Kind, id: Hex, manifest: string): void {
  if (!hashedKinds.has(kind)) {
    throw new AssentError('EVIDENCE_INVALID', `A ${kind} has no manifest.`, { facts: { kind, id } })
  }
  const found = sha256(utf8ToBytes(manifest), 'hex')
  if (found === id.toLowerCase()) return
  throw new AssentError(
    'EVIDENCE_INVALID',
    'The manifest does not hash to what would be approved.',
    {
      facts: { kind, expected: id, found },
    },
  )
}

/** keccak256, as the registry keeps it. */
export function evidenceDigest(bytes: Hex): Hex {
  return keccak256(bytes)
}

/** The document in on-chain bytes; undefined if they are something else. */
export function readEvidence(bytes: Hex): ApprovalEvidence | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(fromHex(bytes, 'evidence'))
    return evidenceSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
