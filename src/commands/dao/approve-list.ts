/**
 * `assent dao approve-list`: proposes all approvals of a JSON file together. Reads the file and the evidence
 * documents that it names (paths are relative to it), and submits one call for each registry.
 */
import { dirname, join } from 'node:path'
import { type Address, sha256 } from 'viem'
import { z } from 'zod'
import { encodeEvidence, parseEvidence } from '../../chain/governance/approval-evidence.ts'
import type { Kind } from '../../chain/kinds.ts'
import { type ApprovalTerms, approve } from '../../chain/registries/registry.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { readRegistryOfKind } from '../calls/change-approvals.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { approveList } from '../dao.ts'
import { readIdOf, readText, readTime } from '../input/arguments.ts'
import { readBy } from '../input/dao-file.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

const timeSchema = z.string().transform((text) => readTime(text, 'time'))

const listSchema = z.strictObject({
  title: z.string().min(1).max(200).optional(),
  reason: z.string().min(1).max(20_000).optional(),
  approve: z
    .array(
      z.strictObject({
        kind: z.string(),
        id: z.string().optional(),
        app: z.string().optional(),
        /** Path relative to the folder of the list; the SHA-256 of this file is the id. */
        manifestFile: z.string().optional(),
        evidence: z.unknown().optional(),
        activeFrom: timeSchema.optional(),
        expiresAt: timeSchema.optional(),
      }),
    )
    .min(1),
})

type Listed = z.infer<typeof listSchema>['approve'][number]

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof approveList>, session: Session) {
  const { approve: list, title, reason } = await readBy(listSchema, args.file)
  const byRegistry = new Map<Address, ApprovalTerms[]>()
  for (const each of list) {
    const { kind, registry } = await readRegistryOfKind(session, { kind: each.kind, app: each.app })
    const terms = byRegistry.get(registry) ?? []
    byRegistry.set(registry, [...terms, await readTerms(kind, each, dirname(args.file))])
  }
  const notAfter = await readNotAfter(args, session)
  const calls = [...byRegistry].map(([registry, terms]) => approve(registry, terms, notAfter))
  return submitCalls(session, calls, {
    ...args,
    title: args.title ?? title,
    reason: args.reason ?? reason,
  })
}

async function readTerms(kind: Kind, listed: Listed, folder: string): Promise<ApprovalTerms> {
  const { manifestFile, activeFrom, expiresAt } = listed
  const manifest =
    manifestFile === undefined ? undefined : await readText(join(folder, manifestFile))
  const id = requireId(kind, listed, manifest)
  return {
    kind,
    id,
    ...(activeFrom === undefined ? {} : { activeFrom }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(listed.evidence === undefined
      ? {}
      : { evidence: evidenceOf(kind, id, listed.evidence, manifest) }),
  }
}

/** Given, or the hash of the manifest; if both, they must agree. */
function requireId(kind: Kind, { id }: Listed, manifest: string | undefined): Hex {
  const hashed = manifest === undefined ? undefined : sha256(Buffer.from(manifest, 'utf8'))
  const given = id === undefined ? undefined : readIdOf(kind, id)
  const found = given ?? hashed
  if (found === undefined) {
    throw new AssentError(
      'INPUT_INVALID',
      `An entry of the kind ${kind} has neither id nor manifestFile.`,
    )
  }
  if (hashed !== undefined && hashed !== found) {
    throw new AssentError(
      'EVIDENCE_INVALID',
      'The SHA-256 of a manifest is not the id of its entry.',
      { facts: { kind, expected: found, found: hashed } },
    )
  }
  return found
}

function evidenceOf(kind: Kind, id: Hex, document: unknown, manifest: string | undefined): Hex {
  const evidence = parseEvidence(document)
  return encodeEvidence(manifest === undefined ? evidence : { ...evidence, manifest }, kind, id)
}
