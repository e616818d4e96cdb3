/**
 * A small Ethereum: blocks, a pool, fees, nonces, reorgs; and endpoints that lag, lie, lose and repeat.
 *
 * The contract on it counts effects and is not idempotent, so that a second one is seen.
 */
import { createHash } from 'node:crypto'

import { type PublicClient, TransactionReceiptNotFoundError } from 'viem'

import type { Hex } from '../../../src/lib/bytes.ts'
import type { TransactionSigner, UnsignedTransaction } from '../../../src/relayer/signer/signer.ts'
import type { Random } from './random.ts'
import type { Ground } from './schedule.ts'

export interface ModelTransaction {
  readonly hash: Hex
  readonly nonce: number
  readonly maxFee: bigint
  readonly tip: bigint
  /** What it records; null if it does nothing. */
  readonly key: string | null
}

interface Block {
  readonly hash: Hex
  readonly transactions: readonly ModelTransaction[]
  /** Keys that strangers record with accounts of their own. */
  readonly foreign: readonly string[]
  readonly baseFee: bigint
  /** Nonces of our account used up to this block. */
  readonly count: number
}

export const account: Hex = `0x${'aa'.repeat(20)}`
const contract: Hex = `0x${'cc'.repeat(20)}`

export class ModelChain {
  readonly blocks: Block[] = []
  readonly pool = new Map<number, ModelTransaction>()
  baseFee = 1_000_000_000n
  /** Takes the next nonce only, as sequencers without a pool do. */
  isStrict = false
  refused: string | null = null
  isSilent = false
  /** Called with each transaction before the node looks at it. */
  onReceived: Ground['onReceived'] = () => undefined
  /** Everything that ever reached a node. */
  readonly #received: ModelTransaction[] = []
  /** Number of the block that contains a transaction, and of those that record a key. */
  readonly #places = new Map<Hex, number>()
  readonly #records = new Map<string, number[]>()
  #serial = 0

  constructor() {
    for (let i = 0; i < 30; i++) this.#append([])
  }

  get height(): number {
    return this.blocks.length - 1
  }

  mine(blocks = 1): void {
    for (let i = 0; i < blocks; i++) this.#append(this.#takeFromPool())
  }

  /** Replaces the last blocks; what was in them goes back to the pool or is lost. */
  reorg(depth: number, keep: () => boolean): void {
    const gone = this.blocks.splice(this.blocks.length - depth)
    for (const { transactions, foreign } of gone) {
      for (const { hash } of transactions) this.#places.delete(hash)
      for (const key of [...transactions.map((each) => each.key), ...foreign]) {
        if (key !== null) this.#records.get(key)?.pop()
      }
    }
    for (const transaction of gone.flatMap(({ transactions }) => transactions)) {
      if (keep()) this.pool.set(transaction.nonce, transaction)
    }
    this.#append(
      [],
      gone.flatMap(({ foreign }) => foreign).filter(() => keep()),
    )
    for (let i = 0; i < depth; i++) this.#append([])
  }

  /** Somebody else brings the effect, with an account of his own. */
  bring(key: string): void {
    this.#append([], [key])
  }

  /** Somebody else with the same key. */
  intrude(): void {
    const nonce = this.countAt(this.height)
    this.pool.delete(nonce)
    const hash = hashOf(`intruder ${this.#serial++}`)
    this.#append([{ hash, nonce, maxFee: 0n, tip: 0n, key: null }])
  }

  /** Dearer than what we offer in a calm market, cheaper than a block of a busy one. */
  outbid(): void {
    const nonce = this.countAt(this.height)
    const hash = hashOf(`rival ${this.#serial++}`)
    this.pool.set(nonce, { hash, nonce, maxFee: 20_000_000_000n, tip: 19_000_000_000n, key: null })
  }

  /** Some of what was ever received spreads again, also what was replaced since. */
  gossip(random: Random): void {
    const count = this.countAt(this.height)
    for (const transaction of this.#received) {
      if (transaction.nonce >= count && random.chance(0.3)) {
        this.pool.set(transaction.nonce, transaction)
      }
    }
  }

  countAt(height: number): number {
    return this.blocks[height]?.count ?? 0
  }

  effects(key: string, height = this.height): number {
    return this.#records.get(key)?.filter((number) => number <= height).length ?? 0
  }

  find(hash: Hex, height: number) {
    const number = this.#places.get(hash)
    if (number === undefined || number > height) return undefined
    return { number, blockHash: this.blocks[number]?.hash as Hex }
  }

  /** As a node answers `eth_sendRawTransaction`. */
  receive(transaction: ModelTransaction): void {
    this.onReceived(transaction)
    if (transaction.key !== null && transaction.key === this.refused) {
      throw new Error('intrinsic gas too low')
    }
    this.#received.push(transaction)
    const count = this.countAt(this.height)
    if (transaction.nonce < count) throw new Error('nonce too low')
    const rival = this.pool.get(transaction.nonce)
    if (rival?.hash === transaction.hash) throw new Error('already known')
    if (rival !== undefined && !outbids(transaction, rival)) {
      throw new Error('replacement transaction underpriced')
    }
    if (this.isStrict) {
      for (let nonce = count; nonce < transaction.nonce; nonce++) {
        if (!this.pool.has(nonce)) throw new Error('nonce too high')
      }
    }
    this.pool.set(transaction.nonce, transaction)
  }

  #takeFromPool(): ModelTransaction[] {
    const taken: ModelTransaction[] = []
    for (let nonce = this.countAt(this.height); ; nonce++) {
      const next = this.pool.get(nonce)
      if (next === undefined || next.maxFee < this.baseFee) return taken
      this.pool.delete(nonce)
      taken.push(this.isSilent ? { ...next, key: null } : next)
    }
  }

  #append(transactions: readonly ModelTransaction[], foreign: readonly string[] = []): void {
    const hash = hashOf(`block ${this.#serial++}`)
    const number = this.blocks.length
    const count = this.countAt(number - 1) + transactions.length
    this.blocks.push({ hash, transactions, foreign, baseFee: this.baseFee, count })
    for (const transaction of transactions) this.#places.set(transaction.hash, number)
    for (const key of [...transactions.map((each) => each.key), ...foreign]) {
      if (key === null) continue
      const known = this.#records.get(key)
      if (known === undefined) this.#records.set(key, [number])
      else known.push(number)
    }
    for (const nonce of this.pool.keys()) if (nonce < count) this.pool.delete(nonce)
  }
}

/** geth's rule: a tenth more on both fields. */
function outbids(challenger: ModelTransaction, rival: ModelTransaction): boolean {
  return challenger.maxFee * 10n >= rival.maxFee * 11n && challenger.tip * 10n >= rival.tip * 11n
}

export function hashOf(text: string): Hex {
  return `0x${createHash('sha256').update(text).digest('hex')}`
}

/* SIGNING */

let signatures = 0

/** Like a remote signer with random nonces in its signatures: signing twice gives two hashes. */
export const modelSigner: TransactionSigner = {
  address: account,
  async sign(transaction: UnsignedTransaction) {
    const { nonce, maxFee, tip, data } = transaction
    const key = data === '0x' ? null : Buffer.from(data.slice(2), 'hex').toString()
    const text = JSON.stringify({
      nonce,
      maxFee: `${maxFee}`,
      tip: `${tip}`,
      key,
      id: signatures++,
    })
    return { raw: `0x${Buffer.from(text).toString('hex')}`, hash: hashOf(text) }
  },
}

function decode(raw: Hex): ModelTransaction {
  const text = Buffer.from(raw.slice(2), 'hex').toString()
  const { nonce, maxFee, tip, key } = JSON.parse(text)
  return { hash: hashOf(text), nonce, maxFee: BigInt(maxFee), tip: BigInt(tip), key }
}

/** Calldata of the model's contract: the key itself. */
export function encodeKey(key: string): { to: Hex; data: Hex } {
  return { to: contract, data: `0x${Buffer.from(key).toString('hex')}` }
}

/* ENDPOINTS */

export type EndpointFault =
  | 'none'
  | 'silent'
  | 'accepts-then-times-out'
  | 'swallows'
  | 'stale'
  | 'denies-receipts'
  | 'invents-receipts'
  | 'invents-blocks'
  | 'rejects'

/** Decides at each call which fault happens. */
export type FaultSource = (method: string) => EndpointFault

/** The part of a viem client that the relayer uses, on the model. */
export function createModelClient(
  chain: ModelChain,
  faultOf: FaultSource,
  random: Random,
  lag = 0,
): PublicClient {
  const view = (fault: EndpointFault) =>
    fault === 'stale' ? Math.max(25, chain.height - random.int(1, 6)) : chain.height - lag
  const ask = (method: string): EndpointFault => {
    const fault = faultOf(method)
    if (fault === 'silent') throw new Error('fetch failed')
    return fault
  }
  const requireBlock = (number: number, height: number) => {
    const block = chain.blocks[number]
    if (block === undefined || number > height) throw new Error('header not found')
    return block
  }
  const client = {
    async getBlock({ blockNumber }: { blockNumber?: bigint } = {}) {
      const fault = ask('getBlock')
      const height = view(fault)
      if (fault === 'invents-blocks' && blockNumber === undefined) {
        return { number: BigInt(height + 5), hash: hashOf(`lie ${height}`), baseFeePerGas: 1n }
      }
      const number = blockNumber === undefined ? height : Number(blockNumber)
      const { hash, baseFee } = requireBlock(number, height)
      return { number: BigInt(number), hash, baseFeePerGas: baseFee }
    },
    async getTransactionCount({ blockNumber }: { blockNumber: bigint }) {
      const height = view(ask('getTransactionCount'))
      requireBlock(Number(blockNumber), height)
      return chain.countAt(Number(blockNumber))
    },
    async getTransactionReceipt({ hash }: { hash: Hex }) {
      const fault = ask('getTransactionReceipt')
      const found = chain.find(hash, view(fault))
      if (fault === 'invents-receipts')
        return receipt(hash, chain.height - 1, hashOf(`lie ${hash}`))
      if (found === undefined || fault === 'denies-receipts') {
        throw new TransactionReceiptNotFoundError({ hash })
      }
      return receipt(hash, found.number, found.blockHash)
    },
    async sendRawTransaction({ serializedTransaction }: { serializedTransaction: Hex }) {
      const fault = ask('sendRawTransaction')
      if (fault === 'rejects') throw new Error('intrinsic gas too low')
      const transaction = decode(serializedTransaction)
      if (fault !== 'swallows') chain.receive(transaction)
      if (fault === 'accepts-then-times-out') throw new Error('The request timed out.')
      return transaction.hash
    },
    async call() {
      if (ask('call') === 'rejects') throw new Error('execution reverted')
      return {}
    },
    async estimateGas() {
      ask('estimateGas')
      return 50_000n
    },
    async estimateMaxPriorityFeePerGas() {
      ask('estimateMaxPriorityFeePerGas')
      return 1_000_000_000n
    },
    async getBalance() {
      return 10n ** 18n
    },
    effectsAt(key: string, blockNumber: bigint) {
      const height = view(ask('effectsAt'))
      requireBlock(Number(blockNumber), height)
      return chain.effects(key, Number(blockNumber))
    },
  }
  return client as unknown as PublicClient
}

/** What `isDone` of the model's target asks. */
export function readEffects(client: PublicClient, key: string, blockNumber: bigint): number {
  return (
    client as unknown as ReturnType<typeof Object> & {
      effectsAt(key: string, blockNumber: bigint): number
    }
  ).effectsAt(key, blockNumber)
}

function receipt(transactionHash: Hex, number: number, blockHash: Hex) {
  return {
    transactionHash,
    blockNumber: BigInt(number),
    blockHash,
    status: 'success',
    gasUsed: 50_000n,
    effectiveGasPrice: 1_000_000_000n,
  }
}

/** The model as the ground of a schedule. */
export function createModelGround(): Ground {
  const chain = new ModelChain()
  return {
    chainId: 1,
    signer: modelSigner,
    maxReorg: 20,
    target: {
      errors: [],
      parsePermit: (value) => ({ value, deadline: null }),
      encode: ({ key }) => encodeKey(key),
      isDone: async ({ key }, client, blockNumber) => readEffects(client, key, blockNumber) > 0,
    },
    mine: async (blocks) => chain.mine(blocks),
    reorg: async (depth, random) => {
      const keeps = random.next()
      chain.reorg(depth, () => random.chance(keeps))
    },
    intrude: async () => chain.intrude(),
    bring: async (key) => chain.bring(key),
    outbid: async () => chain.outbid(),
    setBaseFee: async (wei) => {
      chain.baseFee = wei
    },
    forget: async (random) => {
      for (const nonce of [...chain.pool.keys()]) if (random.chance(0.5)) chain.pool.delete(nonce)
    },
    gossip: async (random) => chain.gossip(random),
    createClient: (faultOf, random, lag) => createModelClient(chain, faultOf, random, lag),
    blockOf: async (hash) => chain.find(hash, chain.height)?.blockHash,
    effects: async (key, blocksAgo = 0) => chain.effects(key, chain.height - blocksAgo),
    count: async (blocksAgo = 0) => chain.countAt(chain.height - blocksAgo),
    get onReceived() {
      return chain.onReceived
    },
    set onReceived(observer) {
      chain.onReceived = observer
    },
    get isSilent() {
      return chain.isSilent
    },
    set isSilent(value) {
      chain.isSilent = value
    },
    get refused() {
      return chain.refused
    },
    set refused(key) {
      chain.refused = key
    },
    get isStrict() {
      return chain.isStrict
    },
    set isStrict(value) {
      chain.isStrict = value
    },
  }
}
