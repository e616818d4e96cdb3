import { type Address, formatUnits, keccak256, parseEventLogs, zeroAddress } from 'viem'

import { approvalRegistryAbi, hostsAbi } from '../src/chain/abi.ts'
import { readApp, readEpochs } from '../src/chain/app.ts'
import { type Approval, type Kind, kinds, stateAt } from '../src/chain/approval.ts'
import { type Bond, readBond, readBondTerms } from '../src/chain/bonds.ts'
import { toChainError } from '../src/chain/call.ts'
import { recordedCodes } from '../src/chain/deployments.ts'
import { formatVariants, onChainStatuses } from '../src/chain/governance/call-descriptions/kms.ts'
import { describeEvidence } from '../src/chain/governance/call-descriptions/registry.ts'
import { kindLabel } from '../src/chain/governance/call-descriptions/types.ts'
import { formatDeadline, formatDuration, formatTime } from '../src/chain/governance/format-time.ts'
import { timelockDelay } from '../src/chain/governance/governance.ts'
import { listProposals, readDaoSettings, votesNow } from '../src/chain/governance/proposals.ts'
import { historyOf } from '../src/chain/history.ts'
import { readAdmission, readHost } from '../src/chain/hosts.ts'
import { kindName } from '../src/chain/kinds.ts'
import {
  countApprovals,
  listApprovals,
  pageOfApprovals,
  readApproval,
  readEvidenceDigest,
  readGuardian,
  registryOf,
} from '../src/chain/registry.ts'
import { readProof } from '../src/chain/root-keys.ts'
import { colors as pc } from '../src/commands/output/colors.ts'
import { AssentError } from '../src/errors/index.ts'
import type { Hex } from '../src/lib/bytes.ts'
import { mapWithConcurrency } from '../src/lib/map-with-concurrency.ts'
import { action } from './action.ts'
import { readAddress, readCount, readIdOf, readKind } from './arguments.ts'
import {
  type CommonArguments,
  progressOf,
  requireApp,
  requireGovernor,
  type Session,
} from './session.ts'

interface Showing extends CommonArguments {
  readonly kind?: string
  readonly id?: string
  readonly app?: string
  readonly offset: string
  readonly limit: string
}

export const showApprovals = action<Showing>(async (args, session) => {
  if (args.kind === undefined) return showDeployment(session)
  const kind = readKind(args.kind)
  const app = args.app === undefined ? undefined : await requireApp(session, args.app)
  const registry = registryOf(session.addresses, kind, app)
  if (args.id !== undefined) return showOne(session, registry, kind, readIdOf(kind, args.id))
  const offset = readCount(args.offset, '--offset')
  return showPage(session, registry, kind, { offset, limit: readCount(args.limit, '--limit') })
})

/* THE DEPLOYMENT */

async function showDeployment(session: Session): Promise<unknown> {
  const { output, name, chainId, deployment, addresses, publicClient } = session
  output.heading(`Assent on ${name} (chain ${chainId}), commit ${deployment.commit}`)
  for (const [contract, { address, block }] of Object.entries(deployment.contracts)) {
    output.line(`  ${contract.padEnd(24)} ${address}  block ${block}`)
  }
  const kindsHere = (Object.keys(kinds) as Kind[]).filter(
    (kind) => kind !== 'release' && kind !== 'device',
  )
  const counts: Record<string, Record<string, number>> = {}
  output.line()
  output.heading('Approvals, ever')
  const lists = await mapWithConcurrency(kindsHere, async (kind) => {
    const registry = registryIfDeployed(session, kind)
    return registry === undefined ? undefined : listApprovals(publicClient, registry, kind)
  })
  for (const [i, kind] of kindsHere.entries()) {
    const listed = lists[i]
    if (listed === undefined) continue
    const states = listed.map(({ approval }) => stateAt(approval, session.now))
    const tally = Object.fromEntries(
      [...new Set(states)].map((state) => [state, states.filter((each) => each === state).length]),
    )
    counts[kindName(kind)] = tally
    const words = Object.entries(tally).map(([state, count]) => `${count} ${state}`)
    output.line(`  ${kindName(kind).padEnd(24)} ${words.join(', ') || 'none'}`)
  }
  const { total } = await listProposals(publicClient, addresses.governor, { offset: 0, limit: 0 })
  output.line(`  ${'proposals'.padEnd(24)} ${total}`)
  return { chainId, commit: deployment.commit, addresses, approvals: counts, proposals: total }
}

function registryIfDeployed({ addresses }: Session, kind: Kind): Address | undefined {
  try {
    return registryOf(addresses, kind)
  } catch {
    return undefined
  }
}

/* THINGS */

async function showPage(
  session: Session,
  registry: Address,
  kind: Kind,
  { offset, limit }: { offset: number; limit: number },
): Promise<unknown> {
  const { publicClient, output, now } = session
  const total = await countApprovals(publicClient, registry, kind)
  const listed = await pageOfApprovals(publicClient, registry, kind, { offset, limit })
  const shown = listed.length === total ? '' : `; ${offset + 1} to ${offset + listed.length} shown`
  output.heading(
    `${total} of kind ${kindName(kind)}${total === 0 ? '' : shown}, in order of first approval`,
  )
  for (const { id, approval } of listed) printApproval(session, id, approval)
  return {
    kind: kindName(kind),
    registry,
    total,
    offset,
    things: listed.map(({ id, approval }) => ({ id, state: stateAt(approval, now), ...approval })),
  }
}

function printApproval({ output, now }: Session, id: Hex, approval: Approval): void {
  output.line(`  ${id}  ${stateInColor(approval, now)}${formatTimes(approval, now)}`)
}

function stateInColor(approval: Approval, now: number): string {
  const state = stateAt(approval, now)
  if (state === 'active') return pc.green(state)
  return state === 'pending' ? pc.yellow(state) : pc.red(state)
}

/** Only the times that matter in its state. */
export function formatTimes(approval: Approval, now: number): string {
  const { activeFrom, expiresAt, suspendedUntil, endedAt } = approval
  const end = expiresAt === 0 ? 'without an end' : `until ${formatDeadline(expiresAt, now)}`
  switch (stateAt(approval, now)) {
    case 'none':
      return ', never approved'
    case 'pending':
      return `, active from ${formatDeadline(activeFrom, now)}, ${end}`
    case 'active':
      return ` since ${formatTime(activeFrom)}, ${end}`
    case 'expired':
      return ` since ${formatDeadline(expiresAt, now)}`
    case 'suspended':
      return ` until ${formatDeadline(suspendedUntil, now)}, then active again unless it is withdrawn or revoked`
    default:
      return ` since ${formatDeadline(endedAt, now)}`
  }
}

async function showOne(session: Session, registry: Address, kind: Kind, id: Hex): Promise<unknown> {
  const { publicClient, output, now } = session
  const approval = await readApproval(publicClient, registry, kind, id)
  const digest = await readEvidenceDigest(publicClient, registry, kind, id)
  output.heading(`${kindLabel(kinds[kind])} ${id}`)
  output.line(`  ${stateInColor(approval, now)}${formatTimes(approval, now)}`)
  if (approval.version > 0)
    output.line(`  version ${approval.version}, number ${approval.index} of its kind`)
  const evidence = await findEvidence(session, registry, kind, id, digest)
  if (evidence !== undefined) output.line(`  ${describeEvidence(evidence)}`)
  else if (approval.version > 0) output.line('  on no evidence')
  const more = await detailsOf(session, registry, kind, id)
  return {
    kind: kindName(kind),
    id,
    registry,
    state: stateAt(approval, now),
    ...approval,
    evidenceDigest: digest,
    evidence: evidence ?? null,
    ...more,
  }
}

/** Evidence is only in an event; it is compared with the digest in storage, so that an endpoint cannot show another. */
async function findEvidence(
  { publicClient, deployment, output }: Session,
  registry: Address,
  kind: Kind,
  id: Hex,
  digest: Hex,
): Promise<Hex | undefined> {
  if (/^0x0+$/.test(digest)) return undefined
  const recorded = Object.values(deployment.contracts)
  const block =
    recorded.find(({ address }) => address === registry.toLowerCase())?.block ??
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
    {
      facts: { registry, kind, id, digest },
    },
  )
}

async function detailsOf(
  session: Session,
  registry: Address,
  kind: Kind,
  id: Hex,
): Promise<Record<string, unknown>> {
  const { publicClient, output, now } = session
  if (kind === 'release') {
    const { write, read } = await readEpochs(publicClient, registry, id)
    output.line(
      write === 0
        ? '  it cannot boot now and gets no keys'
        : `  it writes with the keys of epoch ${write} and reads from epoch ${read}`,
    )
    return { epochs: { write, read } }
  }
  if (kind === 'host') {
    const host = await readHost(publicClient, registry, id)
    const { isAdmitted, holdsUntil } = await readAdmission(publicClient, registry, id)
    if (host.attestedAt === 0) output.line('  no proof')
    else {
      output.line(
        `  proven ${formatDeadline(host.attestedAt, now)} by ${host.operator}, TCB ${onChainStatuses[host.status] ?? host.status}`,
      )
      output.line(`  the host proof is valid until ${formatDeadline(host.expiresAt, now)}`)
    }
    const bond = await bondOf(session, registry, id, host.operator)
    if (bond !== undefined) {
      output.line(
        `  bond of its operator: ${bond.bonded} of the ${bond.minimum} units that are asked`,
      )
    }
    output.line(
      isAdmitted
        ? `  admitted${holdsUntil === 0 ? '' : ` until ${formatDeadline(holdsUntil, now)}`}`
        : '  not admitted',
    )
    return { proof: host, isAdmitted, holdsUntil, ...(bond === undefined ? {} : { bond }) }
  }
  if (kind === 'rootKey') {
    const proof = await readProof(publicClient, registry, id)
    output.line(
      proof.provenAt === 0
        ? '  no proof'
        : `  proven ${formatDeadline(proof.provenAt, now)} on device ${proof.deviceId} by measurement ${proof.mrAggregated}; ${proof.epoch === 0 ? 'opened no epoch yet' : `epoch ${proof.epoch}`}`,
    )
    return { proof }
  }
  return {}
}

/** The bond of a host's operator; undefined if no bond is required. */
async function bondOf(
  { publicClient }: Session,
  hosts: Address,
  deviceId: Hex,
  operator: Address,
): Promise<(Bond & { minimum: bigint }) | undefined> {
  const bonds = await publicClient
    .readContract({ address: hosts, abi: hostsAbi, functionName: 'bonds' })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read whom hosts ask for bonds')
    })
  if (isNobody(bonds)) return undefined
  const { minimum } = await readBondTerms(publicClient, bonds)
  return { ...(await readBond(publicClient, bonds, deviceId, operator)), minimum }
}

/* APP AND DAO */

export const showApp = action<CommonArguments & { app: string }>(async (args, session) => {
  const { publicClient, output, addresses, now } = session
  const app = await requireApp(session, args.app)
  const facts = await readApp(publicClient, app)
  const registered = await readApproval(
    publicClient,
    addresses.kmsAuth,
    'app',
    readIdOf('app', app),
  )
  output.heading(`App ${app}`)
  output.line(`  registration: ${stateInColor(registered, now)}${formatTimes(registered, now)}`)
  output.line(
    `  owner     ${facts.owner}${isNobody(facts.pendingOwner) ? '' : `, offered to ${facts.pendingOwner}`}`,
  )
  output.line(
    `  guardian  ${isNobody(facts.guardian) ? 'nobody' : `${facts.guardian}, suspends for ${formatDuration(facts.suspension)}`}`,
  )
  output.line(
    `  notice    ${facts.noticePeriod === 0 ? 'none: changes of the owner take effect immediately' : formatDuration(facts.noticePeriod)}`,
  )
  output.line(`  devices   ${facts.allowAnyDevice ? 'any' : 'approved ones only'}`)
  output.line(`  TCB       ${facts.requireTcbUpToDate ? 'must be up to date' : 'any'}`)
  output.line(`  hardware  ${formatVariants(facts.variants)}`)
  output.line(`  code      ${describeCode(session, facts.implementation)}`)
  const lists: Record<string, unknown> = {}
  for (const kind of ['release', 'device'] satisfies Kind[]) {
    const listed = await listApprovals(publicClient, app, kind)
    output.line()
    output.heading(`${listed.length} ${listed.length === 1 ? kind : `${kind}s`}`)
    const epochs = new Map<Hex, Epochs>()
    if (kind === 'release') {
      const read = await mapWithConcurrency(listed, ({ id }) => readEpochs(publicClient, app, id))
      listed.forEach(({ id }, i) => {
        epochs.set(id, read[i] as Epochs)
      })
    }
    for (const { id, approval } of listed) {
      output.line(
        `  ${String(approval.index).padStart(3)}  ${id}  ${stateInColor(approval, now)}${formatTimes(approval, now)}${formatEpochs(epochs.get(id), stateAt(approval, now))}`,
      )
    }
    lists[`${kind}s`] = listed.map(({ id, approval }) => ({
      id,
      state: stateAt(approval, now),
      ...approval,
      ...(epochs.has(id) ? { epochs: epochs.get(id) } : {}),
    }))
  }
  return { app, registration: stateAt(registered, now), ...facts, ...lists }
})

function describeCode({ deployment }: Session, address: Address): string {
  const codes = recordedCodes(deployment, 'app')
  const name = codes.find(([, code]) => code.address === address.toLowerCase())?.[0]
  return name === undefined ? `${address} (not in the deployment record)` : `${name} (${address})`
}

type Epochs = Awaited<ReturnType<typeof readEpochs>>

/** The key epochs of a release, as a suffix. */
function formatEpochs(epochs: Epochs | undefined, state: string): string {
  if (epochs === undefined) return ''
  const { write, read } = epochs
  // a superseded release keeps the state of its own approval
  if (write === 0)
    return state === 'active' ? ', superseded: it cannot boot and gets no keys' : ', no keys'
  return `, keys of epoch ${write}${read === write ? '' : `, reads from epoch ${read}`}`
}

function isNobody(address: Address): boolean {
  return /^0x0+$/.test(address)
}

export const showDao = action<CommonArguments & { governor?: string; account?: string }>(
  async (args, session) => {
    const { publicClient, output } = session
    const governor = await requireGovernor(session, args.governor)
    const settings = await readDaoSettings(publicClient, governor)
    const delay = await timelockDelay(publicClient, settings.timelock)
    const { votingDelay, votingPeriod, lateQuorumExtension, quorumPercent } = settings
    const { proposalThreshold, supply, tokenSymbol, guardian, timelock, token } = settings
    output.heading(`The DAO of governor ${governor}`)
    output.line(`  votes      ${formatUnits(supply, 18)} ${tokenSymbol} (${token})`)
    output.line(`  to propose ${formatUnits(proposalThreshold, 18)} ${tokenSymbol}`)
    output.line(`  quorum     ${quorumPercent} percent`)
    output.line(
      `  course     ${formatDuration(votingDelay)} until the vote, ${formatDuration(votingPeriod)} of voting (${formatDuration(lateQuorumExtension)} more if the quorum comes late), ${formatDuration(delay)} in the timelock`,
    )
    output.line(`  timelock   ${timelock}`)
    output.line(`  guardian   ${guardian ?? 'nobody; each proposer can cancel its own proposal'}`)
    const account = args.account === undefined ? undefined : readAddress(args.account, '--account')
    if (account === undefined) return { governor, ...settings, timelockDelay: delay }
    const votes = await votesNow(publicClient, token, account)
    output.line(
      `  ${account} has ${formatUnits(votes, 18)} votes${votes >= proposalThreshold ? ' and can propose' : ''}`,
    )
    return { governor, ...settings, timelockDelay: delay, account, votes }
  },
)

/* THE GUARDIAN */

export const showGuardian = action<CommonArguments>(async (_, session) => {
  const { publicClient, addresses, output, now } = session
  const { guardian } = await readDaoSettings(publicClient, addresses.governor)
  output.heading(guardian === undefined ? 'There is no proposal guardian' : `Guardian ${guardian}`)
  output.line(
    `  can cancel any proposal except one that only sets guardians, and can suspend for a limited time:`,
  )
  const registries: Record<string, unknown> = {}
  for (const name of ['kmsAuth', 'images', 'hosts', 'rootKeys'] as const) {
    const registry = addresses[name]
    if (registry === undefined) continue
    const post = await readGuardian(publicClient, registry)
    const isSame = post.guardian.toLowerCase() === (guardian ?? zeroAddress).toLowerCase()
    const who = isNobody(post.guardian) ? 'nobody' : post.guardian
    output.line(
      `  ${name.padEnd(10)} ${formatDuration(post.suspension)}${isSame ? '' : `, by ${who}`}`,
    )
    if (!isSame)
      output.warning(
        `    Not the proposal guardian. assent set-guardian sets all guardians together.`,
      )
    registries[name] = post
  }
  output.line()
  const suspended = await listSuspended(session)
  output.heading(`${suspended.length} suspended now`)
  for (const { kind, id, approval } of suspended) {
    output.line(
      `  ${kindName(kind)} ${id}  ${stateInColor(approval, now)}${formatTimes(approval, now)}`,
    )
  }
  return {
    guardian: guardian ?? null,
    registries,
    suspended: suspended.map(({ kind, id, approval }) => ({
      kind: kindName(kind),
      id,
      ...approval,
    })),
  }
})

/** Suspensions in the DAO's registries; show-app shows those of apps. */
async function listSuspended(session: Session) {
  const found: { kind: Kind; id: Hex; approval: Approval }[] = []
  for (const kind of Object.keys(kinds) as Kind[]) {
    const registry =
      kind === 'release' || kind === 'device' ? undefined : registryIfDeployed(session, kind)
    if (registry === undefined) continue
    const listed = await listApprovals(session.publicClient, registry, kind)
    for (const { id, approval } of listed) {
      if (stateAt(approval, session.now) === 'suspended') found.push({ kind, id, approval })
    }
  }
  return found
}
