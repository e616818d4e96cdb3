/**
 * Intel's signed JSON documents, read so that only one reading is possible.
 *
 * Two JSON parsers may disagree about duplicate keys, numbers and escapes. Genuine documents are
 * compact and equal their own re-serialisation, so everything else is refused.
 */
import { AssentError, type ErrorCode } from '../errors/index.ts'
import { utcSeconds } from './utc.ts'

/** Genuine documents have 0.5 to 6 KB; 20 levels and many module identities stay under this. */
export const MAX_DOCUMENT_CHARS = 65_536

/** Four bytes hold it, on-chain too: 2106. */
export const LAST_SECOND = 0xffff_ffff

/** Genuine documents nest 5 deep. */
const MAX_DEPTH = 12

/**
 * Parses the exact text that Intel signed. Call it only after the signature was verified.
 *
 * @throws `code`, QUOTE_TOO_LARGE
 */
export function parseSignedJson(text: string, document: string, code: ErrorCode): JsonObject {
  requireBounded(text, document, code)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new AssentError(code, `The ${document} is not JSON.`, { cause, facts: { document } })
  }
  if (JSON.stringify(value) !== text) {
    throw new AssentError(code, `The ${document} is not compact JSON with unique keys.`, {
      facts: { document, found: 'another form', expected: 'its own re-serialisation' },
    })
  }
  return new JsonObject(value, document, code)
}

/** Before the parser sees it: a recursive parser must not meet unbounded depth. */
function requireBounded(text: string, document: string, code: ErrorCode): void {
  if (text.length > MAX_DOCUMENT_CHARS) {
    throw new AssentError('QUOTE_TOO_LARGE', `The ${document} is too large.`, {
      facts: { document, found: text.length, expected: `at most ${MAX_DOCUMENT_CHARS}` },
    })
  }
  // brackets inside strings count too: genuine strings have none
  let depth = 0
  for (let index = 0; index < text.length; index++) {
    const character = text.charCodeAt(index)
    if (character === 0x7b || character === 0x5b) depth += 1
    else if (character === 0x7d || character === 0x5d) depth -= 1
    if (depth > MAX_DEPTH) {
      throw new AssentError(code, `The ${document} is nested too deeply.`, {
        facts: { document, offset: index, expected: `at most ${MAX_DEPTH} levels` },
      })
    }
  }
}

/**
 * Reads each field once, by name and type, in the order in which Intel writes them; `finish` refuses an object with
 * fields that nobody read.
 */
export class JsonObject {
  readonly #value: Record<string, unknown>
  readonly #keys: readonly string[]
  readonly #place: string
  readonly #code: ErrorCode
  #read = 0

  constructor(value: unknown, place: string, code: ErrorCode) {
    this.#place = place
    this.#code = code
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.#malformed('', 'an object')
    }
    this.#value = value as Record<string, unknown>
    this.#keys = Object.keys(value)
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#value, key)
  }

  /** Printable ASCII that needs no escapes: all that Intel writes, and one reading on every machine. */
  string(key: string): string {
    const value = this.#take(key)
    if (!isPlain(value)) throw this.#malformed(key, 'a string of plain characters')
    return value
  }

  /** A whole number from 0 to `max`. */
  number(key: string, max: number): number {
    const value = this.#take(key)
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
      throw this.#malformed(key, `a whole number up to ${max}`)
    }
    return value
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

  /** Strings of 1 to 31 characters: what fits into one word of the contract that reads the same. */
  names(key: string): string[] {
    return this.#array(key).map((item) => {
      if (!isPlain(item) || item.length === 0 || item.length > MAX_NAME_CHARS) {
        throw this.#malformed(key, `a list of strings of 1 to ${MAX_NAME_CHARS} plain characters`)
      }
      return item
    })
  }

  object(key: string): JsonObject {
    return new JsonObject(this.#take(key), `${this.#place}.${key}`, this.#code)
  }

  objects(key: string): JsonObject[] {
    return this.#array(key).map(
      (item, index) => new JsonObject(item, `${this.#place}.${key}[${index}]`, this.#code),
    )
  }

  /** Refuses fields that were not read: an unknown field could change what the known ones mean. */
  finish(): void {
    if (this.#keys.length === this.#read) return
    throw this.#malformed('', `without unknown fields, of ${this.#keys.join(', ')}`)
  }

  malformed(key: string, expected: string): AssentError {
    return this.#malformed(key, expected)
  }

  #take(key: string): unknown {
    if (!Object.hasOwn(this.#value, key)) throw this.#malformed(key, 'a value')
    const next = this.#keys[this.#read]
    if (next !== key) throw this.#malformed(key, `in its place, where ${next} stands`)
    this.#read += 1
    return this.#value[key]
  }

  #array(key: string): unknown[] {
    const value = this.#take(key)
    if (!Array.isArray(value)) throw this.#malformed(key, 'a list')
    return value
  }

  #malformed(key: string, expected: string): AssentError {
    const field = key === '' ? this.#place : `${this.#place}.${key}`
    return new AssentError(this.#code, `${field} must be ${expected}.`, {
      facts: { field, expected },
    })
  }
}

/** What one word on-chain holds beside a zero that ends it. */
export const MAX_NAME_CHARS = 31

function isPlain(value: unknown): value is string {
  return typeof value === 'string' && /^[ !#-[\]-~]*$/.test(value)
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
