/** The local copy: changes are kept in memory, everything else is read from the state at a block. */
import { SimpleStateManager } from '@ethereumjs/statemanager'
import {
  type Account,
  type Address,
  bytesToHex,
  createAccount,
  createAddressFromString,
  hexToBytes,
} from '@ethereumjs/util'
import { keccak256 } from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { uint256 } from '../approval.ts'
import type { BlockState } from './block-state.ts'

/** A storage word that is different in the local copy. */
export interface ChangedWord {
  readonly address: Hex
  /** 32 bytes. */
  readonly slot: Hex
  readonly before: bigint
  readonly after: bigint
}

/** An account whose balance or code is different in the local copy. */
export interface ChangedAccount {
  readonly address: Hex
  /** Wei. */
  readonly balance: { readonly before: bigint; readonly after: bigint }
  /** Runtime code; `0x` without code. */
  readonly code: { readonly before: Hex; readonly after: Hex }
}

/** Values that an execution read: storage words by `address_slot`, and accounts by address. */
export type ReadSet = Set<string>

/**
 * A state manager for EthereumJS. Its base class keeps what was written and its checkpoints; this class answers what
 * was not written.
 */
export class LocalState extends SimpleStateManager {
  readonly #state: BlockState
  /** Words that the caller assumed; they count as the state before. */
  readonly #assumed: Map<string, bigint>
  /** If set, every read is noted here. */
  reads: ReadSet | undefined
  /** The first failed read: the interpreter may report it as a failure of the contract. */
  failure: unknown

  constructor(state: BlockState, assumed: ReadonlyMap<string, bigint> = new Map()) {
    super()
    this.#state = state
    this.#assumed = new Map(assumed)
  }

  /** A copy that starts with the current state of this one. */
  fork(): LocalState {
    const copy = new LocalState(this.#state, this.#assumed)
    copy.accountStack = [new Map(this.topAccountStack())]
    copy.codeStack = [new Map(this.topCodeStack())]
    copy.storageStack = [new Map(this.topStorageStack())]
    return copy
  }

  /** Assumes that a word had this value at the block. */
  assume(address: Hex, slot: Hex, value: bigint): void {
    this.#assumed.set(`${address}_${slot}`, value)
  }

  override async getAccount(address: Address): Promise<Account | undefined> {
    const key = address.toString()
    this.reads?.add(key)
    const written = this.topAccountStack()
    if (written.has(key)) return written.get(key)
    const { balance, nonce, code } = await this.#ask(() => this.#state.account(key))
    const exists = balance > 0n || nonce > 0n || code !== '0x'
    // a new object for each caller, because EthereumJS changes it
    return exists
      ? createAccount({ balance, nonce, codeHash: hexToBytes(keccak256(code)) })
      : undefined
  }

  override async getCode(address: Address): Promise<Uint8Array> {
    const key = address.toString()
    this.reads?.add(key)
    const written = this.topCodeStack().get(key)
    if (written !== undefined) return written
    return hexToBytes((await this.#ask(() => this.#state.account(key))).code)
  }

  override async getStorage(address: Address, key: Uint8Array): Promise<Uint8Array> {
    const account = address.toString()
    const slot = bytesToHex(key)
    this.reads?.add(`${account}_${slot}`)
    const written = this.topStorageStack().get(`${account}_${slot}`)
    if (written !== undefined) return written
    return shortest(await this.#before(account, slot))
  }

  /** One word of the local copy. */
  async word(address: Hex, slot: Hex): Promise<bigint> {
    const written = this.topStorageStack().get(`${address}_${slot}`)
    return written === undefined ? await this.#before(address, slot) : toBigInt(written)
  }

  /** The words that differ from an earlier copy, sorted. Everything that the copy has, this state has too. */
  async changedWords(since: LocalState): Promise<ChangedWord[]> {
    const changed: ChangedWord[] = []
    for (const [key, bytes] of this.topStorageStack()) {
      const [address, slot] = key.split('_') as [Hex, Hex]
      const before = await since.word(address, slot)
      const after = toBigInt(bytes)
      if (before !== after) changed.push({ address, slot, before, after })
    }
    return changed.sort((a, b) => (`${a.address}${a.slot}` < `${b.address}${b.slot}` ? -1 : 1))
  }

  /** The accounts whose balance or code differ from an earlier copy, sorted. */
  async changedAccounts(since: LocalState): Promise<ChangedAccount[]> {
    const changed: ChangedAccount[] = []
    for (const key of this.topAccountStack().keys()) {
      const address = createAddressFromString(key)
      const before = await since.#summary(address)
      const after = await this.#summary(address)
      if (before.balance === after.balance && before.code === after.code) continue
      changed.push({
        address: key as Hex,
        balance: { before: before.balance, after: after.balance },
        code: { before: before.code, after: after.code },
      })
    }
    return changed.sort((a, b) => (a.address < b.address ? -1 : 1))
  }

  async #summary(address: Address) {
    const balance = (await this.getAccount(address))?.balance ?? 0n
    return { balance, code: bytesToHex(await this.getCode(address)) }
  }

  async #before(address: Hex, slot: Hex): Promise<bigint> {
    const assumed = this.#assumed.get(`${address}_${slot}`)
    if (assumed !== undefined) return assumed
    return this.#ask(async () => {
      // a contract that did not exist at the block has no storage there
      const { code } = await this.#state.account(address)
      return code === '0x' ? 0n : this.#state.word(address, slot)
    })
  }

  async #ask<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      this.failure ??= error
      throw error
    }
  }
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(bytesToHex(bytes))
}

/** A word without its leading zeros, as EthereumJS keeps it. */
function shortest(word: bigint): Uint8Array {
  if (word === 0n) return new Uint8Array(0)
  const bytes = hexToBytes(uint256(word))
  return bytes.subarray(bytes.findIndex((byte) => byte !== 0))
}
