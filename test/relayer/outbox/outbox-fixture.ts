/** A relayer's inside on a real chain and a real database, with faults on demand. */
import { createPublicClient, custom, type EIP1193RequestFn, http, type PublicClient } from 'viem'
import { foundry } from 'viem/chains'
import { afterAll, afterEach, beforeAll, describe } from 'vitest'

import { type Hex, to0x } from '../../../src/lib/bytes.ts'
import { createLog } from '../../../src/lib/log.ts'
import { type OpenDatabase, openDatabase } from '../../../src/relayer/database/database.ts'
import {
  createChain,
  type FinalityRule,
  identifyChain,
} from '../../../src/relayer/endpoints/quorum.ts'
import { acceptQuote, readQuote } from '../../../src/relayer/intake/quotes.ts'
import { readIntentEvents } from '../../../src/relayer/outbox/intents.ts'
import type { Rules } from '../../../src/relayer/outbox/outbox.ts'
import { defaultRules } from '../../../src/relayer/outbox/run-outbox.ts'
import { openStore, type Store } from '../../../src/relayer/outbox/store.ts'
import { poll, type Submitter } from '../../../src/relayer/outbox/submit.ts'
import { createLocalSigner, type TransactionSigner } from '../../../src/relayer/signer/signer.ts'
import { anvilKeys, startAnvil } from '../../anvil.ts'
import { deployBoard } from '../counter-contract.ts'
import { databases, type StartedDatabase, truncate } from '../databases.ts'

/** Sees every request of one endpoint; may forward it, change it, answer it, or fail. */
export type Fault = (
  method: string,
  params: unknown,
  forward: () => Promise<unknown>,
) => Promise<unknown>

export interface Endpoint {
  readonly client: PublicClient
  fault: Fault | undefined
}

export interface RigOptions {
  readonly database: OpenDatabase
  readonly endpoints?: number
  readonly finality?: FinalityRule
  readonly rules?: Partial<Rules>
}

export type RigChoices = Omit<RigOptions, 'database'>

/** The same tests on every database; rigs are taken down by themselves. */
export function describeOnDatabases(
  body: (createRigHere: (choices?: RigChoices) => Promise<Rig>) => void,
): void {
  describe.each(databases)('on $name', ({ start }) => {
    let started: StartedDatabase
    let database: OpenDatabase
    let rig: Rig | undefined
    beforeAll(async () => {
      started = await start()
      database = await openDatabase(started.location)
    })
    afterEach(async () => {
      await rig?.stop()
      rig = undefined
    })
    afterAll(async () => {
      await database.close()
      await started.stop()
    })
    body(async (choices = {}) => {
      await truncate(database)
      rig = await createRig({ ...choices, database })
      return rig
    })
  })
}

export type Rig = Awaited<ReturnType<typeof createRig>>

export const chainId = foundry.id

export async function createRig(options: RigOptions) {
  const anvil = await startAnvil({ mining: 'manual' })
  const board = await deployBoard(anvil)
  // Deep enough for every reorg, and for the contract to be final.
  await anvil.client.mine({ blocks: 30 })
  const { database } = options
  const endpoints = Array.from({ length: options.endpoints ?? 1 }, () => createEndpoint(anvil.url))
  const signer = createLocalSigner(anvilKeys[0])
  const rules: Rules = { ...defaultRules, ...options.rules }
  let now = 1_800_000_000
  const disagreements: string[] = []
  const late: string[] = []

  const chainOptions = {
    clients: endpoints.map(({ client }) => client),
    account: signer.address,
    finality: options.finality ?? { depth: 2 },
    targets: { host: board.target },
    onDisagreement: (question: string) => disagreements.push(question),
    onLate: (endpoint: number, isLate: boolean) => late.push(`${endpoint} ${isLate}`),
  }
  const genesis = await identifyChain(chainOptions, chainId)
  const openAccount = () => openStore(database.db, { chainId, account: signer.address, genesis })

  const rig = {
    anvil,
    board,
    database,
    endpoints,
    signer,
    rules,
    disagreements,
    late,
    get endpoint() {
      return endpoints[0] as Endpoint
    },
    get now() {
      return now
    },
    advance(seconds: number) {
      now += seconds
    },
    /** A process of its own on the same database and chain. */
    async startWorker(
      changes: { store?: (store: Store) => Store; signer?: TransactionSigner } = {},
    ) {
      const store = await openAccount()
      return createWorker(
        {
          chainId,
          store: changes.store?.(store) ?? store,
          chain: createChain(chainOptions),
          signer: changes.signer ?? signer,
          rules,
          clock: () => now,
          log: createLog({ service: 'test', level: 'silent' }),
        },
        crypto.randomUUID(),
      )
    },
    enqueue: (key: string, expiresAt = now + 1_000_000) => enqueue(database, key, now, expiresAt),
    status: (id: string) => readQuote(database.db, id),
    async states(id: string) {
      return (await readIntentEvents(database.db, id, 0)).map(({ state }) => state)
    },
    /** Every node forgets what it has not mined. */
    dropPool: () =>
      anvil.client.request({ method: 'anvil_dropAllTransactions', params: [] } as never),
    /** Blocks vanish, and with them what was in them. */
    async reorg(depth: number) {
      await anvil.client.request({ method: 'anvil_reorg', params: [depth, []] } as never)
      await anvil.client.request({ method: 'anvil_dropAllTransactions', params: [] } as never)
    },
    mine: (blocks = 1) => anvil.client.mine({ blocks }),
    stop: () => anvil.stop(),
  }
  return rig
}

export type Worker = ReturnType<typeof createWorker>

function createWorker(submitter: Submitter, holder: string) {
  return {
    submitter,
    async poll() {
      const lease = await submitter.store.lease(holder, 60)
      if (lease === null) throw new Error('another worker holds the lease')
      return poll(submitter, lease)
    },
    async release() {
      const lease = await submitter.store.lease(holder, 60)
      if (lease !== null) await submitter.store.release(lease)
    },
  }
}

function createEndpoint(url: string): Endpoint {
  const inner = http(url, { retryCount: 0 })({ chain: foundry }).request as EIP1193RequestFn
  const endpoint: { fault: Fault | undefined; client?: PublicClient } = { fault: undefined }
  const request: EIP1193RequestFn = (async ({
    method,
    params,
  }: {
    method: string
    params: unknown
  }) => {
    const forward = () => inner({ method, params } as never)
    return endpoint.fault === undefined ? forward() : endpoint.fault(method, params, forward)
  }) as EIP1193RequestFn
  const client = createPublicClient({
    chain: foundry,
    transport: custom({ request }, { retryCount: 0 }),
    cacheTime: 0,
  })
  return Object.assign(endpoint, { client })
}

async function enqueue({ db }: OpenDatabase, key: string, at: number, expiresAt: number) {
  const { id } = await acceptQuote(db, {
    chainId,
    purpose: 'host',
    digest: key as Hex,
    operator: 'test',
    eventLog: '[]',
    verdict: {},
    expiresAt,
    payload: { quote: to0x(new Uint8Array()), permit: null },
    at,
  })
  return id
}

/** Polls and mines until the quote is settled; tells how many polls it took. */
export async function settle(rig: Rig, worker: Worker, id: string, limit = 30): Promise<number> {
  for (let polls = 1; polls <= limit; polls++) {
    await worker.poll()
    const { state } = await rig.status(id)
    if (state === 'final' || state === 'abandoned') return polls
    await rig.mine()
    rig.advance(5)
  }
  throw new Error(`not settled after ${limit} polls: ${JSON.stringify(await rig.status(id))}`)
}
