/**
 * Reads MessagePack from the front, by what is expected next: maps with text keys, lists, text, bytes, whole numbers
 * and nil, in the form in which serializers write them.
 *
 * No size is believed: a map, list, text or byte string that claims more than the bytes that are left is refused before
 * anything is allocated, and nothing is read that the caller did not ask for. Memory stays a small multiple of the
 * input, and depth is the caller's own. https://github.com/msgpack/msgpack/blob/master/spec.md
 */

/** Makes the error of whatever is being read. */
export type MessagePackFailure = (
  why: string,
  facts: Record<string, unknown>,
  cause?: unknown,
) => Error

const nilByte = 0xc0
const longestKey = 64
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** `scalar`: truth values, fractions, negative and very large numbers, which are passed over and never read. */
type Family = 'number' | 'text' | 'bytes' | 'list' | 'map' | 'nil' | 'scalar' | 'other'

/** What a value begins with: its family, and the number or size that the head carries. */
interface ValueHeader {
  readonly family: Family
  readonly value: number
  /** The least value that is written in this form: a smaller one has a shorter form. */
  readonly least: number
}

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
   * The members of the next value, which must be a map: a reader of each by its name. Every required name is there,
   * none occurs twice, and no other is there.
   */
  members(
    field: string,
    required: readonly string[],
    optional: readonly string[] = [],
  ): ReadonlyMap<string, MessagePackReader> {
    const count = this.#head('map', field)
    const members = new Map<string, MessagePackReader>()
    for (let index = 0; index < count; index++) {
      const key = this.#text(`a key of ${field}`, longestKey)
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

  /** The entries of the next value, which must be a list, each read by `read`. */
  list<T>(field: string, most: number, read: (reader: MessagePackReader) => T): T[] {
    const count = this.#head('list', field)
    if (count > most) throw this.#refused(`${field} has more than ${most} entries`, { count })
    const list: T[] = []
    for (let index = 0; index < count; index++) list.push(read(this))
    return list
  }

  text(field: string): string {
    return this.#text(field, this.#end - this.#offset)
  }

  /** Binary, or a list of numbers from 0 to 255: serializers differ. */
  bytes(field: string): Uint8Array {
    const isList = this.#peek(field).family === 'list'
    const length = this.#head(isList ? 'list' : 'bytes', field)
    if (!isList) return new Uint8Array(this.#take(length))
    const bytes = new Uint8Array(length)
    for (let index = 0; index < length; index++) bytes[index] = this.number(field, 255)
    return bytes
  }

  /** A whole number from 0 to `most`. */
  number(field: string, most: number): number {
    const byte = this.#bytes[this.#offset]
    // a list of bytes is long, and half of them are written so
    if (byte !== undefined && byte < 0x80 && byte <= most && this.#offset < this.#end) {
      this.#offset++
      return byte
    }
    const value = this.#head('number', field)
    if (value > most) throw this.#refused(`${field} is above ${most}`, { value })
    return value
  }

  /** Whether nil comes next; reads it then. */
  nil(): boolean {
    if (this.#bytes[this.#offset] !== nilByte || this.#offset >= this.#end) return false
    this.#offset++
    return true
  }

  isText(): boolean {
    return this.#offset < this.#end && this.#peek('').family === 'text'
  }

  /** Refuses bytes after the last value. */
  end(): void {
    if (this.#offset !== this.#end) throw this.#refused('bytes follow its end', {})
  }

  #text(field: string, longest: number): string {
    const length = this.#head('text', field)
    if (length > longest) throw this.#refused(`${field} is too long`, { length })
    try {
      return utf8.decode(this.#take(length))
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause
      throw this.#refused(`${field} is not UTF-8`, {}, cause)
    }
  }

  /**
   * Passes over one value without making anything of it. Every value still owed is at least one byte, so that a count
   * beyond the bytes left is refused, and the loop ends with them.
   */
  #skip(field: string): void {
    for (let owed = 1; owed > 0; owed--) {
      const byte = this.#offset < this.#end ? (this.#bytes[this.#offset] as number) : 0xff
      // the common heads of one byte, without making anything of them
      if (byte < 0xa0) {
        this.#offset++
        if (byte >= 0x90) owed += byte & 0x0f
        else if (byte >= 0x80) owed += 2 * (byte & 0x0f)
        if (owed - 1 > this.#end - this.#offset) throw this.#refused(`${field} is cut off`, {})
        continue
      }
      const { family, value } = this.#next(field)
      if (family === 'other') throw this.#refused(`${field} has an extension`, {})
      if (family === 'text' || family === 'bytes') this.#take(value)
      if (family === 'list') owed += value
      if (family === 'map') owed += 2 * value
      if (owed - 1 > this.#end - this.#offset) throw this.#refused(`${field} is cut off`, {})
    }
  }

  /** The number, or the size, of the next value of this family; a size fits into the bytes that are left. */
  #head(family: Family, field: string): number {
    const start = this.#offset
    const head = this.#next(field)
    if (head.family !== family) {
      this.#offset = start
      throw this.#refused(`${field} is not ${words[family]}`, {})
    }
    if (head.value < head.least) throw this.#refused(`${field} is not in its shortest form`, {})
    const perEntry = family === 'map' ? 2 : family === 'number' ? 0 : 1
    if (head.value * perEntry > this.#end - this.#offset) {
      throw this.#refused(`${field} is cut off`, { claimed: head.value })
    }
    return head.value
  }

  #peek(field: string): ValueHeader {
    const start = this.#offset
    const head = this.#next(field)
    this.#offset = start
    return head
  }

  #next(field: string): ValueHeader {
    const byte = this.#take(1, field)[0] as number
    if (byte < 0x80) return { family: 'number', value: byte, least: 0 }
    if (byte < 0x90) return { family: 'map', value: byte & 0x0f, least: 0 }
    if (byte < 0xa0) return { family: 'list', value: byte & 0x0f, least: 0 }
    if (byte < 0xc0) return { family: 'text', value: byte & 0x1f, least: 0 }
    if (byte === nilByte) return { family: 'nil', value: 0, least: 0 }
    if (byte >= 0xe0) return { family: 'scalar', value: 0, least: 0 }
    const form = forms[byte]
    if (form === undefined) return { family: 'other', value: 0, least: 0 }
    const [family, width, least] = form
    let value = 0
    for (const octet of this.#take(width, field)) value = value * 256 + octet
    return { family, value, least }
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

const words: Readonly<Record<Family, string>> = {
  number: 'a number',
  text: 'text',
  bytes: 'bytes',
  list: 'a list',
  map: 'a map',
  nil: 'nil',
  scalar: 'a scalar',
  other: 'known',
}

/** First byte: family, octets of the number or size behind it, the least that is written so. */
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
