/**
 * A local copy of a chain: executes calls in this process, on the state at one block. Nothing is sent.
 *
 * The interpreter is EthereumJS with the rules of the Osaka fork: CLZ (EIP-7939), the P-256 precompile (EIP-7951) and
 * the gas limit of a transaction (EIP-7825).
 */
import { Common, Hardfork, Mainnet } from '@ethereumjs/common'
import { createEVM, type EVM, type EVMResult, type Message } from '@ethereumjs/evm'
import { bytesToHex, createAddressFromString, hexToBytes } from '@ethereumjs/util'
import { keccak_256 } from '@noble/hashes/sha3.js'

import { type Hex, to0x } from '../../lib/bytes.ts'
import type { BlockState } from './block-state.ts'
import { type ChangedAccount, type ChangedWord, LocalState, type ReadSet } from './local-state.ts'

/** Gas that one transaction may use (EIP-7825). */
export const transactionGasLimit = 16_777_216n

/** Gas of a read: enough for `isAppAllowed`, which forwards at most one million to the app. */
const readGas = 10_000_000n

/** A call to execute. */
export interface LocalCall {
  /** The sender; it needs no key. */
  readonly from: Hex
  /** The called contract. */
  readonly to: Hex
  /** Calldata. */
  readonly data: Hex
  /** Wei; default 0. */
  readonly value?: bigint
}

/** One call that a contract made during an execution. */
export interface TracedCall {
  /** 0 for the call from outside. */
  readonly depth: number
  readonly from: Hex
  /** The account whose storage is used; undefined for a creation. */
  readonly to: Hex | undefined
  /** The account whose code runs; differs from `to` in a delegate call. */
  readonly code: Hex | undefined
  /** Wei. */
  readonly value: bigint
  /** Calldata. */
  readonly data: Hex
  /** True if this call reverted, also if its caller caught it. */
  failed: boolean
}

/** A log as a contract emitted it. */
export interface LocalLog {
  readonly address: Hex
  /** Up to four topics of 32 bytes. */
  readonly topics: readonly Hex[]
  readonly data: Hex
}

/** The result of a call. */
export interface LocalResult {
  /** False for a revert, an invalid opcode, or too little gas. */
  readonly succeeded: boolean
  /** Return data, or revert data. */
  readonly data: Hex
  /** EthereumJS's name of the failure, for example `revert` or `out of gas`. */
  readonly failure: string | undefined
  /** Gas of the execution. */
  readonly gasUsed: bigint
}

/** The result of a transaction. */
export interface LocalExecution extends LocalResult {
  /** Events in the order of emission. */
  readonly logs: readonly LocalLog[]
  /** Every call in the order in which it began. */
  readonly calls: readonly TracedCall[]
}

/** Longest list of traced calls. A transaction cannot make more calls with its gas. */
const maxTracedCalls = 100_000

/** 64-byte preimages of keccak-256 by digest: the keys of mappings. */
export type Preimages = ReadonlyMap<Hex, Hex>

/**
 * A local copy of a chain. Calls run one after the other.
 *
 * @example
 * const chain = await LocalChain.open(await openBlockState(client))
 * const { succeeded, logs } = await chain.execute({ from, to, data }, { timestamp })
 */
export class LocalChain {
  readonly #state: BlockState
  readonly #local: LocalState
  readonly #evm: EVM
  readonly #preimages: Map<Hex, Hex>
  /** Number and time of the newest block of the copy. */
  #head: { number: bigint; timestamp: number }
  #last: Promise<unknown> = Promise.resolve()

  private constructor(
    state: BlockState,
    local: LocalState,
    evm: EVM,
    preimages: Map<Hex, Hex>,
    head: { number: bigint; timestamp: number },
  ) {
    this.#state = state
    this.#local = local
    this.#evm = evm
    this.#preimages = preimages
    this.#head = head
  }

  /** Opens a copy of the state with the block environment of its block. Changes stay in this process. */
  static async open(state: BlockState): Promise<LocalChain> {
    const { number, timestamp } = state.block
    return LocalChain.#create(state, new LocalState(state), new Map(), { number, timestamp })
  }

  static async #create(
    state: BlockState,
    local: LocalState,
    preimages: Map<Hex, Hex>,
    head: { number: bigint; timestamp: number },
  ): Promise<LocalChain> {
    const keccak256 = (bytes: Uint8Array): Uint8Array => {
      const digest = keccak_256(bytes)
      if (bytes.length === 64) preimages.set(to0x(digest), to0x(bytes))
      return digest
    }
    const common = new Common({
      chain: { ...Mainnet, chainId: state.chainId },
      hardfork: Hardfork.Osaka,
      customCrypto: { keccak256 },
    })
    const evm = (await createEVM({
      common,
      stateManager: local,
      blockchain: {
        getBlock: async (number: number) => {
          const hash = await state.hashOf(BigInt(number))
          return { hash: () => hexToBytes(hash) }
        },
        putBlock: async () => {},
        shallowCopy() {
          return this
        },
      },
    })) as EVM
    return new LocalChain(state, local, evm, preimages, head)
  }

  /** EIP-155 id of the copied chain. */
  get chainId(): number {
    return this.#state.chainId
  }

  /** The block from which the copy was made. */
  get origin(): BlockState['block'] {
    return this.#state.block
  }

  /** Number and time of the newest block. */
  get head(): { readonly number: bigint; readonly timestamp: number } {
    return this.#head
  }

  /** Keys of mappings that the executed code computed. */
  get preimages(): Preimages {
    return this.#preimages
  }

  /** An independent copy of the current state. */
  fork(): Promise<LocalChain> {
    return this.#inOrder(() =>
      LocalChain.#create(this.#state, this.#local.fork(), new Map(this.#preimages), this.#head),
    )
  }

  /** Assumes that a storage word had this value at the block; it does not count as a change. */
  assume(address: Hex, slot: Hex, value: bigint): void {
    this.#local.assume(address.toLowerCase() as Hex, slot, value)
  }

  /**
   * Executes a call as a transaction in a new block and keeps its effects if it succeeds.
   *
   * @param timestamp time of the new block, unix seconds
   * @throws CHAIN_UNREACHABLE, CHAIN_ANSWER_INVALID, SIMULATION_TOO_LARGE if a value cannot be read
   */
  execute(call: LocalCall, { timestamp }: { timestamp: number }): Promise<LocalExecution> {
    return this.#inOrder(async () => {
      this.#head = { number: this.#head.number + 1n, timestamp }
      const calls: TracedCall[] = []
      const stop = this.#trace(calls)
      try {
        const intrinsic = intrinsicGas(call.data)
        const limit = smaller(transactionGasLimit, this.#state.block.gasLimit)
        const result = await this.#run(call, limit - intrinsic, this.#head)
        const { execResult, totalGasSpent } = withGas(result)
        return {
          ...resultOf(result, totalGasSpent + intrinsic),
          calls,
          logs: (execResult.logs ?? []).map(([address, topics, data]) => ({
            address: bytesToHex(address),
            topics: topics.map((topic) => bytesToHex(topic)),
            data: bytesToHex(data),
          })),
        }
      } finally {
        stop()
        await this.#evm.journal.cleanup()
        this.#evm.transientStorage.clear()
        this.#local.originalStorageCache.clear()
      }
    })
  }

  /**
   * Calls without keeping the effects, as `eth_call`.
   *
   * @param timestamp default: the newest block's
   * @param reads receives what the call read
   * @throws as {@link execute}
   */
  call(
    call: LocalCall,
    { timestamp = this.#head.timestamp, reads }: { timestamp?: number; reads?: ReadSet } = {},
  ): Promise<LocalResult> {
    return this.#inOrder(async () => {
      const { journal } = this.#evm
      await journal.checkpoint()
      this.#local.reads = reads
      try {
        const result = await this.#run(call, readGas, { ...this.#head, timestamp })
        return resultOf(result, result.execResult.executionGasUsed)
      } finally {
        this.#local.reads = undefined
        await journal.revert()
        journal.cleanJournal()
        this.#evm.transientStorage.clear()
        this.#local.originalStorageCache.clear()
      }
    })
  }

  /** One storage word. */
  word(address: Hex, slot: Hex): Promise<bigint> {
    return this.#inOrder(() => this.#local.word(address.toLowerCase() as Hex, slot))
  }

  /** The code of an account. */
  code(address: Hex): Promise<Hex> {
    return this.#inOrder(async () =>
      bytesToHex(await this.#local.getCode(createAddressFromString(address))),
    )
  }

  /** Words that differ from an earlier fork of this copy, sorted by address and slot. */
  changedWords(since: LocalChain): Promise<ChangedWord[]> {
    return this.#inOrder(() => this.#local.changedWords(since.#local))
  }

  /** Accounts whose balance or code differ from an earlier fork of this copy. */
  changedAccounts(since: LocalChain): Promise<ChangedAccount[]> {
    return this.#inOrder(() => this.#local.changedAccounts(since.#local))
  }

  /** @throws CHAIN_ANSWER_INVALID if the endpoint replaced the block in the meantime */
  requireSameBlock(): Promise<void> {
    return this.#state.requireSameBlock()
  }

  async #run(
    { from, to, data, value = 0n }: LocalCall,
    gasLimit: bigint,
    { number, timestamp }: { number: bigint; timestamp: number },
  ): Promise<EVMResult> {
    const { block } = this.#state
    const caller = createAddressFromString(from)
    const result = await this.#evm.runCall({
      caller,
      origin: caller,
      to: createAddressFromString(to),
      data: hexToBytes(data),
      value,
      gasLimit,
      block: {
        header: {
          number,
          timestamp: BigInt(timestamp),
          coinbase: createAddressFromString(block.coinbase),
          difficulty: 0n,
          prevRandao: hexToBytes(block.prevRandao),
          gasLimit: block.gasLimit,
          baseFeePerGas: block.baseFee,
          getBlobGasPrice: () => 1n,
        },
      },
    })
    if (this.#local.failure !== undefined) throw this.#local.failure
    return result
  }

  /** Notes every call until the returned function is called. */
  #trace(calls: TracedCall[]): () => void {
    const open: TracedCall[] = []
    const begin = (message: Message) => {
      const call = tracedCall(message)
      open.push(call)
      if (calls.length < maxTracedCalls) calls.push(call)
    }
    const end = (result: EVMResult) => {
      const call = open.pop()
      if (call !== undefined) call.failed = result.execResult.exceptionError !== undefined
    }
    const { events } = this.#evm
    events?.on('beforeMessage', begin)
    events?.on('afterMessage', end)
    return () => {
      events?.off('beforeMessage', begin)
      events?.off('afterMessage', end)
    }
  }

  #inOrder<T>(run: () => Promise<T>): Promise<T> {
    const next = this.#last.then(run)
    this.#last = next.catch(() => undefined)
    return next
  }
}

function tracedCall(message: Message): TracedCall {
  const { depth, caller, to, value, data } = message
  return {
    depth,
    from: caller.toString(),
    to: to?.toString(),
    code: to === undefined ? undefined : message.codeAddress.toString(),
    value,
    data: bytesToHex(data),
    failed: false,
  }
}

function withGas({ execResult }: EVMResult) {
  const { executionGasUsed, gasRefund = 0n } = execResult
  return { execResult, totalGasSpent: executionGasUsed - smaller(gasRefund, executionGasUsed / 5n) }
}

function resultOf({ execResult }: EVMResult, gasUsed: bigint): LocalResult {
  const { exceptionError, returnValue } = execResult
  return {
    succeeded: exceptionError === undefined,
    data: bytesToHex(returnValue),
    failure: exceptionError?.error,
    gasUsed,
  }
}

/** Gas of a transaction before its first instruction: 21,000, and 4 or 16 for each byte of calldata. */
function intrinsicGas(data: Hex): bigint {
  return hexToBytes(data).reduce((sum, byte) => sum + (byte === 0 ? 4n : 16n), 21_000n)
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
