/**
 * Heartbeat: bounds the age of the chain state that a node uses, without its clock.
 *
 * The node makes random nonces and hands them to relayers. When it finds a nonce of its own below a posted value in the
 * proven state of a final block, this state is younger than the nonce. From the moment at which the nonce was made, the
 * node counts with the monotonic clock. Nonces are kept in memory only: after a restart the node must see a new one.
 *
 * The relayer, the contract and the account that posts are not trusted. They can withhold, which is an outage.
 */
import { randomBytes } from 'node:crypto'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { type Hex, to0x } from '../../lib/bytes.ts'
import { mappingSlot, uint256 } from '../approval.ts'
import type { ProvenState } from '../proven/state.ts'
import { covers, type HeartbeatProof } from './tree.ts'

/** A relayer that posts nonces. It is not trusted. */
export interface NonceRelayer {
  /** Position and host, for metrics. */
  readonly name: string
  /** The account that posts its values. */
  readonly poster: Hex
  /** Hands over a nonce. @throws CHAIN_UNREACHABLE, CHAIN_TIMEOUT, CHAIN_ANSWER_INVALID, FILE_UNREADABLE */
  send(nonce: Hex): Promise<void>
  /** The proof of a nonce; undefined: it was not posted yet. @throws as `send` */
  prove(nonce: Hex): Promise<HeartbeatProof | undefined>
}

/** Options of a heartbeat. */
export interface HeartbeatOptions {
  /** The `Heartbeat` contract. */
  readonly contract: Hex
  readonly relayers: readonly NonceRelayer[]
  /** Highest age in seconds of the newest nonce that the node saw in final state. */
  readonly maxAgeSeconds: number
  /** A monotonic clock in milliseconds. */
  readonly now: () => number
  /** 32 random bytes; replaced in tests only. */
  readonly makeNonce?: () => Hex
}

/** State for the metrics. */
export interface HeartbeatStatus {
  /** Milliseconds of the monotonic clock at which the newest confirmed nonce was made; undefined: no nonce is confirmed yet. */
  readonly since: number | undefined
  readonly maxAgeSeconds: number
}

/** Events for an observer: a nonce was confirmed, or a relayer failed, with its error code. */
export type HeartbeatEvent =
  | ({ readonly kind: 'heartbeat' } & HeartbeatStatus)
  | { readonly kind: 'heartbeat-fault'; readonly relayer: string; readonly code: string }

/** The age of a node's view. */
export interface Heartbeat {
  readonly status: () => HeartbeatStatus
  /**
   * Seconds since the newest own nonce was made that this block covers: the block is not older.
   *
   * @throws CHAIN_VIEW_AGE_UNKNOWN, CHAIN_VIEW_TOO_OLD
   */
  requireYoung(block: Pick<ProvenState['header'], 'number'>): number
  /**
   * Makes a nonce, hands it to the relayers, and looks for own nonces in final state. An outage is reported, not thrown.
   * It may be called while an earlier call runs: a relayer that has not answered yet is left out.
   *
   * @param newest the newest final state; its block descends from each one before
   */
  beat(newest: () => Promise<ProvenState>, observe: ObserveHeartbeat): Promise<void>
  /** Beats now and in regular steps. It keeps no process alive. */
  start(newest: () => Promise<ProvenState>, observe: ObserveHeartbeat): void
}

type ObserveHeartbeat = (event: HeartbeatEvent) => void

/** Nonces are made this often within the highest age, so that at most as many wait. */
export const noncesPerMaxAge = 60
/** Confirmed nonces that are kept: a decision can be about a block that is a little older than the newest one. */
const confirmationsKept = 8

interface Nonce {
  readonly nonce: Hex
  /** Milliseconds of the monotonic clock, before the nonce existed. */
  readonly madeAt: number
}

interface Confirmation {
  readonly madeAt: number
  /** The final block whose state covers the nonce. */
  readonly block: bigint
}

/**
 * Creates the heartbeat of one process. It has no nonce yet.
 *
 * @example
 * const heartbeat = createHeartbeat({ contract, relayers, maxAgeSeconds: 3_600, now })
 * const view = openView({ ...options, heartbeat })
 */
export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { contract, maxAgeSeconds, now, makeNonce = () => to0x(randomBytes(32)) } = options
  /** Newest first. */
  let confirmed: readonly Confirmation[] = []
  let tell: ObserveHeartbeat = () => {}
  const since = () => confirmed[0]?.madeAt
  const status = () => ({ since: since(), maxAgeSeconds })
  const followed = options.relayers.map((relayer) =>
    followRelayer(relayer, {
      isUseful: ({ madeAt }) =>
        madeAt > (since() ?? Number.NEGATIVE_INFINITY) && now() - madeAt <= maxAgeSeconds * 1000,
      failed: (code) => tell({ kind: 'heartbeat-fault', relayer: relayer.name, code }),
    }),
  )
  const slots = options.relayers.map(({ poster }) => slotOf(poster))

  const make = (): Nonce => {
    // before the nonce exists: the state that covers it is younger than this moment
    const madeAt = now()
    return { nonce: makeNonce(), madeAt }
  }
  const confirm = ({ madeAt }: Nonce, block: bigint) => {
    if (madeAt <= (since() ?? Number.NEGATIVE_INFINITY)) return
    confirmed = [{ madeAt, block }, ...confirmed].slice(0, confirmationsKept)
    tell({ kind: 'heartbeat', ...status() })
  }
  const readValues = oneAtATime(async (newest: () => Promise<ProvenState>) => {
    const state = await newest()
    return { block: state.header.number, words: await state.read().words(contract, slots) }
  })
  const look = async (newest: () => Promise<ProvenState>) => {
    // the view reports its own outages
    const seen = await readValues(newest).catch(ignoreOutage)
    if (seen === undefined) return
    const { block, words } = seen
    await Promise.all(
      followed.map(async ({ search }, index) => {
        const found = await search(uint256(words[index] as bigint))
        if (found !== undefined) confirm(found, block)
      }),
    )
  }
  const beat: Heartbeat['beat'] = async (newest, observe) => {
    tell = observe
    const nonce = make()
    await Promise.all([...followed.map(({ handOver }) => handOver(nonce)), look(newest)])
  }
  return {
    status,
    requireYoung: ({ number }) => {
      const seen = confirmed.find(({ block }) => block <= number)
      if (seen === undefined) throw unknownAge(number)
      const age = (now() - seen.madeAt) / 1000
      if (age <= maxAgeSeconds) return age
      throw tooOld(age, maxAgeSeconds)
    },
    beat,
    start: (newest, observe) => {
      void beat(newest, observe)
      // the next nonce waits for nobody
      const begin = () => void beat(newest, observe)
      setInterval(begin, (maxAgeSeconds * 1000) / noncesPerMaxAge).unref()
    },
  }
}

/** One relayer and the nonces that it got. Only one exchange of each kind runs, and a slow relayer delays only itself. */
interface FollowedRelayer {
  /** Hands over a nonce. While the relayer has not answered to the one before, it gets none. */
  readonly handOver: (nonce: Nonce) => Promise<void>
  /** The newest of its nonces that a posted value covers. Undefined also while a search runs. */
  readonly search: (value: Hex) => Promise<Nonce | undefined>
}

interface FollowOptions {
  /** Whether a nonce could still make the view younger. */
  readonly isUseful: (nonce: Nonce) => boolean
  /** Called with the error code of each failed exchange. */
  readonly failed: (code: string) => void
}

function followRelayer(
  relayer: NonceRelayer,
  { isUseful, failed }: FollowOptions,
): FollowedRelayer {
  /** Oldest first. */
  let handed: readonly Nonce[] = []
  /** The last value in which the search was complete. */
  let searched: Hex | undefined
  const reportFault = (error: unknown): undefined => {
    if (!isAssentError(error)) throw error
    failed(error.code)
  }
  return {
    handOver: oneAtATime(async (made) => {
      handed = [...handed.filter(isUseful), made].slice(-noncesPerMaxAge - 1)
      await relayer.send(made.nonce).catch(reportFault)
    }),
    search: oneAtATime(async (value) => {
      if (searched === value) return undefined
      try {
        const newest = await findNewest(handed.filter(isUseful), relayer, value)
        searched = value
        return newest
      } catch (error) {
        return reportFault(error)
      }
    }),
  }
}

/** Leaves a call out while the one before still runs; its result is undefined then. */
function oneAtATime<Argument, Result>(
  task: (argument: Argument) => Promise<Result>,
): (argument: Argument) => Promise<Result | undefined> {
  let isRunning = false
  return async (argument) => {
    if (isRunning) return undefined
    isRunning = true
    try {
      return await task(argument)
    } finally {
      isRunning = false
    }
  }
}

/** Storage slot in which `Heartbeat` keeps the value of an account. */
export function slotOf(poster: Hex): Hex {
  return mappingSlot(uint256(BigInt(poster)), uint256(0n))
}

/**
 * The newest nonce that a value covers. A relayer posts nonces in the order in which it got them, so half of them are left
 * out with each question. A relayer that does not keep the order makes the node find an older nonce, or none.
 */
async function findNewest(
  nonces: readonly Nonce[],
  relayer: NonceRelayer,
  value: Hex,
): Promise<Nonce | undefined> {
  let found: Nonce | undefined
  let [from, to] = [0, nonces.length]
  while (from < to) {
    const middle = (from + to) >> 1
    const asked = nonces[middle] as Nonce
    const proof = await relayer.prove(asked.nonce)
    if (proof !== undefined && covers(value, asked.nonce, proof)) {
      found = asked
      from = middle + 1
    } else to = middle
  }
  return found
}

/** Turns a typed error into undefined. Other errors are bugs and pass. */
function ignoreOutage(error: unknown): undefined {
  if (!isAssentError(error)) throw error
}

function unknownAge(block: bigint): AssentError {
  return new AssentError(
    'CHAIN_VIEW_AGE_UNKNOWN',
    'This process has not found a nonce of its own in a final block yet.',
    { facts: { block: String(block) } },
  )
}

function tooOld(age: number, bound: number): AssentError {
  const message = `The newest nonce in a final block was made ${Math.floor(age)} seconds ago.`
  return new AssentError('CHAIN_VIEW_TOO_OLD', message, {
    facts: { age: Math.floor(age), bound },
  })
}
