/**
 * `assent host list`: lists hosts with approval, end of the proof, TCB and admission. Reads the host registry, and its
 * events for hosts that are proven and not approved.
 */
import type { Address } from 'viem'
import { z } from 'zod'

import { stateAt } from '../../chain/approval.ts'
import { onChainStatuses } from '../../chain/governance/call-descriptions/kms.ts'
import { formatDeadline } from '../../chain/governance/format-time.ts'
import {
  type Host,
  listProvenHosts,
  readAdmission,
  readHost,
} from '../../chain/registries/hosts.ts'
import {
  countApprovals,
  type Listed,
  listApprovals,
  pageOfApprovals,
} from '../../chain/registries/registry.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import type { ArgumentsOf } from '../command.ts'
import type { list as command } from '../host.ts'
import { readCount } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { colorApproval } from '../output/approval-text.ts'
import { colors as pc } from '../output/colors.ts'
import { address, approvalSchema, approvalToJson, bytes32, unixTime } from '../output/json.ts'
import { progressOf } from '../output/output.ts'
import type { Session } from '../session/session.ts'

const hostSchema = approvalSchema({
  deviceId: bytes32,
  name: z.string().nullable().describe('in the profile'),
  operator: address.nullable().describe('null: never proven'),
  provenUntil: unixTime.describe('end of the proof; 0: never proven'),
  tcbStatus: z.string().nullable().describe('in the proof'),
  isAdmitted: z.boolean(),
  admittedUntil: unixTime.describe('unix seconds; 0: not admitted'),
})

export const listSchema = z.strictObject({
  total: z.int().nonnegative().describe('number of hosts that were ever approved or revoked'),
  offset: z.int().nonnegative(),
  hosts: z.array(hostSchema),
  unapproved: z
    .array(hostSchema)
    .nullable()
    .describe('proven and never approved; null: not searched'),
})

export const schema = listSchema

interface FoundHost extends Listed {
  readonly proof: Host
  readonly isAdmitted: boolean
  readonly validUntil: number
}

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { publicClient, output } = session
  const registry = requireDeployed(session, 'hosts')
  const offset = readCount(args.offset, '--offset')
  const limit = readCount(args.limit, '--limit')
  const total = await countApprovals(publicClient, registry, 'host')
  const page = await pageOfApprovals(publicClient, registry, 'host', { offset, limit })
  const hosts = await describeAll(session, registry, page)
  const unapproved = args.quick ? null : await findUnapproved(session, registry)

  output.heading(`${total} approved ${total === 1 ? 'host' : 'hosts'}, in order of first approval`)
  for (const host of hosts) printHost(session, host)
  if (unapproved !== null && unapproved.length > 0) {
    output.line()
    output.heading(`${unapproved.length} proven, and not approved`)
    for (const host of unapproved) printHost(session, host)
  }
  const toJson = (host: FoundHost) => hostToJson(session, host)
  return {
    total,
    offset,
    hosts: hosts.map(toJson),
    unapproved: unapproved === null ? null : unapproved.map(toJson),
  }
}

function hostToJson({ profile, now }: Session, { id, approval, proof, ...admission }: FoundHost) {
  const isProven = proof.attestedAt !== 0
  return {
    deviceId: id,
    name: nameOf(profile.names, id) ?? null,
    ...approvalToJson(approval, now),
    operator: isProven ? proof.operator : null,
    provenUntil: proof.expiresAt,
    tcbStatus: isProven ? (onChainStatuses[proof.status] ?? String(proof.status)) : null,
    isAdmitted: admission.isAdmitted,
    admittedUntil: admission.validUntil,
  }
}

async function describeAll(
  { publicClient }: Session,
  registry: Address,
  listed: readonly Listed[],
): Promise<FoundHost[]> {
  return mapWithConcurrency(listed, async ({ id, approval }) => {
    const [proof, admission] = await Promise.all([
      readHost(publicClient, registry, id),
      readAdmission(publicClient, registry, id),
    ])
    return { id, approval, proof, ...admission }
  })
}

/** Hosts that proved themselves and about which nothing was decided. They are only in events. */
async function findUnapproved(session: Session, registry: Address): Promise<FoundHost[]> {
  const { publicClient, deployment, output } = session
  const fromBlock = BigInt(deployment.contracts.hosts?.block ?? 0)
  const progress = progressOf(output, 'Searching for unapproved hosts')
  const proven = await listProvenHosts(publicClient, registry, fromBlock, progress)
  const known = new Set((await listApprovals(publicClient, registry, 'host')).map(({ id }) => id))
  const others = proven.filter(({ deviceId }) => !known.has(deviceId))
  const never = { activeFrom: 0, expiresAt: 0, suspendedUntil: 0, endedAt: 0 }
  return describeAll(
    session,
    registry,
    others.map(({ deviceId }) => ({
      id: deviceId,
      approval: { ...never, version: 0, index: 0, revoked: false },
    })),
  )
}

function printHost({ output, profile, now }: Session, host: FoundHost): void {
  const { id, approval, proof, isAdmitted, validUntil } = host
  const name = nameOf(profile.names, id)
  output.line(`  ${id}${name === undefined ? '' : `  ${name}`}`)
  const decided = stateAt(approval, now) === 'none' ? '' : `${colorApproval(approval, now)}; `
  output.line(`    ${decided}${describeProof(proof, now)}`)
  output.line(
    `    ${isAdmitted ? pc.green(`admitted until ${formatDeadline(validUntil, now)}`) : pc.red('not admitted')}`,
  )
}

function describeProof({ attestedAt, expiresAt, status, operator }: Host, now: number): string {
  if (attestedAt === 0) return 'never proven'
  const tcb = onChainStatuses[status] ?? status
  const end = `${expiresAt > now ? 'proven until' : 'the proof ended'} ${formatDeadline(expiresAt, now)}`
  return `${end}, TCB ${tcb}, operator ${operator}`
}

function nameOf(names: ReadonlyMap<string, string>, id: string): string | undefined {
  return [...names].find(([, known]) => known.toLowerCase() === id)?.[0]
}
