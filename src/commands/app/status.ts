/**
 * `assent app status`: shows owner, rules, releases, devices, announced calls and the changes that time will bring.
 * Reads the app at the newest block and its events since `KmsAuth` was deployed; sends nothing.
 */
import { type Address, zeroAddress } from 'viem'
import { z } from 'zod'
import { appKey, stateAt, states } from '../../chain/approval.ts'
import { formatVariants } from '../../chain/governance/call-descriptions/kms.ts'
import { formatDeadline, formatDuration } from '../../chain/governance/format-time.ts'
import { recordedCodes } from '../../chain/record/deployments.ts'
import type { AppState } from '../../chain/registries/app.ts'
import { readApproval } from '../../chain/registries/registry.ts'
import { type ListedStatus, type ReleaseStatus, readAppStatus } from '../../chain/why/app-status.ts'
import type { status } from '../app.ts'
import type { ArgumentsOf } from '../command.ts'
import { requireApp } from '../input/contracts.ts'
import { colorApproval, colorState } from '../output/approval-text.ts'
import { address, approvalSchema, bytes32, seconds, unixTime } from '../output/json.ts'
import type { Output } from '../output/output.ts'
import type { Session } from '../session/session.ts'

const endsAt = unixTime.nullable().describe('unix seconds; null: it is not active, or has no end')

/** An approval, whose release can have been superseded. */
const listedSchema = approvalSchema({ id: bytes32, endsAt, found: z.string() }).extend({
  state: z.enum([...states, 'superseded']).describe('at the chain’s time'),
})

export const schema = z.strictObject({
  app: address,
  registration: z.enum(states),
  owner: address,
  pendingOwner: address.describe('zero: it is not offered'),
  guardian: address.describe('zero: there is none'),
  suspension: seconds,
  noticePeriod: seconds,
  allowAnyDevice: z.boolean(),
  requireTcbUpToDate: z.boolean(),
  variants: z.int().describe('bit n is number n of contracts/types/TeeVariant.sol'),
  implementation: address,
  releases: z.array(
    listedSchema.extend({
      epochs: z.strictObject({ write: z.int(), read: z.int() }).describe('key epochs; 0: none'),
    }),
  ),
  devices: z.array(listedSchema),
  announcements: z.array(
    z.strictObject({
      callDigest: bytes32.describe('keccak256 of the announced calldata'),
      call: z.string().nullable().describe('null: it cannot be recognised'),
      from: unixTime,
      until: unixTime,
    }),
  ),
  upcoming: z
    .array(z.strictObject({ at: unixTime, what: z.string() }))
    .describe('what happens without another transaction'),
})

export async function run(args: ArgumentsOf<typeof status>, session: Session) {
  const { publicClient, output, addresses, deployment, now } = session
  const app = await requireApp(session, args.app)
  const registered = await readApproval(publicClient, addresses.kmsAuth, 'app', appKey(app))
  // no app is older than its KmsAuth
  const fromBlock = BigInt(deployment.contracts.kmsAuth?.block ?? 0)
  const { releases, devices, announcements, upcoming, ...facts } = await readAppStatus(
    publicClient,
    app,
    { fromBlock, now },
  )
  output.heading(`App ${app}`)
  output.line(`  registration: ${colorApproval(registered, now)}`)
  printRules(session, facts)
  printList(output, 'release', releases.map(describeRelease))
  printList(output, 'device', devices.map(describeListed))
  printList(
    output,
    'announced call',
    announcements.map(
      ({ call, callDigest, from, until }) =>
        `  ${call ?? callDigest}: from ${formatDeadline(from, now)}, until ${formatDeadline(until, now)}`,
    ),
  )
  printList(
    output,
    'scheduled change',
    upcoming.map(({ at, what }) => `  ${formatDeadline(at, now)}: ${what}`),
  )
  return {
    ...facts,
    registration: stateAt(registered, now),
    releases: releases.map((each) => ({ ...listedToJson(each), epochs: each.epochs })),
    devices: devices.map(listedToJson),
    announcements: [...announcements],
    upcoming: [...upcoming],
  }
}

function listedToJson({ approval, ...listed }: ListedStatus) {
  const { id, state, found, endsAt: end } = listed
  return { ...approval, id, state, found, endsAt: end }
}

function printRules(session: Session, facts: AppState): void {
  const { output } = session
  const { pendingOwner, guardian, suspension, noticePeriod } = facts
  const offered = pendingOwner === zeroAddress ? '' : `, offered to ${pendingOwner}`
  output.line(`  owner     ${facts.owner}${offered}`)
  output.line(
    `  guardian  ${guardian === zeroAddress ? 'nobody' : `${guardian}, suspends for ${formatDuration(suspension)}`}`,
  )
  output.line(
    `  notice    ${noticePeriod === 0 ? 'none: changes of the owner take effect immediately' : formatDuration(noticePeriod)}`,
  )
  output.line(`  devices   ${facts.allowAnyDevice ? 'any' : 'approved ones only'}`)
  output.line(`  TCB       ${facts.requireTcbUpToDate ? 'must be up to date' : 'any'}`)
  output.line(`  hardware  ${formatVariants(facts.variants)}`)
  output.line(`  code      ${describeCode(session, facts.implementation)}`)
}

function describeCode({ deployment }: Session, address: Address): string {
  const codes = recordedCodes(deployment, 'app')
  const name = codes.find(([, code]) => code.address === address.toLowerCase())?.[0]
  return name === undefined ? `${address} (not in the deployment record)` : `${name} (${address})`
}

function printList(output: Output, name: string, lines: readonly string[]): void {
  output.line()
  output.heading(`${lines.length} ${lines.length === 1 ? name : `${name}s`}`)
  for (const line of lines) output.line(line)
}

function describeListed({ id, approval, state, found }: ListedStatus): string {
  const colored = state === 'superseded' ? state : colorState(state)
  const rest = found.startsWith(state) ? found.slice(state.length) : `: ${found}`
  return `  ${String(approval.index).padStart(3)}  ${id}  ${colored}${rest}`
}

function describeRelease(release: ReleaseStatus): string {
  const { write, read } = release.epochs
  const line = describeListed(release)
  if (write === 0) return `${line}, no keys`
  return `${line}, keys of epoch ${write}${read === write ? '' : `, reads from epoch ${read}`}`
}
