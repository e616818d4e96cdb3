/**
 * Intel's signed JSON documents, read so that only one reading is possible.
 *
 * Two JSON parsers may disagree about duplicate names, numbers and escapes. So the text is read here, without white
 * space between its parts (RFC 8259), and members are found by name. What nobody asks for is skipped, as Intel's
 * library does: the signature covers it, and Intel has added members before. `contracts/quote/collateral/CollateralJson.sol`
 * reads the same.
 */
import { AssentError, type ErrorCode } from '../../errors/index.ts'
import { utcSeconds } from '../certificates/parse-utc-time.ts'

/** Genuine documents have 0.5 to 6 KB; 20 levels and many module identities stay under this. */
export const MAX_DOCUMENT_CHARS = 65_536

/** Four bytes hold it, on-chain too: 2106. */
export const LAST_SECOND = 0xffff_ffff

/** Objects and lists inside of each other, as many as Intel's library takes. Genuine documents nest 6 deep. */
const MAX_DEPTH = 32

/** Of an object that is read. Genuine ones have 12. */
const MAX_MEMBERS = 64

/** Of a list that is read: levels, modules, evaluation numbers. */
const MAX_ITEMS = 128

/** Names in one list. */
const MAX_NAMES = 255

type JsonNode =
  | { readonly kind: 'object'; readonly members: readonly (readonly [name: string, JsonNode])[] }
  | { readonly kind: 'list'; readonly items: readonly JsonNode[] }
  /** between its quotation marks, escapes as written */
  | { readonly kind: 'string'; readonly text: string }
  /** `true`, `false`, `null` or a number, as written */
  | { readonly kind: 'scalar'; readonly text: string }

/**
 * Reads the exact text that Intel signed. Call it only after the signature was verified.
 *
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

/** The next part of a text, wherever it stands. */
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

  /** @param depth how many objects and lists it stands in */
  value(depth: number): JsonNode {
    const character = this.#text[this.#position]
    if (character === '{' || character === '[') {
      if (depth === MAX_DEPTH) throw this.#refusal(`nested more than ${MAX_DEPTH} deep`)
      return character === '{' ? this.#object(depth + 1) : this.#list(depth + 1)
    }
    if (character === '"') return { kind: 'string', text: this.#string() }
    return { kind: 'scalar', text: this.#take(scalarPattern) }
  }

  end(): void {
    if (this.#position !== this.#text.length) throw this.#refusal('longer than its JSON')
  }

  #object(depth: number): JsonNode {
    const members: [string, JsonNode][] = []
    this.#position += 1
    if (this.#skip('}')) return { kind: 'object', members }
    do {
      const name = this.#string()
      this.#expect(':')
      members.push([name, this.value(depth)])
    } while (this.#skip(','))
    this.#expect('}')
    return { kind: 'object', members }
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

  #string(): string {
    return this.#take(stringPattern).slice(1, -1)
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#position
    const found = pattern.exec(this.#text)?.[0]
    if (found === undefined) throw this.#refusal('not compact JSON')
    this.#position += found.length
    return found
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

const stringPattern = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const scalarPattern = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

/** Reads members by name and type, in any order. */
export class JsonObject {
  readonly #members: ReadonlyMap<string, JsonNode>
  readonly #place: string
  readonly #code: ErrorCode

  constructor(value: JsonNode, place: string, code: ErrorCode) {
    this.#place = place
    this.#code = code
    if (value.kind !== 'object') throw this.#malformed('', 'an object')
    const { members } = value
    if (members.length > MAX_MEMBERS) {
      throw tooLarge(place, members.length, `at most ${MAX_MEMBERS} members`)
    }
    this.#members = new Map(members)
    if (this.#members.size !== members.length) throw this.#malformed('', 'without equal names')
  }

  has(key: string): boolean {
    return this.#members.has(key)
  }

  /** Printable ASCII that needs no escapes: all that Intel writes, and one reading on every machine. */
  string(key: string): string {
    return this.#plain(this.#value(key), key)
  }

  /** A whole number from 0 to `max`, in the form of RFC 8259 without sign, fraction and exponent. */
  number(key: string, max: number): number {
    const value = this.#value(key)
    const isWhole = value.kind === 'scalar' && /^(?:0|[1-9][0-9]{0,9})$/.test(value.text)
    if (!isWhole || Number(value.text) > max) {
      throw this.#malformed(key, `a whole number up to ${max}`)
    }
    return Number(value.text)
  }

  /** Hex of `length` bytes, in either case: Intel serves both. */
  bytes(key: string, length: number): Uint8Array {
    const text = this.string(key)
    if (text.length !== 2 * length || !/^[0-9a-fA-F]*$/.test(text)) {
      throw this.#malformed(key, `${length} bytes as hex`)
    }
    return new Uint8Array(Buffer.from(text, 'hex'))
  }

  /** `2025-05-14T00:00:00Z`, kept as written: the form sorts by time. */
  date(key: string): string {
    const text = this.string(key)
    if (readIsoTime(text) === undefined) throw this.#malformed(key, 'a UTC time to the second')
    return text
  }

  /** A date as unix seconds. */
  time(key: string): number {
    return readIsoTime(this.date(key)) as number
  }

  /** Strings of at least one character. */
  names(key: string): string[] {
    return this.#list(key, MAX_NAMES).map((item) => {
      const name = this.#plain(item, key)
      if (name === '') throw this.#malformed(key, 'a list of strings with characters')
      return name
    })
  }

  object(key: string): JsonObject {
    return new JsonObject(this.#value(key), `${this.#place}.${key}`, this.#code)
  }

  objects(key: string): JsonObject[] {
    return this.#list(key, MAX_ITEMS).map(
      (item, index) => new JsonObject(item, `${this.#place}.${key}[${index}]`, this.#code),
    )
  }

  malformed(key: string, expected: string): AssentError {
    return this.#malformed(key, expected)
  }

  #value(key: string): JsonNode {
    const value = this.#members.get(key)
    if (value === undefined) throw this.#malformed(key, 'a value')
    return value
  }

  #plain(value: JsonNode, key: string): string {
    if (value.kind === 'string' && /^[ !#-[\]-~]*$/.test(value.text)) return value.text
    throw this.#malformed(key, 'a string of plain characters')
  }

  #list(key: string, most: number): readonly JsonNode[] {
    const value = this.#value(key)
    if (value.kind !== 'list') throw this.#malformed(key, 'a list')
    const { length } = value.items
    if (length > most) throw tooLarge(`${this.#place}.${key}`, length, `at most ${most} entries`)
    return value.items
  }

  #malformed(key: string, expected: string): AssentError {
    const field = key === '' ? this.#place : `${this.#place}.${key}`
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

const isoPattern = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/

function readIsoTime(text: string): number | undefined {
  const match = isoPattern.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number)
  const seconds = utcSeconds(
    year as number,
    month as number,
    day as number,
    hour as number,
    minute as number,
    second as number,
  )
  return seconds === undefined || seconds < 1 || seconds > LAST_SECOND ? undefined : seconds
}
