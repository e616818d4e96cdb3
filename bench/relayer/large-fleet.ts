/**
 * A large fleet on a chain with Ethereum's blocks and finality, by a virtual clock: the relayer's own renewal, watch,
 * outbox and SQL on embedded Postgres. The chain, the machines' quotes and their verification are simulated, so that only
 * what the relayer itself costs is measured; bench/relayer/fleet.ts has the real contracts and quotes, for fewer machines.
 *
 * `node bench/relayer/large-fleet.ts MACHINES [DAYS]` prints the figures as JSON.
 */
import {
  decodeFunctionData,
  encodeAbiParameters,
  encodeEventTopics,
  getAbiItem,
  hexToString,
  keccak256,
  type PublicClient,
  stringToHex,
  TransactionReceiptNotFoundError,
} from 'viem'

import { hostsAbi } from '../../src/chain/abi.ts'
import { hostReportData } from '../../src/chain/registries/hosts.ts'
import { concatBytes, fromHex, type Hex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import { openDatabase } from '../../src/relayer/database/database.ts'
import { createChain, createReader } from '../../src/relayer/endpoints/quorum.ts'
import { createHostTarget } from '../../src/relayer/outbox/intent-targets.ts'
import { defaultRules } from '../../src/relayer/outbox/run-outbox.ts'
import { openStore } from '../../src/relayer/outbox/store.ts'
import { poll } from '../../src/relayer/outbox/submit.ts'
import type { TransactionSigner } from '../../src/relayer/signer/signer.ts'
import { watchHosts } from '../../src/relayer/upkeep/host-events.ts'
import {
  insertHosts,
  type RenewalOptions,
  type RenewedHost,
  runRenewal,
} from '../../src/relayer/upkeep/renewal.ts'

const day = 86_400
const blockSeconds = 12
/** Fifteen minutes. */
const finality = 75
/** What nodes keep of one account for sure, so what a block may take of it. */
const perBlock = 16
const lifetime = 30 * day
const registry: Hex = `0x${'aa'.repeat(20)}`
const verifier: Hex = `0x${'bb'.repeat(20)}`
const account: Hex = `0x${'cc'.repeat(20)}`
const gwei = 10n ** 9n

interface Sent {
  readonly nonce: number
  readonly maxFee: string
  readonly data: Hex
}

interface Proof {
  readonly block: number
  readonly attestedAt: number
  readonly expiresAt: number
  readonly provenAtBlock: number
}

/** Blocks every twelve seconds, base fees between 5 and 45 gwei in each day, one registry of hosts. */
class Ethereum {
  readonly start: number
  readonly proofs = new Map<Hex, Proof[]>()
  readonly #counts: number[] = []
  readonly #pool = new Map<number, { hash: Hex; sent: Sent }>()
  readonly #mined = new Map<Hex, { block: number; sent: Sent }>()
  readonly #logs = new Map<number, object[]>()

  constructor(start: number) {
    this.start = start
    for (let block = 0; block < finality + 5; block++) this.mine()
  }

  get height(): number {
    return this.#counts.length - 1
  }
  get now(): number {
    return this.timeOf(this.height)
  }
  timeOf(block: number): number {
    return this.start + block * blockSeconds
  }
  baseFee(block: number): bigint {
    const part = (this.timeOf(block) % day) / day
    return BigInt(Math.round((25 + 20 * Math.sin(2 * Math.PI * part)) * 1e9))
  }
  hashOf(block: number): Hex {
    return keccak256(stringToHex(`block ${block}`))
  }

  mine(): void {
    const block = this.#counts.length
    let count = this.#counts.at(-1) ?? 0
    for (let taken = 0; taken < perBlock; taken++) {
      const next = this.#pool.get(count)
      if (next === undefined || BigInt(next.sent.maxFee) < this.baseFee(block)) break
      this.#pool.delete(count)
      count += 1
      this.#mined.set(next.hash, { block, sent: next.sent })
      this.#execute(block, next.hash, next.sent)
    }
    this.#counts.push(count)
  }

  #execute(block: number, transactionHash: Hex, { data }: Sent): void {
    if (data === '0x') return
    const { functionName, args } = decodeFunctionData({ abi: hostsAbi, data })
    if (functionName !== 'register') throw new Error(`${functionName} is not simulated`)
    const deviceId = args[0].slice(0, 66) as Hex
    const attestedAt = this.timeOf(block)
    const proof = {
      block,
      attestedAt,
      expiresAt: attestedAt + lifetime,
      provenAtBlock: Number(args[1]),
    }
    const known = this.proofs.get(deviceId)
    if (known === undefined) this.proofs.set(deviceId, [proof])
    else known.push(proof)
    const log = {
      address: registry,
      ...encodeProven(deviceId, this.host(deviceId, block)),
      blockNumber: BigInt(block),
      blockHash: this.hashOf(block),
      transactionHash,
      transactionIndex: 0,
      logIndex: 0,
      removed: false,
    }
    this.#logs.set(block, [...(this.#logs.get(block) ?? []), log])
  }

  host(deviceId: Hex, block: number) {
    const proof = this.proofs.get(deviceId)?.findLast((each) => each.block <= block)
    const zero = (bytes: number): Hex => `0x${'00'.repeat(bytes)}`
    return {
      operator: proof === undefined ? zero(20) : account,
      attestedAt: proof?.attestedAt ?? 0,
      expiresAt: proof?.expiresAt ?? 0,
      status: proof === undefined ? 0 : 1,
      fmspc: zero(6),
      tcbEvaluationNumber: 20,
      qeEvaluationNumber: 20,
      approvalVersion: 0,
      tcbDate: 0,
      provenAtBlock: proof?.provenAtBlock ?? 0,
      advisories: zero(32),
      platformInstanceId: zero(16),
      quoteDigest: zero(16),
    }
  }

  /** The part of a viem client that the relayer uses. */
  client(): PublicClient {
    const describeBlock = (block: number) => ({
      number: BigInt(block),
      hash: this.hashOf(block),
      timestamp: BigInt(this.timeOf(block)),
      baseFeePerGas: this.baseFee(block),
    })
    const read = (functionName: string, args: readonly unknown[], block: number): unknown => {
      if (functionName === 'hostOf') return this.host(args[0] as Hex, block)
      if (functionName === 'approvalOf') return 0n
      if (functionName === 'verify') return { verdict: 1, expiresAt: this.now + 2 * lifetime }
      return { window: 256, attestedSince: 0, minLifetime: 0, maxLifetime: lifetime }
    }
    return {
      getBlock: async ({ blockNumber }: { blockNumber?: bigint } = {}) =>
        describeBlock(blockNumber === undefined ? this.height : Number(blockNumber)),
      getTransactionCount: async ({ blockNumber }: { blockNumber: bigint }) =>
        this.#counts[Number(blockNumber)] ?? 0,
      getTransactionReceipt: async ({ hash }: { hash: Hex }) => {
        const found = this.#mined.get(hash)
        if (found === undefined) throw new TransactionReceiptNotFoundError({ hash })
        const { block } = found
        return {
          blockNumber: BigInt(block),
          blockHash: this.hashOf(block),
          status: 'success',
          gasUsed: 300_000n,
          effectiveGasPrice: this.baseFee(block),
        }
      },
      getTransaction: async ({ hash }: { hash: Hex }) => {
        return { to: registry, input: this.#mined.get(hash)?.sent.data ?? '0x' }
      },
      sendRawTransaction: async ({ serializedTransaction }: { serializedTransaction: Hex }) => {
        const sent = JSON.parse(hexToString(serializedTransaction)) as Sent
        const hash = keccak256(serializedTransaction)
        if (sent.nonce >= (this.#counts.at(-1) ?? 0)) this.#pool.set(sent.nonce, { hash, sent })
        return hash
      },
      call: async () => ({}),
      estimateGas: async () => 300_000n,
      estimateMaxPriorityFeePerGas: async () => gwei,
      getBalance: async () => 10n ** 21n,
      readContract: async ({
        functionName,
        args = [],
        blockNumber,
      }: {
        functionName: string
        args?: readonly unknown[]
        blockNumber?: bigint
      }) => read(functionName, args, blockNumber === undefined ? this.height : Number(blockNumber)),
      getLogs: async ({ fromBlock, toBlock }: { fromBlock: bigint; toBlock: bigint }) => {
        const found: object[] = []
        for (let block = Number(fromBlock); block <= Number(toBlock); block++) {
          found.push(...(this.#logs.get(block) ?? []))
        }
        return found
      },
    } as unknown as PublicClient
  }
}

function encodeProven(deviceId: Hex, host: object): { topics: unknown; data: Hex } {
  const args = {
    deviceId,
    operator: account,
    quoteId: `0x${'00'.repeat(32)}`,
    host,
    advisories: [],
  }
  const { inputs } = getAbiItem({ abi: hostsAbi, name: 'HostProven' })
  const plain = inputs.filter((input) => !('indexed' in input && input.indexed))
  const topics = encodeEventTopics({ abi: hostsAbi, eventName: 'HostProven', args } as never)
  return { topics, data: encodeAbiParameters(plain, [host, []] as never) }
}

const signer: TransactionSigner = {
  address: account,
  async sign({ nonce, maxFee, data }) {
    const raw = stringToHex(JSON.stringify({ nonce, maxFee: `${maxFee}`, data }))
    return { raw, hash: keccak256(raw) }
  },
}

function createMachine(index: number): RenewedHost {
  const deviceId: Hex = `0x${index.toString(16).padStart(64, '0')}`
  return {
    deviceId,
    purpose: 'host',
    operator: account,
    // As long as a quote that names a platform which the verifier knows.
    agent: async ({ binding }) => ({
      quote: concatBytes(
        fromHex(deviceId, 'deviceId'),
        hostReportData(binding),
        new Uint8Array(1_400),
      ),
      eventLog: '[]',
      signature: undefined,
      record: null,
    }),
  }
}

export interface LargeFleetResult {
  readonly machines: number
  readonly days: number
  /** Proofs that ended before a newer one was on chain, and machines without any. */
  readonly lapsed: number
  readonly proofs: number
  /** Days until every machine had its first proof. */
  readonly daysToBringIn: number
  readonly mostUnfinal: number
  /** Milliseconds of a poll while something was under way. */
  readonly pollMs: { readonly median: number; readonly p99: number }
  readonly roundMs: { readonly median: number; readonly p99: number }
  readonly rssMiB: number
}

export async function runLargeFleet(machines: number, days: number): Promise<LargeFleetResult> {
  const chain = new Ethereum(1_800_000_000)
  const { db, vacuum, close } = await openDatabase({ memory: true })
  const clock = () => chain.now
  const log = createLog({ service: 'bench', level: 'silent' })
  const clients = [chain.client()]
  const endpoints = { clients, finality: { depth: finality } }
  const kept: RenewalOptions & { fromBlock: number; span: number } = {
    db,
    chainId: 1,
    reader: createReader(endpoints),
    registry,
    verifier,
    account,
    renewedHosts: Array.from({ length: machines }, (_, index) => createMachine(index)),
    verifySubmission: async ({ quote }) => ({
      ok: true,
      signedBytes: quote,
      deviceId: quote.subarray(0, 32),
      expiresAt: chain.now + lifetime,
      facts: {},
    }),
    rules: {
      renewBefore: 5 * day,
      jitter: day,
      urgentBefore: day,
      maxBaseFee: 30n * gwei,
      minimumExtension: 2 * day,
      minimumRemainingValidity: 3_600,
    },
    usesRecords: false,
    clock,
    log,
    fromBlock: 0,
    span: 5_000,
  }
  const store = await openStore(db, { chainId: 1, account, genesis: chain.hashOf(0) })
  const lease = await store.lease('bench', 86_400)
  if (lease === null) throw new Error('no lease')
  const targets = { host: createHostTarget(registry) }
  const submitter = {
    chainId: 1,
    store,
    chain: createChain({ ...endpoints, account, targets }),
    signer,
    rules: defaultRules,
    clock,
    log,
  }
  const pollMs: number[] = []
  const roundMs: number[] = []
  let mostUnfinal = 0
  let broughtIn: number | undefined
  let isBusy = true
  const end = chain.now + days * day
  await insertHosts(kept)
  for (let block = 0; chain.now < end; block++) {
    chain.mine()
    // The service looks every minute, and polls every two seconds; here once a block while there is work.
    if (block % 5 === 0) {
      const before = performance.now()
      const hasMore = await runRenewal(kept)
      roundMs.push(performance.now() - before)
      while (await watchHosts(kept));
      await vacuum()
      if (hasMore) isBusy = true
    }
    const before = performance.now()
    const { outbox } = await poll(submitter, lease)
    const unfinal = outbox.awaitingFinality.length + outbox.slots.length
    if (unfinal > 0 || outbox.intents.size > 0) pollMs.push(performance.now() - before)
    mostUnfinal = Math.max(mostUnfinal, unfinal)
    if (chain.proofs.size === machines) broughtIn ??= chain.now
    isBusy = isBusy || unfinal > 0 || outbox.intents.size > 0
    // Where nothing is under way, an hour passes at once: each machine is looked at that often.
    if (!isBusy) for (let skipped = 0; skipped < 300 && chain.now < end; skipped++) chain.mine()
    if (block % 5 === 0) isBusy = unfinal > 0 || outbox.intents.size > 0
  }
  await close()
  const all = [...chain.proofs.values()]
  const lapses = all.flatMap((own) =>
    own.filter(({ expiresAt }, index) => expiresAt <= (own[index + 1]?.attestedAt ?? end)),
  )
  return {
    machines,
    days,
    lapsed: lapses.length + machines - all.length,
    proofs: all.reduce((sum, own) => sum + own.length, 0),
    daysToBringIn: ((broughtIn ?? Number.POSITIVE_INFINITY) - chain.start) / day,
    mostUnfinal,
    pollMs: percentiles(pollMs),
    roundMs: percentiles(roundMs),
    rssMiB: process.memoryUsage().rss / 2 ** 20,
  }
}

function percentiles(values: readonly number[]): { median: number; p99: number } {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0
  return { median: at(0.5), p99: at(0.99) }
}

if (import.meta.main) {
  const [machines = 1_000, days = 32] = process.argv.slice(2).map(Number)
  console.log(JSON.stringify(await runLargeFleet(machines, days), null, 2))
}
