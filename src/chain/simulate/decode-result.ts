/** Decodes what an execution did: events by the known ABIs, storage words by the known layouts. */
import {
  type Abi,
  type AbiEvent,
  type AbiParameter,
  decodeEventLog,
  encodeAbiParameters,
  erc20Abi,
  hexToString,
  keccak256,
  stringToHex,
  toHex,
  trim,
} from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import * as abis from '../abi.ts'
import { decodeApproval, stateAt, uint256 } from '../approval.ts'
import { type AddressBook, nameOf } from '../governance/describe-call.ts'
import { formatTime } from '../governance/format-time.ts'
import type { LocalLog, Preimages } from './local-chain.ts'
import type { ChangedAccount, ChangedWord } from './local-state.ts'
import { storageLayouts } from './storage-layouts.ts'
import { type LayoutLines, type NamedPart, namesOf } from './storage-names.ts'

/** An emitted event. An event of an unknown contract type has no name. */
export interface DecodedEvent {
  /** The contract that emitted the event. */
  readonly address: Hex
  /** Name of the contract in the deployment, or undefined. */
  readonly contract: string | undefined
  /** Name of the event; undefined if no known ABI has it. */
  readonly name: string | undefined
  /** Arguments in order. Numbers as decimal text, bytes in hex. */
  readonly args: readonly { readonly name: string; readonly value: unknown }[]
  /** Topics as emitted, 32 bytes each; the first is the event's hash. */
  readonly topics: readonly Hex[]
  /** Arguments that are not indexed, ABI-encoded. */
  readonly data: Hex
}

/** A changed storage word, or a part of it with its own name. */
export interface DecodedChange {
  /** The contract whose storage changes. */
  readonly address: Hex
  /** Its name in the deployment; undefined for unknown contracts. */
  readonly contract: string | undefined
  /** Storage slot, 32 bytes. */
  readonly slot: Hex
  /** For example `_approvals[0][0xab…]`; undefined if the layout does not name the word. */
  readonly name: string | undefined
  /** Value before the execution, in words if its type is known, otherwise hex. */
  readonly before: string
  /** Value after the execution, in the same form. */
  readonly after: string
}

/** A changed balance or code. */
export interface DecodedAccountChange {
  readonly address: Hex
  /** Its name in the deployment; undefined for unknown accounts. */
  readonly contract: string | undefined
  /** Wei, as decimal text; undefined if equal. */
  readonly balance?: { readonly before: string; readonly after: string }
  /** keccak256 of the code, or `none`. */
  readonly code?: { readonly before: string; readonly after: string }
}

const events = [...Object.values(abis).flatMap((abi) => [...(abi as Abi)]), ...erc20Abi].filter(
  (item): item is AbiEvent => item.type === 'event',
)

/** Decodes events with the ABIs of known contracts. An event of an unknown contract keeps topics and data only. */
export function decodeEvents(logs: readonly LocalLog[], book: AddressBook): DecodedEvent[] {
  return logs.map(({ address, topics, data }) => {
    const contract = book.names.get(address)
    const base = { address, contract, topics, data }
    try {
      const { eventName, args } = decodeEventLog({
        abi: events,
        topics: topics as [Hex, ...Hex[]],
        data,
      })
      const inputs = inputsOf(topics[0])
      return { ...base, name: eventName, args: namedArguments(inputs, args ?? {}) }
    } catch {
      return { ...base, name: undefined, args: [] }
    }
  })
}

const inputsByTopic = new Map<string, readonly AbiParameter[]>()

function inputsOf(topic: Hex | undefined): readonly AbiParameter[] {
  if (inputsByTopic.size === 0) {
    for (const { name, inputs } of events) {
      const signature = `${name}(${inputs.map(canonicalType).join(',')})`
      inputsByTopic.set(keccak256(stringToHex(signature)), inputs)
    }
  }
  return inputsByTopic.get(topic ?? '') ?? []
}

function canonicalType(parameter: AbiParameter): string {
  if (!parameter.type.startsWith('tuple')) return parameter.type
  const { components } = parameter as { components: readonly AbiParameter[] }
  return `(${components.map(canonicalType).join(',')})${parameter.type.slice('tuple'.length)}`
}

function namedArguments(inputs: readonly AbiParameter[], args: unknown) {
  const values = args as Readonly<Record<string, unknown>>
  return inputs.map(({ name = '' }, index) => ({
    name,
    value: plain(values[name === '' ? index : name] ?? values[index]),
  }))
}

/** Numbers as decimal text, so that the value is the same in every JSON. */
export function plain(value: unknown): unknown {
  if (typeof value === 'bigint' || typeof value === 'number') return String(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]))
  }
  return value
}

/** Slots that standards fix, in every contract. */
export const standardSlots: Readonly<Record<Hex, NamedPart>> = {
  [toHex(BigInt(keccak256(stringToHex('eip1967.proxy.implementation'))) - 1n, { size: 32 })]: part(
    'implementation (ERC-1967)',
    'address',
    20,
  ),
  [namespace('openzeppelin.storage.Ownable')]: part('owner', 'address', 20),
  [namespace('openzeppelin.storage.Ownable2Step')]: part('pendingOwner', 'address', 20),
  [namespace('openzeppelin.storage.Initializable')]: part('initializedVersion', 'uint64', 8),
}

function part(name: string, type: string, size: number): NamedPart {
  return { name, type, offset: 0, size }
}

/** The first slot of a namespace (ERC-7201). */
function namespace(id: string): Hex {
  const inner = BigInt(keccak256(stringToHex(id))) - 1n
  const outer = keccak256(encodeAbiParameters([{ type: 'uint256' }], [inner]))
  return toHex(BigInt(outer) & ~0xffn, { size: 32 })
}

/** Sources of the names and types of storage slots. */
export interface ChangeContext {
  /** Names of addresses. */
  readonly book: AddressBook
  /** Keys of mappings by their slot, collected from executed keccak-256 inputs. */
  readonly preimages: Preimages
  /** For the states of approvals, unix seconds. */
  readonly now: number
}

/**
 * Names each changed storage word by the storage layout of its contract, split into the variables that share the
 * slot.
 */
export function decodeChanges(
  words: readonly ChangedWord[],
  context: ChangeContext,
): DecodedChange[] {
  return words.flatMap(({ address, slot, before, after }): DecodedChange[] => {
    const contract = context.book.names.get(address)
    const base = { address, contract, slot }
    const parts = namedPartsAt(address, slot, context).filter(
      (each) => bytesOf(before, each) !== bytesOf(after, each),
    )
    if (parts.length === 0) {
      return [{ ...base, name: undefined, before: uint256(before), after: uint256(after) }]
    }
    return parts.map((each) => ({
      ...base,
      name: each.name,
      before: valueText(bytesOf(before, each), each, context),
      after: valueText(bytesOf(after, each), each, context),
    }))
  })
}

function namedPartsAt(address: Hex, slot: Hex, { book, preimages }: ChangeContext): NamedPart[] {
  const standard = standardSlots[slot]
  if (standard !== undefined) return [standard]
  // the bond token can be any ERC-20 token, whose layout is unknown
  const type = book.names.get(address) === 'bond token' ? undefined : book.types.get(address)
  const layout: LayoutLines =
    type !== undefined && type in storageLayouts
      ? storageLayouts[type as keyof typeof storageLayouts]
      : []
  return namesOf(layout, slot, preimages)
}

function bytesOf(word: bigint, { offset, size }: NamedPart): bigint {
  return (word >> BigInt(8 * offset)) % (1n << BigInt(8 * size))
}

function valueText(value: bigint, { type, size }: NamedPart, context: ChangeContext): string {
  if (type === 'Approval') return approvalText(value, context.now)
  if (type === 'bool') return value === 0n ? 'false' : 'true'
  if (/^(address|contract)/.test(type)) {
    return value === 0n ? 'none' : nameOf(context.book, toHex(value, { size: 20 }))
  }
  if (/^bytes\d+$/.test(type)) return toHex(value, { size })
  if (type === 'string' || type === 'bytes') return headText(value, type)
  return value.toString()
}

/** An approval as its state and times. */
function approvalText(word: bigint, now: number): string {
  const approval = decodeApproval(word)
  const { activeFrom, expiresAt, suspendedUntil, version } = approval
  const state = stateAt(approval, now)
  if (state === 'none') return 'not approved'
  return [
    `${state}, version ${version}`,
    ...(state === 'pending' ? [`active from ${formatTime(activeFrom)}`] : []),
    ...(state === 'suspended' ? [`suspended until ${formatTime(suspendedUntil)}`] : []),
    ...(expiresAt === 0 ? [] : [`expires ${formatTime(expiresAt)}`]),
  ].join(', ')
}

/** The slot of a string or bytes: a short value is in it, a long one only with its length. */
function headText(word: bigint, type: string): string {
  if (word === 0n) return 'empty'
  if (word % 2n === 1n) return `${(word - 1n) / 2n} bytes`
  const bytes = uint256(word - (word % 256n))
  return type === 'string'
    ? JSON.stringify(hexToString(trim(bytes, { dir: 'right' })))
    : trim(bytes, { dir: 'right' })
}

/** Lists accounts whose balance (wei) or code hash changes, with their names. */
export function decodeAccounts(
  accounts: readonly ChangedAccount[],
  book: AddressBook,
): DecodedAccountChange[] {
  const hash = (code: Hex) => (code === '0x' ? 'none' : keccak256(code))
  return accounts.map(({ address, balance, code }) => ({
    address,
    contract: book.names.get(address),
    ...(balance.before === balance.after
      ? {}
      : { balance: { before: balance.before.toString(), after: balance.after.toString() } }),
    ...(code.before === code.after
      ? {}
      : { code: { before: hash(code.before), after: hash(code.after) } }),
  }))
}
