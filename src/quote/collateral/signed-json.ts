/**
 * A strict parser for Intel's signed JSON documents (TCB info, QE identity, evaluation numbers).
 *
 * Two JSON parsers can differ in repeated names, numbers and escapes. Here a text has only one meaning: JSON as in RFC
 * 8259, without white space between tokens. Members are read by name, and unknown members are skipped as Intel's library
 * does, because Intel has added members before. `contracts/quote/collateral/CollateralJson.sol` accepts the same texts.
 */
import { AssentError, type ErrorCode } from '../../errors/index.ts'
import { utcSeconds } from '../certificates/parse-utc-time.ts'

/** Genuine documents have 0.5 to 6 KB. 20 TCB levels and many module identities stay below this. */
export const MAX_DOCUMENT_CHARS = 65_536

/** The last second that fits into four bytes, as on-chain: in the year 2106. */
export const LAST_SECOND = 0xffff_ffff

/** Deepest nesting of objects and lists, as in Intel's library. Genuine documents have depth 6. */
const MAX_DEPTH = 32

/** Most members of an object that is read. Genuine objects have up to 12. */
const MAX_MEMBERS = 64

/** Most items of a list that is read: TCB levels, modules, evaluation numbers. */
const MAX_ITEMS = 128

/** Most names in a list of names. */
const MAX_NAMES = 255

/** A parsed value. Texts are kept as written, so nothing is decoded that is not read. */
type JsonNode =
  /** The member at each position has the name and the value at that position. */
  | { readonly kind: 'object'; readonly names: readonly string[]; readonly values: JsonNode[] }
  | { readonly kind: 'list'; readonly items: readonly JsonNode[] }
  /** Without its quotation marks. `isPlain`: printable ASCII without escapes. */
  | { readonly kind: 'string'; readonly text: string; readonly isPlain: boolean }
  /** `true`, `false`, `null` or a number. */
  | { readonly kind: 'scalar'; readonly text: string }

/** Character codes. */
const Code = {
  space: 0x20,
  quote: 0x22,
  zero: 0x30,
  nine: 0x39,
  backslash: 0x5c,
  tilde: 0x7e,
} as const

/**
 * Parses the exact text that Intel signed. Call it only after the signature was verified.
 *
 * @param document name of the document in error messages
 * @param code thrown if the text is malformed
 * @throws `code`, QUOTE_TOO_LARGE
 */
export function parseSignedJson(text: string, document: string, code: ErrorCode): JsonObject {
  if (text.length > MAX_DOCUMENT_CHARS) {
    throw tooLarge(document, text.length, `at most ${MAX_DOCUMENT_CHARS} characters`)
  }
  const reader = new SignedJsonReader(text, document, code)
  const value = reader.value(0)
  reader.end()
  return new JsonObject(value, document, code)
}

/** Reads tokens in their order. */
class SignedJsonReader {
  readonly #text: string
  readonly #document: string
  readonly #code: ErrorCode
  #position = 0

  constructor(text: string, document: string, code: ErrorCode) {
    this.#text = text
    this.#document = document
    this.#code = code
  }

  /** Reads the next value. @param depth number of objects and lists around it */
  value(depth: number): JsonNode {
    const character = this.#text[this.#position]
    if (character === '{' || character === '[') {
      if (depth === MAX_DEPTH) throw this.#refusal(`nested more than ${MAX_DEPTH} deep`)
      return character === '{' ? this.#object(depth + 1) : this.#list(depth + 1)
    }
    if (character === '"') return this.#string()
    return { kind: 'scalar', text: this.#scalar() }
  }

  /** Refuses trailing characters. */
  end(): void {
    if (this.#position !== this.#text.length) throw this.#refusal('longer than its JSON')
  }

  #object(depth: number): JsonNode {
    const names: string[] = []
    const values: JsonNode[] = []
    this.#position += 1
    if (this.#skip('}')) return { kind: 'object', names, values }
    do {
      names.push(this.#string().text)
      this.#expect(':')
      values.push(this.value(depth))
    } while (this.#skip(','))
    this.#expect('}')
    return { kind: 'object', names, values }
  }

  #list(depth: number): JsonNode {
    const items: JsonNode[] = []
    this.#position += 1
    if (this.#skip(']')) return { kind: 'list', items }
    do items.push(this.value(depth))
    while (this.#skip(','))
    this.#expect(']')
    return { kind: 'list', items }
  }

  #string(): { kind: 'string'; text: string; isPlain: boolean } {
    const text = this.#text
    const start = this.#position + 1
    let end = start
    let isPlain = true
    if (text.charCodeAt(this.#position) !== Code.quote) throw this.#refusal('not compact JSON')
    for (let code = text.charCodeAt(end); code !== Code.quote; code = text.charCodeAt(end)) {
      // past the end of the text the code is NaN, which is not a space or above either
      if (!(code >= Code.space)) throw this.#refusal('not compact JSON')
      if (code === Code.backslash) end += this.#escapeLength(end)
      else end += 1
      if (code === Code.backslash || code > Code.tilde) isPlain = false
    }
    this.#position = end + 1
    return { kind: 'string', text: text.slice(start, end), isPlain }
  }

  #escapeLength(position: number): number {
    escapePattern.lastIndex = position
    const length = escapePattern.exec(this.#text)?.[0].length
    if (length === undefined) throw this.#refusal('not compact JSON')
    return length
  }

  #scalar(): string {
    const start = this.#position
    const found = this.#digits(start) ?? this.#match(start)
    if (found === undefined) throw this.#refusal('not compact JSON')
    this.#position = start + found.length
    return found
  }

  /** A whole number without sign, which nearly every number of Intel's documents is. */
  #digits(start: number): string | undefined {
    const text = this.#text
    let end = start
    let code = text.charCodeAt(end)
    while (code >= Code.zero && code <= Code.nine) code = text.charCodeAt(++end)
    const hasMore = text[end] === '.' || text[end] === 'e' || text[end] === 'E'
    const isPadded = text.charCodeAt(start) === Code.zero && end > start + 1
    return end === start || hasMore || isPadded ? undefined : text.slice(start, end)
  }

  #match(start: number): string | undefined {
    scalarPattern.lastIndex = start
    return scalarPattern.exec(this.#text)?.[0]
  }

  #expect(character: string): void {
    if (!this.#skip(character)) throw this.#refusal('not compact JSON')
  }

  #skip(character: string): boolean {
    if (this.#text[this.#position] !== character) return false
    this.#position += 1
    return true
  }

  #refusal(found: string): AssentError {
    const facts = { document: this.#document, offset: this.#position, found }
    return new AssentError(this.#code, `The ${this.#document} is ${found}.`, { facts })
  }
}

const escapePattern = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const wholeNumberPattern = /^(?:0|[1-9][0-9]{0,9})$/
const hexPattern = /^[0-9a-fA-F]*$/
const scalarPattern = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

/** Reads the members of an object by name and type, in any order. Each method throws the code of the document. */
export class JsonObject {
  readonly #names: readonly string[]
  readonly #values: readonly JsonNode[]
  readonly #place: string
  /** Position in a list. Only an error message needs it. */
  readonly #index: number | undefined
  readonly #code: ErrorCode

  constructor(node: JsonNode, place: string, code: ErrorCode, index?: number) {
    this.#place = place
    this.#index = index
    this.#code = code
    if (node.kind !== 'object') throw this.#malformed('', 'an object')
    const { names, values } = node
    if (names.length > MAX_MEMBERS) {
      throw tooLarge(this.#path, names.length, `at most ${MAX_MEMBERS} members`)
    }
    this.#names = names
    this.#values = values
    if (names.some((name, position) => names.indexOf(name) !== position)) {
      throw this.#malformed('', 'without equal names')
    }
  }

  get #path(): string {
    return this.#index === undefined ? this.#place : `${this.#place}[${this.#index}]`
  }

  /** Tells if there is a member with this name, of any type. */
  has(key: string): boolean {
    return this.#names.includes(key)
  }

  /** Reads a string of printable ASCII without escapes. Intel writes nothing else, and it has only one meaning. */
  string(key: string): string {
    return this.#plain(this.#value(key), key)
  }

  /** Reads a whole number from 0 to `max`, without sign, fraction or exponent. */
  number(key: string, max: number): number {
    const value = this.#value(key)
    const isWhole = value.kind === 'scalar' && wholeNumberPattern.test(value.text)
    if (!isWhole || Number(value.text) > max) {
      throw this.#malformed(key, `a whole number up to ${max}`)
    }
    return Number(value.text)
  }

  /** Reads hex of `length` bytes, in either case, because Intel serves both. */
  bytes(key: string, length: number): Uint8Array {
    const text = this.string(key)
    if (text.length !== 2 * length || !hexPattern.test(text)) {
      throw this.#malformed(key, `${length} bytes as hex`)
    }
    return new Uint8Array(Buffer.from(text, 'hex'))
  }

  /** Reads a time such as `2025-05-14T00:00:00Z` as written. In this form texts sort by time. */
  date(key: string): string {
    const text = this.string(key)
    this.time(key)
    return text
  }

  /** Reads the same as Unix seconds. */
  time(key: string): number {
    const seconds = readIsoTime(this.string(key))
    if (seconds === undefined) throw this.#malformed(key, 'a UTC time to the second')
    return seconds
  }

  /** Reads a list of strings that are not empty. */
  names(key: string): string[] {
    return this.#list(key, MAX_NAMES).map((item) => {
      const name = this.#plain(item, key)
      if (name === '') throw this.#malformed(key, 'a list of strings with characters')
      return name
    })
  }

  /** Reads an object. */
  object(key: string): JsonObject {
    return new JsonObject(this.#value(key), `${this.#path}.${key}`, this.#code)
  }

  /** Reads a list of objects. */
  objects(key: string): JsonObject[] {
    const place = `${this.#path}.${key}`
    return this.#list(key, MAX_ITEMS).map(
      (item, index) => new JsonObject(item, place, this.#code, index),
    )
  }

  /** Creates the error for a member that has the right type and a wrong value. */
  malformed(key: string, expected: string): AssentError {
    return this.#malformed(key, expected)
  }

  #value(key: string): JsonNode {
    const value = this.#values[this.#names.indexOf(key)]
    if (value === undefined) throw this.#malformed(key, 'a value')
    return value
  }

  #plain(value: JsonNode, key: string): string {
    if (value.kind === 'string' && value.isPlain) return value.text
    throw this.#malformed(key, 'a string of plain characters')
  }

  #list(key: string, max: number): readonly JsonNode[] {
    const value = this.#value(key)
    if (value.kind !== 'list') throw this.#malformed(key, 'a list')
    const { length } = value.items
    if (length > max) throw tooLarge(`${this.#path}.${key}`, length, `at most ${max} entries`)
    return value.items
  }

  #malformed(key: string, expected: string): AssentError {
    const field = key === '' ? this.#path : `${this.#path}.${key}`
    return new AssentError(this.#code, `${field} must be ${expected}.`, {
      facts: { field, expected },
    })
  }
}

function tooLarge(document: string, found: number, expected: string): AssentError {
  return new AssentError('QUOTE_TOO_LARGE', `The ${document} is too large.`, {
    facts: { document, found, expected },
  })
}

const isoPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

/**
 * Unix seconds of `2025-05-14T00:00:00Z`; undefined for any other form, for a day that does not exist, and after 2106.
 */
function readIsoTime(text: string): number | undefined {
  if (!isoPattern.test(text)) return undefined
  const part = (start: number, end: number) => Number(text.slice(start, end))
  const seconds = utcSeconds(
    part(0, 4),
    part(5, 7),
    part(8, 10),
    part(11, 13),
    part(14, 16),
    part(17, 19),
  )
  return seconds === undefined || seconds < 1 || seconds > LAST_SECOND ? undefined : seconds
}
