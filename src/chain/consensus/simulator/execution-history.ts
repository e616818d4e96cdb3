/** Which execution block each slot of a simulated beacon chain contains. */
import type { ExecutionBlock } from './beacon-chain.ts'

/** Execution blocks by the first slot that contains them. */
export interface ExecutionHistory {
  /** The block of this slot and of later ones. Slots only grow; a slot that passed does not change. */
  add(slot: number, block: ExecutionBlock): void
  /** Slots before the first one contain its block. */
  at(slot: number): ExecutionBlock
}

/** @param first block of all slots until another one is added */
export function createExecutionHistory(first: ExecutionBlock): ExecutionHistory {
  const entries: { readonly slot: number; readonly block: ExecutionBlock }[] = []
  return {
    add(slot, block) {
      const last = entries.at(-1)
      if (last === undefined || slot > last.slot) entries.push({ slot, block })
    },
    at(slot) {
      // by halves: a day has 43,200 slots of two seconds
      let low = 0
      let high = entries.length
      while (low < high) {
        const middle = (low + high) >> 1
        if ((entries[middle]?.slot ?? 0) <= slot) low = middle + 1
        else high = middle
      }
      return entries[low - 1]?.block ?? first
    },
  }
}
