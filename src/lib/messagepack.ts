/**
 * A MessagePack reader for hostile input (https://github.com/msgpack/msgpack/blob/master/spec.md).
 *
 * The caller names the type that it expects next: a map with text keys, a list, text, bytes, a whole number or nil. Only
 * the shortest form of a value is accepted, as serializers write it.
 *
 * A size above the remaining bytes is refused before anything is allocated. Values that the caller does not ask for are
 * skipped without being decoded. So memory is a small multiple of the input, and the caller decides the depth.
 */

/** Creates the error that the reader throws, so that each format has its own error code. */
export type MessagePackFailure = (
  why: string,
  facts: Record<string, unknown>,
  cause?: unknown,
) => Error

const nilByte = 0xc0
/** Longest name of a map member, in bytes. */
const maxKeyBytes = 64
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Types of values. `scalar`: booleans, fractions, negative and very large numbers. They can be skipped but not read.
 */
type Family = 'number' | 'text' | 'bytes' | 'list' | 'map' | 'nil' | 'scalar' | 'other'

/** The first bytes of a value: its type, and its number or size. */
interface ValueHeader {
  readonly family: Family
  readonly value: number
  /** Smallest value that needs a header of this width. A smaller value has a shorter form. */
  readonly min: number
}

/**
 * Reads MessagePack strictly: only the shortest form of each value, no unknown members, no trailing bytes. Sizes are
 * compared with the remaining bytes before memory is allocated.
 *
 * @see https://github.com/msgpack/msgpack/blob/master/spec.md
 */
export class MessagePackReader {
  readonly #bytes: Uint8Array
  readonly #fail: MessagePackFailure
  readonly #end: number
  #offset: number

  constructor(bytes: Uint8Array, fail: MessagePackFailure, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#fail = fail
    this.#offset = start
    this.#end = end
  }

  /**
   * Reads a map and returns one reader for each member.
   *
   * A missing required name, an unknown name and a repeated name are errors.
   */
  members(
    field: string,
    required: readonly string[],
    optional: readonly string[] = [],
  ): ReadonlyMap<string, MessagePackReader> {
    const count = this.#header('map', field)
    const members = new Map<string, MessagePackReader>()
    for (let index = 0; index < count; index++) {
      const key = this.#text(`a key of ${field}`, maxKeyBytes)
      if (!required.includes(key) && !optional.includes(key)) {
        throw this.#refused(`${field} has an unknown member`, { unknown: key })
      }
      if (members.has(key)) throw this.#refused(`${field} has a member twice`, { twice: key })
      const start = this.#offset
      this.#skip(`${field}.${key}`)
      members.set(key, new MessagePackReader(this.#bytes, this.#fail, start, this.#offset))
    }
    const missing = required.filter((key) => !members.has(key))
    if (missing.length > 0) throw this.#refused(`${field} lacks a member`, { missing })
    return members
  }

  /** Reads a list of at most `max` entries. `read` must read exactly one entry. */
  list<T>(field: string, max: number, read: (reader: MessagePackReader) => T): T[] {
    const count = this.#header('list', field)
    if (count > max) throw this.#refused(`${field} has more than ${max} entries`, { count })
    const list: T[] = []
    for (let index = 0; index < count; index++) list.push(read(this))
    return list
  }

  /** Reads a UTF-8 text. */
  text(field: string): string {
    return this.#text(field, this.#end - this.#offset)
  }

  /** Reads a byte string, or a list of numbers from 0 to 255, because serializers write bytes in both forms. */
  bytes(field: string): Uint8Array {
    const isList = this.#peek(field).family === 'list'
    const length = this.#header(isList ? 'list' : 'bytes', field)
    if (!isList) return new Uint8Array(this.#take(length))
    const bytes = new Uint8Array(length)
    for (let index = 0; index < length; index++) bytes[index] = this.number(field, 255)
    return bytes
  }

  /** Reads a whole number from 0 to `max`. */
  number(field: string, max: number): number {
    const byte = this.#bytes[this.#offset]
    // fast path: half of the numbers in a list of bytes have this form
    if (byte !== undefined && byte < 0x80 && byte <= max && this.#offset < this.#end) {
      this.#offset++
      return byte
    }
    const value = this.#header('number', field)
    if (value > max) throw this.#refused(`${field} is above ${max}`, { value })
    return value
  }

  /** Reads nil if it is the next value, and tells if it was. */
  nil(): boolean {
    if (this.#bytes[this.#offset] !== nilByte || this.#offset >= this.#end) return false
    this.#offset++
    return true
  }

  /** Tells if the next value is a text. It reads nothing. */
  isText(): boolean {
    return this.#offset < this.#end && this.#peek('').family === 'text'
  }

  /** Refuses trailing bytes. */
  end(): void {
    if (this.#offset !== this.#end) throw this.#refused('it has trailing bytes', {})
  }

  #text(field: string, maxLength: number): string {
    const length = this.#header('text', field)
    if (length > maxLength) throw this.#refused(`${field} is too long`, { length })
    try {
      return utf8.decode(this.#take(length))
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause
      throw this.#refused(`${field} is not UTF-8`, {}, cause)
    }
  }

  /**
   * Skips one value with everything inside it. It needs no recursion: `pending` counts the values that must still come.
   * Each of them has at least one byte, so a count above the remaining bytes is refused.
   */
  #skip(field: string): void {
    for (let pending = 1; pending > 0; pending--) {
      const byte = this.#offset < this.#end ? (this.#bytes[this.#offset] as number) : 0xff
      // fast path: headers of one byte
      if (byte < 0xa0) {
        this.#offset++
        if (byte >= 0x90) pending += byte & 0x0f
        else if (byte >= 0x80) pending += 2 * (byte & 0x0f)
        if (pending - 1 > this.#end - this.#offset) throw this.#refused(`${field} is cut off`, {})
        continue
      }
      const { family, value } = this.#next(field)
      if (family === 'other') throw this.#refused(`${field} has an extension`, {})
      if (family === 'text' || family === 'bytes') this.#take(value)
      if (family === 'list') pending += value
      if (family === 'map') pending += 2 * value
      if (pending - 1 > this.#end - this.#offset) throw this.#refused(`${field} is cut off`, {})
    }
  }

  /** Reads the header of the next value, which must have this type. A size always fits into the remaining bytes. */
  #header(family: Family, field: string): number {
    const start = this.#offset
    const header = this.#next(field)
    if (header.family !== family) {
      this.#offset = start
      throw this.#refused(`${field} is not ${familyNames[family]}`, {})
    }
    if (header.value < header.min) throw this.#refused(`${field} is not in its shortest form`, {})
    const perEntry = family === 'map' ? 2 : family === 'number' ? 0 : 1
    if (header.value * perEntry > this.#end - this.#offset) {
      throw this.#refused(`${field} is cut off`, { claimed: header.value })
    }
    return header.value
  }

  #peek(field: string): ValueHeader {
    const start = this.#offset
    const header = this.#next(field)
    this.#offset = start
    return header
  }

  #next(field: string): ValueHeader {
    const byte = this.#take(1, field)[0] as number
    if (byte < 0x80) return { family: 'number', value: byte, min: 0 }
    if (byte < 0x90) return { family: 'map', value: byte & 0x0f, min: 0 }
    if (byte < 0xa0) return { family: 'list', value: byte & 0x0f, min: 0 }
    if (byte < 0xc0) return { family: 'text', value: byte & 0x1f, min: 0 }
    if (byte === nilByte) return { family: 'nil', value: 0, min: 0 }
    if (byte >= 0xe0) return { family: 'scalar', value: 0, min: 0 }
    const form = forms[byte]
    if (form === undefined) return { family: 'other', value: 0, min: 0 }
    const [family, width, min] = form
    let value = 0
    for (const octet of this.#take(width, field)) value = value * 256 + octet
    return { family, value, min }
  }

  #take(length: number, field = 'a value'): Uint8Array {
    const end = this.#offset + length
    if (end > this.#end) throw this.#refused(`${field} is cut off`, {})
    const taken = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return taken
  }

  #refused(why: string, facts: Record<string, unknown>, cause?: unknown): Error {
    return this.#fail(why, { ...facts, offset: this.#offset }, cause)
  }
}

/** For error messages. */
const familyNames: Readonly<Record<Family, string>> = {
  number: 'a number',
  text: 'text',
  bytes: 'bytes',
  list: 'a list',
  map: 'a map',
  nil: 'nil',
  scalar: 'a scalar',
  other: 'of a known type',
}

/** By first byte: type, number of bytes of the number or size after it, smallest value with this header. */
const forms: Readonly<Record<number, readonly [Family, number, number]>> = {
  194: ['scalar', 0, 0],
  195: ['scalar', 0, 0],
  196: ['bytes', 1, 0],
  197: ['bytes', 2, 2 ** 8],
  198: ['bytes', 4, 2 ** 16],
  202: ['scalar', 4, 0],
  203: ['scalar', 8, 0],
  204: ['number', 1, 2 ** 7],
  205: ['number', 2, 2 ** 8],
  206: ['number', 4, 2 ** 16],
  207: ['scalar', 8, 0],
  208: ['scalar', 1, 0],
  209: ['scalar', 2, 0],
  210: ['scalar', 4, 0],
  211: ['scalar', 8, 0],
  217: ['text', 1, 2 ** 5],
  218: ['text', 2, 2 ** 8],
  219: ['text', 4, 2 ** 16],
  220: ['list', 2, 2 ** 4],
  221: ['list', 4, 2 ** 16],
  222: ['map', 2, 2 ** 4],
  223: ['map', 4, 2 ** 16],
}
