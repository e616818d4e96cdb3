/**
 * Follows a beacon chain through several beacon APIs, of which any may be slow, silent or lying.
 *
 * All of them are asked at once and every answer is verified by itself, so that one honest API is enough, and no
 * number of others can make the client accept a false header or forget a known one. They can withhold new headers; then the finalized header
 * grows old, and old headers allow nothing.
 */
import { boundedText } from '../../errors/bounded.ts'
import { AssentError, type ErrorCode, isAssentError } from '../../errors/index.ts'
import { to0x } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { type BeaconEndpoint, maxUpdates } from './beacon-endpoint.ts'
import {
  type RawMessage,
  readBootstrap,
  readFinalityUpdate,
  readOptimisticUpdate,
  readUpdate,
  type Update,
} from './messages.ts'
import { type AnnouncedFork, type Network, periodAt, slotAt } from './network.ts'
import {
  beginStore,
  bringsNextCommittee,
  type LightStore,
  requireFresh,
  takeUpdate,
} from './store.ts'
import type { StoreFolder } from './store-folder.ts'

/** Options of a light client: network, beacon APIs and store. */
export interface LightClientOptions {
  /** Network whose validators count. A message of another network does not verify. */
  readonly network: Network
  /** Beacon APIs. One honest one is enough, because every answer is verified. */
  readonly endpoints: readonly BeaconEndpoint[]
  /** Folder of the store, which survives restarts. */
  readonly folder: StoreFolder
  /** Unix seconds. A header of the future, or from before the weak subjectivity period, is refused. */
  readonly clock: Clock
  /** For how long an API that was late in the last round is waited for after the others. */
  readonly graceMs?: number
}

/** An endpoint that gave no valid answer, and the error code. */
export interface BeaconFault {
  /** Name of the endpoint. */
  readonly endpoint: string
  /** Why its answer was not used. */
  readonly code: ErrorCode
  /** One sentence without credentials: the error of the endpoint, or of the check of its answer. */
  readonly message: string
}

/** Result of one round. */
export interface LightClientProgress {
  /** The newest verified state. */
  readonly store: LightStore
  /** Endpoints that gave no valid answer in this round. */
  readonly faults: readonly BeaconFault[]
}

/**
 * A light client of the consensus layer (Altair light client specification). It proves that a block is final without
 * trust in an endpoint.
 */
export interface LightClient {
  /**
   * Begins the store of a new node from a trusted block root.
   *
   * @throws CONSENSUS_STORE_EXISTS, CONSENSUS_HEADER_TOO_OLD, CONSENSUS_UNREACHABLE if no endpoint serves a
   * bootstrap that can be verified, CONSENSUS_STORE_UNWRITABLE
   */
  begin(trustedRoot: Uint8Array): Promise<LightClientProgress>
  /**
   * Asks all endpoints for updates and takes those that can be verified. A new finalized header is on the disk when
   * this returns.
   *
   * @throws CONSENSUS_STORE_MISSING, CONSENSUS_STORE_INVALID, CONSENSUS_HEADER_TOO_OLD if its newest header is older than the
   * weak subjectivity period, CONSENSUS_UNREACHABLE if no endpoint gave an answer that can be verified
   */
  advance(): Promise<LightClientProgress>
  /** Forks that the endpoints announce. They are not signed: they raise an alert and decide nothing. */
  announcedForks(): Promise<(AnnouncedFork & { readonly endpoint: string })[]>
}

const defaultGraceMs = 1_000

/** The state of one run of `advance`: the best store so far, and the answers that were refused. */
interface Round {
  readonly options: LightClientOptions
  store: LightStore
  readonly faults: BeaconFault[]
  /** Endpoints that gave a valid answer, new or not. */
  readonly answered: Set<string>
  /** The newest attested slot that each endpoint showed. */
  readonly shown: Map<string, number>
  /** Endpoints that did not answer a request within its time; shared by all rounds. */
  readonly late: Set<string>
}

/**
 * Creates a light client. Nothing is requested or read before the first call.
 *
 * @example
 * const client = createLightClient({ network: publicNetworks.mainnet, endpoints, folder, clock })
 * await client.begin(trustedRoot) // once, for a new node
 * const { store } = await client.advance()
 */
export function createLightClient(options: LightClientOptions): LightClient {
  let known: LightStore | undefined
  let running: Promise<LightClientProgress> | undefined
  const late = new Set<string>()
  const advance = async (): Promise<LightClientProgress> => {
    const before = newest(await options.folder.read(), known, options)
    requireFresh(options.network, before.finalized.slot, options.clock())
    const round: Round = {
      options,
      store: before,
      faults: [],
      answered: new Set(),
      shown: new Map(),
      late,
    }
    await catchUp(round)
    await askForNewHeaders(round)
    reportStale(round)
    const { store, faults, answered } = round
    if (answered.size === 0) throw unreachable(faults)
    if (isFurther(store, before)) await options.folder.write(store)
    known = store
    return { store, faults }
  }
  return {
    begin: async (trustedRoot) => {
      const progress = await bootstrap(trustedRoot, options)
      await options.folder.begin(progress.store)
      known = progress.store
      return progress
    },
    // concurrent calls share one run
    advance: () => {
      running ??= advance().finally(() => {
        running = undefined
      })
      return running
    },
    announcedForks: async () => {
      const asked = options.endpoints.map(async (endpoint) => {
        const forks = await endpoint.forkSchedule().catch(ignoreRefusal)
        return (forks ?? []).map((fork) => ({ ...fork, endpoint: endpoint.name }))
      })
      return (await Promise.all(asked)).flat()
    },
  }
}

/** Another process may be further; the disk must not be behind. @throws CONSENSUS_STORE_INVALID */
function newest(
  stored: LightStore,
  known: LightStore | undefined,
  { network }: LightClientOptions,
): LightStore {
  if (known === undefined) return stored
  if (stored.finalized.slot > known.finalized.slot) {
    const isOptimisticNewer = known.optimistic.slot > stored.optimistic.slot
    return isOptimisticNewer ? { ...stored, optimistic: known.optimistic } : stored
  }
  if (!isFurther(known, stored)) return known
  throw new AssentError('CONSENSUS_STORE_INVALID', 'The store of the light client went back.', {
    facts: {
      network: network.name,
      stored: stored.finalized.slot,
      known: known.finalized.slot,
    },
  })
}

function isFurther(store: LightStore, before: LightStore): boolean {
  if (store.finalized.slot !== before.finalized.slot) {
    return store.finalized.slot > before.finalized.slot
  }
  return store.next !== undefined && before.next === undefined
}

/* BEGINNING */

async function bootstrap(
  trustedRoot: Uint8Array,
  options: LightClientOptions,
): Promise<LightClientProgress> {
  const { network, endpoints, clock } = options
  const root = to0x(trustedRoot)
  const faults: BeaconFault[] = []
  const errors: AssentError[] = []
  const asked = endpoints.map(async (endpoint) => {
    try {
      const message = readBootstrap(network, await endpoint.bootstrap(root))
      return beginStore(network, trustedRoot, message, clock())
    } catch (error) {
      if (!isAssentError(error)) throw error
      errors.push(error)
      faults.push(faultOf(endpoint, error))
      throw error
    }
  })
  try {
    return { store: await Promise.any(asked), faults: [...faults] }
  } catch (cause) {
    const unexpected = (cause as AggregateError).errors.find((each) => !isAssentError(each))
    if (unexpected !== undefined) throw unexpected
    // a header with the trusted root shows its own age, from any sender
    const stale = errors.find((error) => error.code === 'CONSENSUS_HEADER_TOO_OLD')
    throw stale ?? unreachable(faults)
  }
}

/* FOLLOWING */

/** Takes updates, period by period, until the committee of the current period is known. */
async function catchUp(round: Round): Promise<void> {
  const { network, clock } = round.options
  for (;;) {
    const { finalized, next } = round.store
    const from = periodAt(network, finalized.slot)
    const current = periodAt(network, slotAt(network, clock()))
    const isBehind = next === undefined || current > from + 1
    if (!isBehind) return
    const before = round.store
    await askAll(round, async (endpoint) => {
      const start = next === undefined ? from : from + 1
      const messages = await endpoint.updates(start, Math.min(current - start + 1, maxUpdates))
      return messages.map((raw) => () => readUpdate(network, raw))
    })
    const moved =
      periodAt(network, round.store.finalized.slot) > from ||
      (before.next === undefined && round.store.next !== undefined)
    if (!moved) return
  }
}

/** Finality and optimistic updates, all at once. */
async function askForNewHeaders(round: Round): Promise<void> {
  const { network } = round.options
  const read =
    (ask: (endpoint: BeaconEndpoint) => Promise<RawMessage>, reader: typeof readUpdate) =>
    async (endpoint: BeaconEndpoint) => {
      const raw = await ask(endpoint)
      return [() => reader(network, raw)]
    }
  await Promise.all([
    askAll(
      round,
      read((each) => each.finalityUpdate(), readFinalityUpdate),
    ),
    askAll(
      round,
      read((each) => each.optimisticUpdate(), readOptimisticUpdate),
    ),
  ])
}

type Readers = readonly (() => Update)[]

/** Endpoints whose newest header is more than an epoch older than the newest of this round. Honest ones differ by a few slots. */
function reportStale({ options, store, shown, faults }: Round): void {
  for (const [endpoint, slot] of shown) {
    if (slot + options.network.slotsPerEpoch >= store.optimistic.slot) continue
    const message = `Its newest header is of slot ${slot}, that of another is of ${store.optimistic.slot}.`
    faults.push({ endpoint, code: 'CONSENSUS_ANSWER_STALE', message })
  }
}

/**
 * Asks every endpoint and takes its updates as they come, until each has answered or its time is over: fast endpoints
 * that repeat old headers do not end the wait for a slow one. Only an endpoint that used up all its time before, and has
 * not answered since, is left behind soon after the others.
 */
async function askAll(
  round: Round,
  ask: (endpoint: BeaconEndpoint) => Promise<Readers>,
): Promise<void> {
  const { endpoints, graceMs = defaultGraceMs } = round.options
  const { late } = round
  let isOver = false
  let timer: NodeJS.Timeout | undefined
  const each = async (endpoint: BeaconEndpoint): Promise<boolean> => {
    try {
      const readers = await ask(endpoint)
      late.delete(endpoint.name)
      // a late answer would change a store that is in use
      if (isOver) return false
      for (const reader of readers) take(round, endpoint, reader())
      round.answered.add(endpoint.name)
      return true
    } catch (error) {
      if (!isAssentError(error)) throw error
      if (error.code === 'CHAIN_TIMEOUT') late.add(endpoint.name)
      if (!isOver) round.faults.push(faultOf(endpoint, error))
      return false
    }
  }
  // before the first answer changes who is late
  const onTime = endpoints.map(({ name }) => !late.has(name))
  const asked = endpoints.map(each)
  const leaveLate = async () => {
    const answers = await Promise.all(asked.filter((_, index) => onTime[index]))
    if (!answers.includes(true)) return Promise.all(asked)
    return new Promise((resolve) => {
      timer = setTimeout(resolve, graceMs)
    })
  }
  try {
    await Promise.race([Promise.all(asked), leaveLate()])
  } finally {
    isOver = true
    clearTimeout(timer)
  }
}

/** Takes a newer update. The signature of another one is not checked, because it costs time. */
function take(round: Round, { name }: BeaconEndpoint, update: Update): void {
  const { network, clock } = round.options
  if (isNewer(network, round.store, update)) {
    round.store = takeUpdate(network, round.store, update, clock()).store
  }
  round.shown.set(name, Math.max(round.shown.get(name) ?? 0, update.attested.slot))
}

function isNewer(network: Network, store: LightStore, update: Update) {
  return (
    bringsNextCommittee(network, store, update) ||
    update.attested.slot > store.optimistic.slot ||
    (update.finality?.header?.slot ?? 0) > store.finalized.slot
  )
}

function faultOf({ name }: BeaconEndpoint, { code, message }: AssentError): BeaconFault {
  return { endpoint: name, code, message: boundedText(message, maxReason) }
}

/** Characters of one answer in the message; there are 16 beacon APIs at most. */
const maxReason = 200

function unreachable(faults: readonly BeaconFault[]): AssentError {
  const each = faults.map(({ endpoint, code, message }) => `${endpoint}: ${code} ${message}`)
  const message = 'No beacon API gave an answer that could be verified.'
  return new AssentError('CONSENSUS_UNREACHABLE', [message, ...each].join(' '), {
    facts: { found: faults },
  })
}

function ignoreRefusal(error: unknown): undefined {
  if (!isAssentError(error)) throw error
}
