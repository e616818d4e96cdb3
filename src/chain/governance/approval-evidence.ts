/** Evidence documents: the source and build recipe from which a voter can rebuild an approved hash. */
import { type Hex, keccak256, sha256, toHex } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex, utf8ToBytes } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import type { Kind } from '../approval.ts'

const evidenceSchema = z.strictObject({
  source: z.strictObject({
    /** Printable ASCII: the URL parser ignores line ends and tabs, which would stay in the text. */
    repository: z
      .url({ protocol: /^(https|ssh|git)$/ })
      .max(2_000)
      .regex(/^[\x21-\x7e]+$/, 'a URL in printable ASCII characters'),
    /** The full id, not a branch or a tag that can be moved. */
    commit: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'a full commit id in lower case'),
  }),
  /** How to build the same bytes from that commit. */
  recipe: z.string().trim().min(1).max(2_000),
  /** The measured text, byte for byte: app-compose.json, or the checksum list of an image. */
  manifest: z.string().min(1).max(65_536).optional(),
})

/** An evidence document. */
export type ApprovalEvidence = z.infer<typeof evidenceSchema>

/** Kinds whose id is the SHA-256 of their manifest. */
const hashedKinds: ReadonlySet<Kind> = new Set(['osImage', 'release'])

/** Validates an evidence document. @throws EVIDENCE_INVALID */
export function parseEvidence(json: unknown): ApprovalEvidence {
  const parsed = evidenceSchema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new AssentError('EVIDENCE_INVALID', `Evidence: ${describeIssues(parsed.error)}`)
}

/**
 * Encodes an evidence document for the chain. Equal documents give equal bytes, independent of white space in the file.
 *
 * @throws EVIDENCE_INVALID if the SHA-256 of the manifest is not `id`
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

/** Checks that `id` is the SHA-256 of the manifest. @throws EVIDENCE_INVALID also for kinds without a manifest */
export function requireManifestOf(kind: Kind, id: Hex, manifest: string): void {
  if (!hashedKinds.has(kind)) {
    throw new AssentError('EVIDENCE_INVALID', `A ${kind} has no manifest.`, { facts: { kind, id } })
  }
  const found = sha256(utf8ToBytes(manifest), 'hex')
  if (found === id.toLowerCase()) return
  throw new AssentError(
    'EVIDENCE_INVALID',
    'The SHA-256 of the manifest is not the id to approve.',
    {
      facts: { kind, expected: id, found },
    },
  )
}

/** The keccak256 of evidence bytes, as the registry stores it. */
export function evidenceDigest(bytes: Hex): Hex {
  return keccak256(bytes)
}

/** Decodes evidence bytes, or returns undefined if they are not an evidence document. */
export function readEvidence(bytes: Hex): ApprovalEvidence | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(fromHex(bytes, 'evidence'))
    return evidenceSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
