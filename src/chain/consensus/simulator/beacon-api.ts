/** Answers of a simulated beacon node: the beacon API as far as light clients and their operators use it. */
import { fromHex, to0x } from '../../../lib/bytes.ts'
import { beaconHeader } from '../containers.ts'
import type { RawMessage } from '../messages.ts'
import { epochAt, startOfPeriod } from '../network.ts'
import type { BeaconChain } from './beacon-chain.ts'

/** The part of the chain that the node knows. */
export interface BeaconView {
  readonly chain: BeaconChain
  /** Newest slot that is signed; the signature is in the next slot. */
  head: number
}

/** Updates in one answer: `MAX_REQUEST_LIGHT_CLIENT_UPDATES` (Altair). */
const maxUpdates = 128

/**
 * Answers a GET request with JSON. Undefined means status 404.
 *
 * Sources: `ethereum/beacon-APIs`, `/eth/v1/beacon/light_client/*`, `/eth/v1/beacon/headers/finalized`,
 * `/eth/v1/config/fork_schedule`.
 *
 * @example answerBeacon({ chain, head: 70 }, new URL('http://beacon/eth/v1/beacon/light_client/finality_update'))
 */
export function answerBeacon(view: BeaconView, { pathname, searchParams }: URL) {
  const { chain, head } = view
  if (pathname === '/eth/v1/config/fork_schedule') return forkSchedule(chain)
  if (pathname === '/eth/v1/beacon/headers/finalized') return finalizedHeader(view)
  const [, name = '', root] =
    /^\/eth\/v1\/beacon\/light_client\/([^/]*)\/?(.*)$/.exec(pathname) ?? []
  if (name === 'finality_update') return asAnswer(chain.finalityUpdate(head))
  if (name === 'optimistic_update') return asAnswer(chain.optimisticUpdate(head))
  if (name === 'bootstrap') return bootstrap(view, root ?? '')
  if (name !== 'updates') return undefined
  const first = Number(searchParams.get('start_period'))
  return updates(view, first, Math.min(Number(searchParams.get('count')), maxUpdates))
}

/** A message with its fork, as the API writes it, and with a member that light clients do not know. */
export function asAnswer({ fork, data }: RawMessage): object {
  return { version: fork, data: (data as { json: unknown }).json, execution_optimistic: false }
}

/** First slot of the epoch that is final in the newest state. */
export function finalizedSlot({ chain: { network }, head }: BeaconView): number {
  return Math.max(0, epochAt(network, head) - 2) * network.slotsPerEpoch
}

function bootstrap({ chain, head }: BeaconView, root: string): object | undefined {
  if (!/^0x[0-9a-f]{64}$/.test(root)) return undefined
  const slot = chain.slotOf(fromHex(root, 'block root'))
  const isServed = slot !== undefined && slot <= head && slot % chain.network.slotsPerEpoch === 0
  return isServed ? asAnswer(chain.bootstrap(slot)) : undefined
}

/** One update for each sync committee period, signed so late that its finalized block is of the same period. */
function updates({ chain, head }: BeaconView, first: number, count: number): object[] {
  return Array.from({ length: count }, (_, index) => first + index)
    .map((period) => ({
      start: startOfPeriod(chain.network, period),
      slot: Math.min(startOfPeriod(chain.network, period + 1) - 3, head),
    }))
    .filter(({ start, slot }) => slot >= start)
    .map(({ slot }) => asAnswer(chain.update(slot)))
}

function finalizedHeader(view: BeaconView): object {
  const slot = finalizedSlot(view)
  const message = beaconHeader.toJson(view.chain.header(slot).beacon)
  return {
    execution_optimistic: false,
    finalized: true,
    data: {
      root: to0x(view.chain.root(slot)),
      canonical: true,
      header: { message, signature: `0x${'00'.repeat(96)}` },
    },
  }
}

function forkSchedule({ network }: BeaconChain): object {
  return {
    data: network.forks.map(({ version, epoch }, index) => ({
      previous_version: network.forks[index - 1]?.version ?? network.genesisForkVersion,
      current_version: version,
      epoch: String(epoch),
    })),
  }
}
