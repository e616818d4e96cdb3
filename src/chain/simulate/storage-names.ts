/**
 * Names of storage words: which variable, mapping entry or struct member a changed word is.
 *
 * The place of a mapping entry is a hash. The executed code computed that hash from key and place, and the local copy
 * noted both (`LocalChain.preimages`).
 */
import type { Hex } from '../../lib/bytes.ts'
import { uint256 } from '../approval.ts'
import type { Preimages } from './local-chain.ts'

/** Storage layout of a contract, one line for each variable and member, as in snapshots/storage.json. */
export type LayoutLines = readonly string[]

/** A part of a storage word with its name. */
export interface NamedPart {
  /** For example `_approvals[0][0xab…]` or `kmsInfo.quote`. */
  readonly name: string
  /** Solidity type, for example `uint40` or `enum Kind`. */
  readonly type: string
  /** First byte from the right, and number of bytes. */
  readonly offset: number
  /** Bytes of the variable inside the slot, 1 to 32. */
  readonly size: number
}

interface Variable {
  readonly slot: bigint
  readonly offset: number
  readonly type: string
  readonly label: string
  readonly size: number
}

interface Layout {
  readonly variables: readonly Variable[]
  readonly structs: ReadonlyMap<string, readonly Variable[]>
}

/** Deepest nesting of mappings and structs in one name. */
const maxDepth = 8
/** Longest struct or array element that is searched behind a hash, in words. */
const maxWordsBehindHash = 16n

/**
 * The named parts of the word at `slot`, or none if the layout has no variable there.
 *
 * @example
 * namesOf(layout, slot, chain.preimages) // [{ name: '_approvals[3][0x00…]', type: 'Approval', offset: 0, size: 32 }]
 */
export function namesOf(lines: LayoutLines, slot: Hex, preimages: Preimages): NamedPart[] {
  const layout = parseLayout(lines)
  const place = BigInt(slot)
  const direct = partsAt(layout, layout.variables, place, '')
  if (direct.length > 0) return direct
  const entry = entryAt(layout, place, preimages, 0)
  return entry === undefined ? [] : partsOf(layout, entry)
}

/** A value behind a hash: its type and name, and the word inside it. */
interface Entry {
  readonly type: string
  readonly name: string
  readonly word: bigint
}

/** Finds the mapping whose entry, or a later word of the entry, is at `place`. */
function entryAt(
  layout: Layout,
  place: bigint,
  preimages: Preimages,
  depth: number,
): Entry | undefined {
  if (depth > maxDepth) return undefined
  for (let word = 0n; word < maxWordsBehindHash && word <= place; word++) {
    const preimage = preimages.get(uint256(place - word))
    if (preimage === undefined) continue
    const key: Hex = `0x${preimage.slice(2, 66)}`
    const mappingPlace = BigInt(`0x${preimage.slice(66)}`)
    const mapping = mappingAt(layout, mappingPlace, preimages, depth)
    const types = mapping === undefined ? undefined : mappingTypes(mapping.type)
    if (mapping === undefined || types === undefined) continue
    return { type: types.value, name: `${mapping.name}[${keyText(key, types.key)}]`, word }
  }
  return undefined
}

/** The mapping at a place: a variable, or itself an entry of a mapping. */
function mappingAt(layout: Layout, place: bigint, preimages: Preimages, depth: number) {
  const variable = layout.variables.find((each) => each.slot === place)
  if (variable !== undefined) return { type: variable.type, name: variable.label }
  const entry = entryAt(layout, place, preimages, depth + 1)
  if (entry === undefined) return undefined
  if (entry.word === 0n && mappingTypes(entry.type) !== undefined) return entry
  const member = layout.structs.get(entry.type)?.find(({ slot }) => slot === entry.word)
  return member === undefined
    ? undefined
    : { type: member.type, name: `${entry.name}.${member.label}` }
}

function partsOf(layout: Layout, { type, name, word }: Entry): NamedPart[] {
  const members = layout.structs.get(type)
  if (members !== undefined) return partsAt(layout, members, word, `${name}.`)
  return word === 0n ? [{ name, type, offset: 0, size: sizeOf(type) }] : []
}

/** Variables or members in one word; a struct in them is opened. */
function partsAt(
  layout: Layout,
  variables: readonly Variable[],
  place: bigint,
  prefix: string,
): NamedPart[] {
  return variables.flatMap((each): NamedPart[] => {
    const words = BigInt(Math.ceil(each.size / 32))
    if (place < each.slot || place >= each.slot + words || each.label === '__gap') return []
    const name = `${prefix}${each.label}`
    const members = layout.structs.get(each.type)
    if (members !== undefined) return partsAt(layout, members, place - each.slot, `${name}.`)
    return [{ name, type: each.type, offset: each.offset, size: Math.min(each.size, 32) }]
  })
}

const parsed = new WeakMap<LayoutLines, Layout>()

function parseLayout(lines: LayoutLines): Layout {
  const known = parsed.get(lines)
  if (known !== undefined) return known
  const variables: Variable[] = []
  const structs = new Map<string, Variable[]>()
  for (const line of lines) {
    const match = /^(?:(struct [\w.]+), )?slot (\d+) byte (\d+): (.+) (\w+) \((\d+) bytes\)$/.exec(
      line,
    )
    if (match === null) continue
    const [, struct, slot, offset, type = '', label = '', size] = match
    const variable = {
      slot: BigInt(slot ?? 0),
      offset: Number(offset),
      type,
      label,
      size: Number(size),
    }
    if (struct === undefined) variables.push(variable)
    else structs.set(struct, [...(structs.get(struct) ?? []), variable])
  }
  const layout = { variables, structs }
  parsed.set(lines, layout)
  return layout
}

/** Key and value type of `mapping(K => V)`; undefined for another type. */
function mappingTypes(type: string): { key: string; value: string } | undefined {
  const match = /^mapping\(([^=]+) => (.+)\)$/.exec(type)
  return match === null ? undefined : { key: match[1] ?? '', value: match[2] ?? '' }
}

function keyText(key: Hex, type: string): string {
  if (type.startsWith('address') || type.startsWith('contract')) return `0x${key.slice(26)}`
  if (/^(uint|enum)/.test(type)) return BigInt(key).toString()
  return key
}

function sizeOf(type: string): number {
  const bits = /^u?int(\d+)$/.exec(type)?.[1]
  if (bits !== undefined) return Number(bits) / 8
  if (/^(address|contract)/.test(type)) return 20
  if (/^(bool|enum)/.test(type)) return 1
  const bytes = /^bytes(\d+)$/.exec(type)?.[1]
  return bytes === undefined ? 32 : Number(bytes)
}
