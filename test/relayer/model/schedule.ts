/** One seeded schedule: a relayer, a chain, and everything that can go wrong between them. */

import { isAssentError } from '../../../src/errors/index.ts'
import { createLog } from '../../../src/lib/log.ts'
import { createChain } from '../../../src/relayer/endpoints.ts'
import { isLive } from '../../../src/relayer/outbox.ts'
import { defaultRules } from '../../../src/relayer/service.ts'
import type { Store } from '../../../src/relayer/store.ts'
import { type Chain, poll, type Submitter } from '../../../src/relayer/submit.ts'
import type { QuoteTarget } from '../../../src/relayer/targets.ts'
import { createMemoryStore, type MemoryStore } from './memory-store.ts'
import {
  account,
  createModelClient,
  type EndpointFault,
  encodeKey,
  ModelChain,
  modelSigner,
  readEffects,
} from './model-chain.ts'
import { createRandom, type Random } from './random.ts'

/** After the last fault, every intent is final within this many polls, a block after each. */
export const recoveryPolls = 90

export interface ScheduleResult {
  readonly intents: number
  readonly crashes: number
  readonly faults: number
  readonly reorgs: number
  /** Polls without faults until all was final. */
  readonly recovery: number
}

/** The process dies here. */
class Crash extends Error {}

const target: QuoteTarget = {
  errors: [],
  parsePermit: (value) => ({ value, deadline: null }),
  encode: ({ key }) => encodeKey(key),
  isDone: async ({ key }, client, blockNumber) => readEffects(client, key, blockNumber) > 0,
}

const silentLog = createLog({ service: 'model', level: 'silent' })

interface World {
  readonly random: Random
  readonly chain: ModelChain
  readonly store: MemoryStore
  readonly finality: number
  /** Reorgs go deeper than what counts as final: then the contract must forgive a second effect. */
  readonly isDeep: boolean
  readonly endpoints: number
  readonly counts: { crashes: number; faults: number; reorgs: number }
  /** How often each thing goes wrong; some schedules are calm, some are storms. */
  readonly odds: { readonly fault: number; readonly lie: number; readonly death: number }
  now: number
  /** Faults and crashes happen only while this is true. */
  isRough: boolean
  workers: number
}

/** Runs the schedule of the seed and throws if any promise of the outbox is broken. */
export async function runSchedule(seed: number): Promise<ScheduleResult> {
  const random = createRandom(seed)
  const world: World = {
    random,
    chain: new ModelChain(),
    store: createMemoryStore(),
    ...random.pick([
      { finality: 2, isDeep: false },
      { finality: 6, isDeep: false },
      { finality: 21, isDeep: false },
      { finality: 3, isDeep: true },
    ]),
    endpoints: random.pick([1, 2, 3, 3]),
    counts: { crashes: 0, faults: 0, reorgs: 0 },
    odds: {
      fault: random.pick([0, 0.02, 0.1, 0.25]),
      lie: random.pick([0.1, 0.3, 0.7]),
      death: random.pick([0, 0.02, 0.08]),
    },
    now: 1_800_000_000,
    isRough: true,
    workers: 0,
  }
  world.chain.isStrict = random.chance(0.3)
  watchTransactions(world)

  const steps = random.int(10, 60)
  let intents = 0
  for (let step = 0; step < steps; step++) intents += await disturb(world, intents)
  if (intents === 0) intents += enqueue(world, 0)
  const recovery = await recover(world)
  requirePromises(world, intents)
  return { intents, recovery, ...world.counts }
}

/** No transaction reaches a node that is not remembered: else a crash could forget it. */
function watchTransactions({ chain, store }: World): void {
  chain.onReceived = ({ hash, nonce }) => {
    const known = store.slots.get(nonce)?.attempts.some((attempt) => attempt.hash === hash)
    if (!known) throw new Error(`transaction ${hash} of nonce ${nonce} was sent and not remembered`)
  }
}

/* DISTURBANCES */

async function disturb(world: World, intents: number): Promise<number> {
  const { chain, random } = world
  const what = random.pick([
    'enqueue',
    'poll',
    'poll',
    'poll',
    'poll',
    'mine',
    'mine',
    'finalize',
    'reorg',
    'intrude',
    'fees',
    'forget',
    'wait',
  ])
  switch (what) {
    case 'enqueue':
      return intents < 8 ? enqueue(world, intents) : 0
    case 'poll':
      await livePoll(world)
      break
    case 'mine':
      chain.mine(random.int(1, 4))
      break
    case 'finalize':
      chain.mine(world.finality + 1)
      await livePoll(world)
      break
    case 'reorg':
      reorg(world, random.int(1, world.isDeep ? 20 : Math.min(20, world.finality)))
      break
    case 'intrude':
      // A stranger on a nonce whose final block vanished is beyond the promise (docs/relayer.md).
      if (!world.isDeep) chain.intrude()
      break
    case 'fees':
      chain.baseFee = random.pick([1_000_000_000n, 30_000_000_000n, 150_000_000_000n])
      chain.mine()
      break
    case 'forget':
      for (const nonce of [...chain.pool.keys()]) if (random.chance(0.5)) chain.pool.delete(nonce)
      break
    case 'wait':
      world.now += random.pick([1, 10, 61, 600, 2_000])
      break
  }
  world.now += random.int(0, 12)
  return 0
}

function enqueue({ store, now }: World, index: number): number {
  store.enqueue({
    id: `intent-${index}`,
    kind: 'host',
    key: `key-${index}`,
    payload: null,
    state: 'queued',
    createdAt: now,
    notBefore: now,
    expiresAt: null,
    refusals: 0,
    setback: null,
    version: 0,
  })
  return 1
}

function reorg({ chain, random, counts }: World, depth: number): void {
  const keeps = random.next()
  chain.reorg(depth, () => random.chance(keeps))
  counts.reorgs += 1
}

/* WORKERS */

/** A process polls once; it may die at any call, and another may overtake it at any call. */
async function livePoll(world: World): Promise<void> {
  const holder = `worker-${world.random.chance(0.7) ? world.workers : ++world.workers}`
  if (world.random.chance(0.3)) world.store.expireLease()
  try {
    const lease = await world.store.lease(holder, 30)
    if (lease !== null) await poll(createSubmitter(world, 1), lease)
  } catch (error) {
    if (error instanceof Crash) {
      world.counts.crashes += 1
      world.workers += 1
      world.store.expireLease()
      return
    }
    if (!isExpected(error)) throw error
  }
}

function isExpected(error: unknown): boolean {
  return (
    isAssentError(error, 'RELAYER_CHAIN_UNREACHABLE') ||
    isAssentError(error, 'RELAYER_CHAIN_DISAGREES') ||
    isAssentError(error, 'RELAYER_LEASE_LOST') ||
    isAssentError(error, 'RELAYER_CONFLICT')
  )
}

function createSubmitter(world: World, rivals: number): Submitter {
  const { chain, random, store } = world
  // One of several endpoints is bad for as long as this process lives; the others only fail honestly.
  const liar = world.endpoints > 1 ? random.int(0, world.endpoints - 1) : -1
  const clients = Array.from({ length: world.endpoints }, (_, index) =>
    createModelClient(chain, (method) => chooseFault(world, method, index === liar), random),
  )
  const real = createChain({
    clients,
    account,
    finality: { depth: world.finality },
    targets: { host: target },
  })
  return {
    chainId: 1,
    store: dying(world, store, rivals),
    chain: interrupted(world, real, rivals),
    signer: modelSigner,
    rules: { ...defaultRules, maxInFlight: 4, maxRefusals: 1_000_000 },
    clock: () => world.now,
    log: silentLog,
  }
}

const honestFaults = ['silent', 'stale', 'accepts-then-times-out'] as const
const lies = ['denies-receipts', 'invents-receipts', 'swallows', 'rejects', 'stale'] as const

function chooseFault(world: World, method: string, isLiar: boolean): EndpointFault {
  const { random, isRough, odds } = world
  if (!isRough || !random.chance(isLiar ? odds.lie : odds.fault)) return 'none'
  world.counts.faults += 1
  // A lone endpoint cannot be contradicted: it may fail, not lie about what the chain contains.
  const kinds = isLiar ? ([...lies, ...honestFaults] as const) : honestFaults
  const fault = random.pick(kinds as unknown as [EndpointFault, ...EndpointFault[]])
  return method === 'sendRawTransaction' || fault !== 'accepts-then-times-out' ? fault : 'none'
}

function mayDie({ isRough, random, odds }: World): void {
  if (isRough && random.chance(odds.death)) throw new Crash()
}

/** The store, of a process that may die before or after each write. */
function dying(world: World, store: MemoryStore, _rivals: number): Store {
  return {
    ...store,
    async commit(lease, changes, at) {
      mayDie(world)
      await store.commit(lease, changes, at)
      mayDie(world)
    },
  }
}

/** The chain, of a process that may die or be overtaken by a rival between two calls. */
function interrupted(world: World, chain: Chain, rivals: number): Chain {
  const between = async () => {
    mayDie(world)
    if (rivals === 0 || !world.isRough || !world.random.chance(0.02)) return
    world.store.expireLease()
    const lease = await world.store.lease(`rival-${++world.workers}`, 30)
    try {
      if (lease !== null) await poll(createSubmitter(world, rivals - 1), lease)
    } catch (error) {
      if (!(error instanceof Crash) && !isExpected(error)) throw error
    }
  }
  const wrap =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await between()
      const result = await call(...args)
      await between()
      return result
    }
  return {
    heads: wrap(chain.heads),
    receipts: wrap(chain.receipts),
    balance: wrap(chain.balance),
    broadcast: wrap(chain.broadcast),
    simulate: wrap(chain.simulate),
    isDone: wrap(chain.isDone),
  }
}

/* RECOVERY */

/** Faults end, fees fall, blocks come: from here on everything must become final. */
async function recover(world: World): Promise<number> {
  const { chain, store } = world
  world.isRough = false
  chain.baseFee = 1_000_000_000n
  store.expireLease()
  const lease = await store.lease('heir', 30)
  if (lease === null) throw new Error('no lease')
  for (let polls = 1; polls <= recoveryPolls; polls++) {
    chain.mine()
    world.now += 15
    await poll(createSubmitter(world, 0), lease)
    if (isAtRest(store)) return polls
  }
  throw new Error(`not at rest after ${recoveryPolls} polls: ${describe(world)}`)
}

function isAtRest({ intents, slots }: MemoryStore): boolean {
  return (
    [...intents.values()].every(({ state }) => state === 'final' || state === 'abandoned') &&
    ![...slots.values()].some(isLive)
  )
}

/* PROMISES */

function requirePromises(world: World, intents: number): void {
  const { chain, store } = world
  if (store.intents.size !== intents) throw new Error('an intent is lost')
  for (const { id, key, state } of store.intents.values()) {
    if (state !== 'final') throw new Error(`${id} is ${state}: ${describe(world)}`)
    const effects = chain.effects(key)
    // Where finality broke, what a slot of its own carried is made good (docs/relayer.md).
    const isCarried = [...store.slots.values()].some(
      (slot) => slot.intentId === id && slot.state === 'final',
    )
    if (world.isDeep ? effects < 1 && isCarried : effects !== 1)
      throw new Error(`${id} has ${effects} effects: ${describe(world)}`)
  }
  const count = chain.countAt(chain.height)
  const beyond = [...store.slots.keys()].filter((nonce) => nonce >= count)
  if (beyond.length > 0) throw new Error(`nonces ${beyond.join(', ')} are stuck`)
}

function describe({ chain, store }: World): string {
  const slots = [...store.slots.values()].map(({ nonce, state, intentId, attempts, mined }) => {
    const last = attempts.at(-1)
    return {
      nonce,
      state,
      intentId,
      kinds: attempts.map(({ kind }) => kind),
      answer: last?.answer,
      mined: mined?.blockNumber,
    }
  })
  const intents = [...store.intents.values()].map(({ id, state, setback }) => [
    id,
    state,
    setback?.code,
  ])
  return JSON.stringify({
    height: chain.height,
    count: chain.countAt(chain.height),
    slots,
    intents,
  })
}
