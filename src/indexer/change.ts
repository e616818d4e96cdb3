/** A change of one row by one event: a function of the row before. The follower reads, folds and writes the rows. */
import type { Abi, ContractEventArgsFromTopics, ContractEventName } from 'viem'

import type { Hex } from '../lib/bytes.ts'
import type { State, StateName } from './database/tables.ts'

/** A decoded event. Addresses and bytes are lower-case hex. */
export interface IndexedEvent<Args = Readonly<Record<string, unknown>>> {
  readonly name: string
  readonly args: Args
  readonly contract: Hex
  readonly block: number
  readonly blockHash: Hex
  readonly logIndex: number
  readonly transaction: Hex
  /** Time of its block, Unix seconds. */
  readonly time: number
  /** Sender of the transaction, if it called the contract directly; only of events that do not say who caused them. */
  readonly sender?: Hex | undefined
}

/** Reads a row that a change named in `reads`, as the events before left it. */
export type ReadRow = <N extends StateName>(table: N, id: string) => State<N> | undefined

/** A change of one row. */
export interface Change {
  readonly table: StateName
  readonly id: string
  /** Ids of other rows of this table that `fold` reads. */
  readonly reads: readonly string[]
  /** The new row; undefined: it stays as it is. */
  readonly fold: (
    row: Record<string, unknown> | undefined,
    read: ReadRow,
  ) => Record<string, unknown> | undefined
}

/** Describes a change of the row `id`. @param fold gets undefined if there is no such row */
export function change<N extends StateName>(
  table: N,
  id: string,
  fold: (row: State<N> | undefined, read: ReadRow) => State<N> | undefined,
  reads: readonly string[] = [],
): Change {
  return { table, id, fold: fold as Change['fold'], reads }
}

/** Describes a change of a row that must exist: an event about an unknown thing changes nothing. */
export function update<N extends StateName>(
  table: N,
  id: string,
  set: Partial<State<N>> | ((row: State<N>) => Partial<State<N>>),
): Change {
  return change(table, id, (row) =>
    row === undefined ? undefined : { ...row, ...(typeof set === 'function' ? set(row) : set) },
  )
}

/** An event with the arguments that the ABI gives it. */
export type EventOf<A extends Abi, N extends ContractEventName<A>> = IndexedEvent<
  ContractEventArgsFromTopics<A, N, true>
>

/** What each event of a contract changes. An event without an entry is history only. */
export type Handlers<A extends Abi> = {
  readonly [N in ContractEventName<A>]?: (event: EventOf<A, N>) => readonly Change[]
}

/** How the events of one kind of contract are read. */
export interface ContractEvents {
  readonly abi: Abi
  readonly handlers: Readonly<Record<string, (event: IndexedEvent) => readonly Change[]>>
}

/** Joins an ABI and its handlers; the types of the handlers follow from the ABI. */
export function contractEvents<const A extends Abi>(abi: A, handlers: Handlers<A>): ContractEvents {
  return { abi, handlers: handlers as unknown as ContractEvents['handlers'] }
}
