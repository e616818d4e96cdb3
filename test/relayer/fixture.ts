/** Everything the keepers meet, for real: a DAO with its registries on anvil, machines, a relayer on SQL. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import hre from 'hardhat'
import { createPublicClient, type EIP1193Provider, http, type PublicClient, parseEther } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import type { Addresses } from '../../src/chain/record/deployments.ts'
import { standardHostRules } from '../../src/deploy/deploy.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import type { Collateral } from '../../src/quote/collateral/collateral.ts'
import { parsePolicy } from '../../src/quote/policy.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import {
  createChain,
  createReader,
  identifyChain,
  type QuorumReader,
} from '../../src/relayer/endpoints/quorum.ts'
import { createSubmissionVerifier } from '../../src/relayer/intake/verify-quote.ts'
import type { Targets } from '../../src/relayer/outbox/intent-targets.ts'
import { defaultRules } from '../../src/relayer/outbox/run-outbox.ts'
import { openStore } from '../../src/relayer/outbox/store.ts'
import { poll } from '../../src/relayer/outbox/submit.ts'
import { createLocalSigner, type TransactionSigner } from '../../src/relayer/signer/signer.ts'
import { createSimulator, type Simulator } from '../../src/tee/simulator/simulator.ts'
import { type Anvil, startAnvil } from '../anvil.ts'
import { createDao, type Dao, hardhatArtifacts } from '../chain/dao.ts'
import { truncate } from './databases.ts'

export interface RelayerFixture {
  readonly anvil: Anvil
  readonly client: PublicClient
  readonly dao: Dao
  readonly addresses: Required<Addresses>
  readonly simulator: Simulator
  readonly signer: TransactionSigner
  readonly database: OpenDatabase
  readonly reader: QuorumReader
  readonly clock: () => number
  /** Lets the chain's clock and ours run on, and a block come. */
  pass(seconds: number): Promise<void>
  /** Polls and mines until nothing waits any more; gives the gas spent since the last call. */
  drain(targets: Targets): Promise<bigint>
  /** Loses the database; the chain stays. */
  empty(): Promise<void>
  /** The deployed fixture with an empty database again, at the current time. */
  reset(): Promise<void>
  stop(): Promise<void>
}

export const log = createLog({ service: 'test', level: 'silent' })

export interface FixtureOptions {
  readonly isOpen?: boolean
  readonly maxLifetime?: number
  readonly seed?: number
}

export async function createFixture(options: FixtureOptions = {}): Promise<RelayerFixture> {
  const anvil = await startAnvil()
  const client = createPublicClient({
    chain: foundry,
    transport: http(anvil.url, { batch: true }),
    cacheTime: 0,
    pollingInterval: 20,
  })
  let offset = 0
  const clock = () => Math.floor(Date.now() / 1000) + offset
  const simulator = createSimulator({
    seed: new Uint8Array(32).fill(options.seed ?? 9),
    at: clock(),
  })
  const dao = await createDao({
    provider: { request: anvil.client.request } as unknown as EIP1193Provider,
    artifacts: hardhatArtifacts(hre),
    mode: 'anvil',
    attestation: {
      root: simulator.rootCertificate,
      hosts: {
        ...standardHostRules,
        isOpen: options.isOpen ?? true,
        maxLifetime: options.maxLifetime ?? standardHostRules.maxLifetime,
      },
    },
  })
  const signer = createLocalSigner(generatePrivateKey())
  await anvil.client.setBalance({ address: signer.address, value: parseEther('100') })
  const database = await openDatabase({ memory: true })
  const endpoints = { clients: [client], finality: { depth: 0 } }
  const genesis = await identifyChain(endpoints, foundry.id)
  const key = { chainId: foundry.id, account: signer.address, genesis }
  let store = await openStore(database.db, key)
  let spentUpTo = await client.getBalance({ address: signer.address })

  const syncClock = async () => {
    const { timestamp } = await client.getBlock()
    offset = Math.max(offset, Number(timestamp) - Math.floor(Date.now() / 1000))
  }
  await syncClock()
  let snapshot = await anvil.client.snapshot()
  return {
    anvil,
    client,
    dao,
    addresses: dao.addresses as Required<Addresses>,
    simulator,
    signer,
    database,
    reader: createReader(endpoints),
    clock,
    async pass(seconds) {
      offset += seconds
      await anvil.client.increaseTime({ seconds })
      await anvil.client.mine({ blocks: 1 })
      await syncClock()
    },
    async drain(targets) {
      const chain = createChain({ ...endpoints, account: signer.address, targets })
      const lease = await store.lease('drain', 60)
      if (lease === null) throw new Error('somebody else holds the lease')
      const submitter = {
        chainId: foundry.id,
        store,
        chain,
        signer,
        rules: { ...defaultRules, maxInFlight: 64 },
        clock,
        log,
      }
      for (let polls = 0; polls < 400; polls++) {
        const { outbox } = await poll(submitter, lease)
        const isBusy =
          outbox.awaitingFinality.length > 0 ||
          outbox.slots.some(({ state }) => !['final', 'abandoned'].includes(state))
        const waiting = [...outbox.intents.values()].filter(({ state }) => state === 'queued')
        if (!isBusy && waiting.length === 0) break
        if (!isBusy) {
          const soonest = Math.min(...waiting.map(({ notBefore }) => notBefore))
          if (soonest > clock()) offset += soonest - clock()
        }
      }
      const left = await client.getBalance({ address: signer.address })
      const spent = spentUpTo - left
      spentUpTo = left
      return spent
    },
    async empty() {
      await truncate(database)
      store = await openStore(database.db, key)
    },
    async reset() {
      await anvil.client.revert({ id: snapshot })
      snapshot = await anvil.client.snapshot()
      // time does not go back with the chain
      await anvil.client.setNextBlockTimestamp({ timestamp: BigInt(clock()) })
      await anvil.client.mine({ blocks: 1 })
      await truncate(database)
      store = await openStore(database.db, key)
      spentUpTo = await client.getBalance({ address: signer.address })
    },
    async stop() {
      await database.close()
      await anvil.stop()
    },
  }
}

/** Verifies by the simulator's root, with the collateral of the moment. */
export function createFixtureVerifier(
  fixture: RelayerFixture,
  collateral: () => Promise<Collateral>,
) {
  return createSubmissionVerifier({
    clock: fixture.clock,
    collateral,
    root: fixture.simulator.rootCertificate,
    policy: parsePolicy({}),
  })
}

export function createWallet(): { key: Hex; address: Hex } {
  const key = generatePrivateKey()
  return { key, address: privateKeyToAccount(key).address.toLowerCase() as Hex }
}

export async function socketPath(name: string): Promise<string> {
  return path.join(await mkdtemp(path.join(tmpdir(), 'assent-agent-')), `${name}.sock`)
}
