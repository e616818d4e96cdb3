import { type Address, zeroAddress } from 'viem'
import { z } from 'zod'
import { type AppState, readApp, readEpochs } from '../../chain/app.ts'
import { appKey, stateAt, states } from '../../chain/approval.ts'
import { recordedCodes } from '../../chain/deployments.ts'
import { formatVariants } from '../../chain/governance/call-descriptions/kms.ts'
import { formatDuration } from '../../chain/governance/format-time.ts'
import { type Listed, listApprovals, readApproval } from '../../chain/registry.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import type { status } from '../app.ts'
import type { ArgumentsOf } from '../command.ts'
import { requireApp } from '../input/contracts.ts'
import { describeApproval } from '../output/approval-text.ts'
import { address, approvalSchema, approvalToJson, bytes32, seconds } from '../output/json.ts'
import type { Output } from '../output/output.ts'
import type { Session } from '../session/session.ts'

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
    approvalSchema({
      id: bytes32,
      epochs: z.strictObject({ write: z.int(), read: z.int() }).describe('key epochs; 0: none'),
    }),
  ),
  devices: z.array(approvalSchema({ id: bytes32 })),
})

export async function run(args: ArgumentsOf<typeof status>, session: Session) {
  const { publicClient, output, addresses, now } = session
  const app = await requireApp(session, args.app)
  const facts = await readApp(publicClient, app)
  const registered = await readApproval(publicClient, addresses.kmsAuth, 'app', appKey(app))
  output.heading(`App ${app}`)
  output.line(`  registration: ${describeApproval(registered, now)}`)
  printRules(session, facts)
  const releases = await listReleases(session, app)
  printList(
    output,
    'release',
    releases.map((each) => describeRelease(each, now)),
  )
  const devices = await listApprovals(publicClient, app, 'device')
  printList(
    output,
    'device',
    devices.map((each) => describeListed(each, now)),
  )
  return {
    app,
    registration: stateAt(registered, now),
    ...facts,
    releases: releases.map(({ id, approval, epochs }) => ({
      id,
      ...approvalToJson(approval, now),
      epochs,
    })),
    devices: devices.map(({ id, approval }) => ({ id, ...approvalToJson(approval, now) })),
  }
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

interface Release extends Listed {
  readonly epochs: Awaited<ReturnType<typeof readEpochs>>
}

async function listReleases({ publicClient }: Session, app: Address): Promise<Release[]> {
  const listed = await listApprovals(publicClient, app, 'release')
  return mapWithConcurrency(listed, async (each) => ({
    ...each,
    epochs: await readEpochs(publicClient, app, each.id),
  }))
}

function printList(output: Output, kind: string, lines: readonly string[]): void {
  output.line()
  output.heading(`${lines.length} ${lines.length === 1 ? kind : `${kind}s`}`)
  for (const line of lines) output.line(line)
}

function describeListed({ id, approval }: Listed, now: number): string {
  return `  ${String(approval.index).padStart(3)}  ${id}  ${describeApproval(approval, now)}`
}

function describeRelease(release: Release, now: number): string {
  const { write, read } = release.epochs
  const line = describeListed(release, now)
  // a superseded release keeps the state of its own approval
  if (write === 0) {
    const isActive = stateAt(release.approval, now) === 'active'
    return `${line}${isActive ? ', superseded: it cannot boot and gets no keys' : ', no keys'}`
  }
  return `${line}, keys of epoch ${write}${read === write ? '' : `, reads from epoch ${read}`}`
}
