/** What is sent on chain for each kind of intent, and how to see that it happened. */
import type { Abi, PublicClient } from 'viem'

import type { Hex } from '../lib/bytes.ts'

/** The part of an intent that a target understands. */
export interface Errand {
  readonly id: string
  readonly key: string
  readonly payload: unknown
}

export interface Target {
  /** Checks what came with the quote for the contract; throws INPUT_INVALID. */
  parsePermit(permit: unknown): unknown
  /** Contract and calldata; throws INPUT_INVALID for a payload that is not its own. */
  encode(errand: Errand): { readonly to: Hex; readonly data: Hex; readonly value?: bigint }
  /**
   * Whether the record on chain is as the errand wants it at this block, whoever brought it there.
   * A transaction's success is not asked: it may have changed nothing.
   */
  isDone(errand: Errand, client: PublicClient, blockNumber: bigint): Promise<boolean>
  /** To decode what the contract reverts with. */
  readonly errors: Abi
}

/** By kind of intent; a kind that is missing is not served. */
export type Targets = Readonly<Record<string, Target>>
