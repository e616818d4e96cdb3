/**
 * `assent dao approvals`: lists the approvals of a kind, or shows one with its evidence. Reads the registry of the
 * kind page by page, in the order of first approval.
 */
import { keccak256, parseEventLogs } from 'viem'
import { z } from 'zod'
import { approvalRegistryAbi } from '../../chain/abi.ts'
import { describeEvidence } from '../../chain/governance/call-descriptions/registry.ts'
import { kindLabel } from '../../chain/governance/call-descriptions/types.ts'
import { kindName, kinds, kindsByName } from '../../chain/kinds.ts'
import {
  countApprovals,
  pageOfApprovals,
  readApproval,
  readEvidenceDigest,
} from '../../chain/registries/registry.ts'
import { historyOf } from '../../chain/rpc/history.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { readRegistryOfKind } from '../calls/change-approvals.ts'
import type { ArgumentsOf } from '../command.ts'
import type { approvals } from '../dao.ts'
import { readCount } from '../input/arguments.ts'
import { type ListedKind, resolveId } from '../input/names.ts'
import { detailFields, readDetails } from '../output/approval-details.ts'
import { colorApproval } from '../output/approval-text.ts'
import { address, approvalSchema, approvalToJson, bytes, bytes32 } from '../output/json.ts'
import { progressOf } from '../output/output.ts'
import type { Session } from '../session/session.ts'

const kind = z.enum([...kindsByName.keys()])

const listSchema = z.strictObject({
  kind,
  registry: address,
  total: z.int(),
  offset: z.int(),
  approvals: z.array(approvalSchema({ id: bytes32 })),
})

export const oneSchema = approvalSchema({
  kind,
  id: bytes32,
  registry: address,
  evidenceDigest: bytes32.describe('zero: approved without evidence'),
  evidence: bytes.nullable(),
  ...detailFields,
})

export const schema = z.union([listSchema, oneSchema])

export async function run(args: ArgumentsOf<typeof approvals>, session: Session) {
  const listed = await readRegistryOfKind(session, args)
  if (args.id !== undefined)
    return showOne(session, listed, await resolveId(session, listed, args.id))
  const offset = readCount(args.offset, '--offset')
  return showPage(session, listed, { offset, limit: readCount(args.limit, '--limit') })
}

async function showPage(
  { publicClient, output, now }: Session,
  { kind, registry }: ListedKind,
  { offset, limit }: { offset: number; limit: number },
) {
  const total = await countApprovals(publicClient, registry, kind)
  const listed = await pageOfApprovals(publicClient, registry, kind, { offset, limit })
  const shown = listed.length === total ? '' : `; ${offset + 1} to ${offset + listed.length} shown`
  output.heading(
    `${total} of kind ${kindName(kind)}${total === 0 ? '' : shown}, in order of first approval`,
  )
  for (const { id, approval } of listed) output.line(`  ${id}  ${colorApproval(approval, now)}`)
  return {
    kind: kindName(kind),
    registry,
    total,
    offset,
    approvals: listed.map(({ id, approval }) => ({ id, ...approvalToJson(approval, now) })),
  }
}

async function showOne(session: Session, { kind, registry }: ListedKind, id: Hex) {
  const { publicClient, output, now } = session
  const approval = await readApproval(publicClient, registry, kind, id)
  const digest = await readEvidenceDigest(publicClient, registry, kind, id)
  const evidence = await findEvidence(session, { kind, registry, id, digest })
  const details = await readDetails(session, { kind, registry, id })
  output.heading(`${kindLabel(kinds[kind])} ${id}`)
  output.line(`  ${colorApproval(approval, now)}`)
  if (approval.version > 0)
    output.line(`  version ${approval.version}, number ${approval.index} of its kind`)
  if (evidence !== undefined) output.line(`  ${describeEvidence(evidence)}`)
  else if (approval.version > 0) output.line('  without evidence')
  for (const line of details.lines) output.line(`  ${line}`)
  return {
    kind: kindName(kind),
    id,
    registry,
    ...approvalToJson(approval, now),
    evidenceDigest: digest,
    evidence: evidence ?? null,
    ...details.json,
  }
}

/** Evidence is only in an event; it is compared with the digest in storage, so that an endpoint cannot show another. */
async function findEvidence(
  { publicClient, deployment, output }: Session,
  { kind, registry, id, digest }: ListedKind & { id: Hex; digest: Hex },
): Promise<Hex | undefined> {
  if (/^0x0+$/.test(digest)) return undefined
  const recorded = Object.values(deployment.contracts)
  const block =
    recorded.find((each) => each.address === registry.toLowerCase())?.block ??
    deployment.contracts.kmsAuth?.block ??
    0
  const logs = parseEventLogs({
    abi: approvalRegistryAbi,
    eventName: 'ApprovalGiven',
    logs: await historyOf(publicClient, registry, BigInt(block), {
      abi: approvalRegistryAbi,
      events: ['ApprovalGiven'],
      args: { kind: kinds[kind], id },
      onProgress: progressOf(output, 'Searching for its evidence'),
    }),
  })
  const given = logs.filter(({ args }) => args.kind === kinds[kind] && args.id === id)
  const found = given
    .map(({ args }) => args.evidence)
    .findLast((each) => keccak256(each) === digest)
  if (found !== undefined) return found
  throw new AssentError(
    'CHAIN_ANSWER_INVALID',
    'The endpoint did not return the evidence whose digest is stored.',
    { facts: { registry, kind, id, digest } },
  )
}
