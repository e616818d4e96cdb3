/** The whole state of an app: who decides, its rules, its releases and devices, and what changes when. */
import { type Address, keccak256, type PublicClient, parseEventLogs } from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import { appAbi } from '../abi.ts'
import { type Approval, type State, stateAt } from '../approval.ts'
import { toChainError } from '../call.ts'
import { appSlots, readAppRules } from '../proven/slots.ts'
import {
  type AppState,
  readApp,
  readEpochs,
  setAllowAnyDevice,
  setRequireTcbUpToDate,
  setVariants,
} from '../registries/app.ts'
import { type Listed, listApprovals, readApproval } from '../registries/registry.ts'
import { historyOf } from '../rpc/history.ts'
import { readStateOf } from '../rpc/state-reader.ts'
import { describeApproval } from './describe-approval.ts'
import { supersessionOf } from './describe-conditions.ts'

/** An approval of the app, in words and with its next change. */
export interface ListedStatus {
  /** Compose hash of a release, or device id: 32 bytes. */
  readonly id: Hex
  /** The stored approval; `stateAt` gives its state at a time. */
  readonly approval: Approval
  /** `superseded`: the approval is active, but a supersession ended the release. */
  readonly state: State | 'superseded'
  /** For example `active since …, superseded by release 4 from …`. */
  readonly found: string
  /** When it stops to be active without a transaction, unix seconds; null: it is not active, or has no end. */
  readonly endsAt: number | null
}

/** A release of an app with the key epochs that its boots get. */
export interface ReleaseStatus extends ListedStatus {
  /** Key epochs; 0: none. */
  readonly epochs: { readonly write: number; readonly read: number }
}

/** A call that the owner announced because the app has a notice period. */
export interface Announcement {
  /** keccak256 of the calldata. */
  readonly callDigest: Hex
  /** The call in words; null for a call that is not recognised. */
  readonly call: string | null
  /** First second in which it can be executed, and the first in which it cannot any more. Unix seconds. */
  readonly from: number
  /** Unix seconds: the first second in which it cannot be executed any more, 30 days after `from`. */
  readonly until: number
}

/**
 * Everything that `assent app status` shows: rules, releases, devices, announced calls and coming changes of an app.
 */
export interface AppStatus extends AppState {
  readonly app: Address
  /** In the order of first approval, with all states. */
  readonly releases: readonly ReleaseStatus[]
  /** In the order of first approval, with all states. Without effect while the app allows any device. */
  readonly devices: readonly ListedStatus[]
  /** Announced calls that were neither made nor have lapsed. */
  readonly announcements: readonly Announcement[]
  /** Changes that happen without another transaction, in order of time. */
  readonly upcoming: readonly { readonly at: number; readonly what: string }[]
}

/** Seconds for which an announced call can be executed (`ACTION_WINDOW` of the contract). */
const actionWindow = 30 * 86_400

/**
 * Reads everything about an app at one block.
 *
 * @param fromBlock a block before the creation of the app
 * @param now unix seconds, usually the time of the chain
 * @throws CALL_REVERTED if the contract is no app of Assent, CHAIN_UNREACHABLE
 */
export async function readAppStatus(
  client: PublicClient,
  app: Address,
  { fromBlock, now }: { readonly fromBlock: bigint; readonly now: number },
): Promise<AppStatus> {
  const state = await readApp(client, app)
  const blockNumber = await client.getBlockNumber({ cacheTime: 0 }).catch((cause: unknown) => {
    throw toChainError(cause, 'read the newest block')
  })
  const slots = [appSlots.rules, appSlots.ends]
  const [rules = 0n, ends = 0n] = await readStateOf(client, blockNumber).words(app, slots)
  const appRules = readAppRules(rules, ends)
  const [listedReleases, listedDevices] = await Promise.all([
    listApprovals(client, app, 'release', { blockNumber }),
    listApprovals(client, app, 'device', { blockNumber }),
  ])
  const releases = await mapWithConcurrency(listedReleases, async ({ id, approval }) => {
    const supersession = supersessionOf(approval, appRules, now)
    return {
      ...statusOf({ id, approval }, now, supersession),
      epochs: await readEpochs(client, app, id),
    }
  })
  const devices = listedDevices.map((listed) => statusOf(listed, now))
  const announcements = await readAnnouncements(client, app, state, fromBlock, now)
  const upcoming = [
    ...releases.flatMap((each) => changesOf(each, `release ${each.approval.index}`, now)),
    ...devices.flatMap((each) => changesOf(each, `device ${each.id}`, now)),
    ...announcements.flatMap(({ from, until, call, callDigest }) => {
      const name = call ?? callDigest
      return [
        { at: from, what: `the owner can make the announced call: ${name}` },
        { at: until, what: `the announcement lapses: ${name}` },
      ].filter(({ at }) => at > now)
    }),
  ].sort((a, b) => a.at - b.at)
  return { app, ...state, releases, devices, announcements, upcoming }
}

/**
 * The time at which a decision of the owner ends a release whose approval has no such end.
 *
 * @returns undefined: it is not superseded; `from` undefined: it is superseded already
 * @throws CHAIN_UNREACHABLE
 */
export async function readSupersession(
  client: PublicClient,
  app: Address,
  release: Hex,
  now: number,
): Promise<ReturnType<typeof supersessionOf>> {
  const blockNumber = await client.getBlockNumber({ cacheTime: 0 }).catch((cause: unknown) => {
    throw toChainError(cause, 'read the newest block')
  })
  const slots = [appSlots.rules, appSlots.ends]
  const [rules = 0n, ends = 0n] = await readStateOf(client, blockNumber).words(app, slots)
  const approval = await readApproval(client, app, 'release', release)
  return supersessionOf(approval, readAppRules(rules, ends), now)
}

function statusOf(
  { id, approval }: Listed,
  now: number,
  supersession?: ReturnType<typeof supersessionOf>,
): ListedStatus {
  const own = stateAt(approval, now)
  const isSuperseded = supersession !== undefined && (supersession.from ?? now) <= now
  const state = own === 'active' && isSuperseded ? 'superseded' : own
  const ends = [approval.expiresAt, supersession?.from ?? 0].filter((end) => end > now)
  return {
    id,
    approval,
    state,
    found: describeApproval(approval, now, supersession),
    endsAt: state === 'active' && ends.length > 0 ? Math.min(...ends) : null,
  }
}

function changesOf({ approval, state, endsAt }: ListedStatus, name: string, now: number) {
  const { activeFrom, suspendedUntil } = approval
  const starts =
    state === 'pending'
      ? [{ at: activeFrom, what: `${name} becomes active` }]
      : state === 'suspended'
        ? [{ at: suspendedUntil, what: `the suspension of ${name} ends` }]
        : []
  const end = endsAt === null ? [] : [{ at: endsAt, what: `${name} ends` }]
  return [...starts, ...end].filter(({ at }) => at > now)
}

async function readAnnouncements(
  client: PublicClient,
  app: Address,
  { variants }: AppState,
  fromBlock: bigint,
  now: number,
): Promise<Announcement[]> {
  const logs = parseEventLogs({
    abi: appAbi,
    eventName: 'Announced',
    logs: await historyOf(client, app, fromBlock, { abi: appAbi, events: ['Announced'] }),
  })
  const digests = [...new Set(logs.map(({ args }) => args.callDigest))]
  const names = recognisable(app, variants)
  const announced = await mapWithConcurrency(digests, async (callDigest) => {
    // the contract's answer counts a notice period that grew, and forgets what was used
    const from = await client
      .readContract({
        address: app,
        abi: appAbi,
        functionName: 'executableFrom',
        args: [callDigest],
      })
      .catch((cause: unknown) => {
        throw toChainError(cause, 'read an announcement')
      })
    return { callDigest, call: names.get(callDigest) ?? null, from, until: from + actionWindow }
  })
  return announced.filter(({ from, until }) => from !== 0 && until > now)
}

/** Announcements show only a digest. Calls with few possible arguments are recognised by trying them. */
function recognisable(app: Address, present: number): ReadonlyMap<Hex, string> {
  const masks = Array.from({ length: 32 }, (_, mask) => mask).filter((mask) => mask & ~present)
  const calls = [
    setAllowAnyDevice(app, true),
    setRequireTcbUpToDate(app, false),
    ...masks.map((mask) => setVariants(app, mask | 1)),
  ]
  return new Map(calls.map(({ data, summary }) => [keccak256(data), summary]))
}
