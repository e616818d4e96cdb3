import { dirname, join } from 'node:path'

import { type Address, sha256 } from 'viem'
import { z } from 'zod'

import type { Kind } from '../src/chain/approval.ts'
import type { Call } from '../src/chain/call.ts'
import { encodeEvidence, parseEvidence } from '../src/chain/governance/approval-evidence.ts'
import {
  type ApprovalTerms,
  approve,
  extend,
  lift,
  markExpired,
  registryOf,
  revoke,
  shorten,
  suspend,
  withdraw,
} from '../src/chain/registry.ts'
import { AssentError } from '../src/errors/index.ts'
import type { Hex } from '../src/lib/bytes.ts'
import { describeIssues } from '../src/lib/config.ts'
import { action } from './action.ts'
import { readIdOf, readJson, readKind, readText, readTime } from './arguments.ts'
import { type OwnerArguments, readNotAfter, sendCalls, submitCalls } from './execute-plan.ts'
import { requireApp, type Session } from './session.ts'

interface Things extends OwnerArguments {
  readonly kind: string
  readonly ids: readonly string[]
  readonly app?: string
}

interface Approving extends Things {
  readonly evidence?: string
  readonly manifest?: string
  readonly activeFrom?: string
  readonly expiresAt?: string
}

export const approveIds = action<Approving>(async (args, session) => {
  const { kind, ids, registry } = await readApprovalArguments(args, session)
  if (args.manifest !== undefined && args.evidence === undefined) {
    throw new AssentError(
      'USAGE_INVALID',
      '--manifest is a part of the evidence and needs --evidence.',
    )
  }
  const document = await readEvidenceFile(args)
  const terms = ids.map((id) => ({
    kind,
    id,
    ...(args.activeFrom ? { activeFrom: readTime(args.activeFrom, '--active-from') } : {}),
    ...(args.expiresAt ? { expiresAt: readTime(args.expiresAt, '--expires-at') } : {}),
    ...(document === undefined ? {} : { evidence: encodeEvidence(document, kind, id) }),
  }))
  const call = approve(registry, terms, await readNotAfter(args, session))
  return submitCalls(session, [call], args)
})

async function readEvidenceFile({ evidence, manifest }: Approving) {
  if (evidence === undefined) return undefined
  const document = parseEvidence(await readJson(evidence))
  return manifest === undefined ? document : { ...document, manifest: await readText(manifest) }
}

/* A LIST */

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

interface ApprovingList extends OwnerArguments {
  readonly file: string
}

export const approveList = action<ApprovingList>(async (args, session) => {
  const parsed = listSchema.safeParse(await readJson(args.file))
  if (!parsed.success) {
    throw new AssentError('INPUT_INVALID', `${args.file}: ${describeIssues(parsed.error)}`)
  }
  const byRegistry = new Map<Address, ApprovalTerms[]>()
  for (const each of parsed.data.approve) {
    const kind = readKind(each.kind)
    const app = each.app === undefined ? undefined : await requireApp(session, each.app)
    const registry = registryOf(session.addresses, kind, app)
    const terms = byRegistry.get(registry) ?? []
    byRegistry.set(registry, [...terms, await readTerms(kind, each, dirname(args.file))])
  }
  const notAfter = await readNotAfter(args, session)
  const calls = [...byRegistry].map(([registry, terms]) => approve(registry, terms, notAfter))
  const { title, reason } = parsed.data
  return submitCalls(session, calls, {
    ...args,
    ...(args.title === undefined && title !== undefined ? { title } : {}),
    ...(args.reason === undefined && reason !== undefined ? { reason } : {}),
  })
})

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
      {
        facts: { kind, expected: found, found: hashed },
      },
    )
  }
  return found
}

function evidenceOf(kind: Kind, id: Hex, document: unknown, manifest: string | undefined): Hex {
  const evidence = parseEvidence(document)
  return encodeEvidence(manifest === undefined ? evidence : { ...evidence, manifest }, kind, id)
}

/* CHANGES */

export const extendApprovals = action<Things & { until?: string }>(async (args, session) => {
  const { kind, ids, registry } = await readApprovalArguments(args, session)
  const until = requireOption(args.until, '--until')
  const expiresAt = until === 'never' ? 0 : readTime(until, '--until')
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [extend(registry, kind, ids, { expiresAt, notAfter })], args)
})

export const shortenApprovals = action<Things & { at?: string }>(async (args, session) => {
  const { kind, ids, registry } = await readApprovalArguments(args, session)
  const at = readTime(requireOption(args.at, '--at'), '--at')
  return submitCalls(session, [shorten(registry, kind, ids, at)], args)
})

export const withdrawApprovals = changing(withdraw)
export const revokeIds = changing(revoke)
export const suspendApprovals = changing(suspend)

export const liftSuspensions = action<Things>(async (args, session) => {
  const { kind, ids, registry } = await readApprovalArguments(args, session)
  const call = lift(registry, kind, ids, await readNotAfter(args, session))
  return submitCalls(session, [call], args)
})

export const markApprovalsExpired = action<Things>(async (args, session) => {
  const { kind, ids, registry } = await readApprovalArguments(args, session)
  return sendCalls(session, [markExpired(registry, kind, ids)], args)
})

function changing(change: (registry: Address, kind: Kind, ids: readonly Hex[]) => Call) {
  return action<Things>(async (args, session) => {
    const { kind, ids, registry } = await readApprovalArguments(args, session)
    return submitCalls(session, [change(registry, kind, ids)], args)
  })
}

export function requireOption(value: string | undefined, option: string): string {
  if (value !== undefined) return value
  throw new AssentError('USAGE_INVALID', `The option ${option} is missing.`, { facts: { option } })
}

async function readApprovalArguments(
  args: Things,
  session: Session,
): Promise<{ kind: Kind; ids: Hex[]; registry: Address }> {
  const kind = readKind(args.kind)
  const app = args.app === undefined ? undefined : await requireApp(session, args.app)
  const registry = registryOf(session.addresses, kind, app)
  return { kind, ids: args.ids.map((text) => readIdOf(kind, text)), registry }
}
