/**
 * A strict reader for DER (ITU-T X.690): one valid encoding per value, everything else refused.
 *
 * Definite and minimal lengths, low tag numbers, no bytes after a value, bounded depth. It knows only
 * the types that Intel's certificates and revocation lists use.
 */
import { AssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import { decimalDigits, utcSeconds } from './parse-utc-time.ts'

export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  context0: 0xa0,
  context3: 0xa3,
} as const

/** The deepest genuine value, an SVN in the SGX extension, lies 8 levels down. */
const MAX_DEPTH = 16

/** Reads the values inside one constructed value, in order. */
export class DerReader {
  readonly #bytes: Uint8Array
  readonly #end: number
  readonly #depth: number
  readonly #document: string
  #offset: number

  private constructor(
    bytes: Uint8Array,
    start: number,
    end: number,
    depth: number,
    document: string,
  ) {
    this.#bytes = bytes
    this.#offset = start
    this.#end = end
    this.#depth = depth
    this.#document = document
  }

  /** @param document what the bytes are, for errors */
  static of(bytes: Uint8Array, document: string): DerReader {
    return new DerReader(bytes, 0, bytes.length, 0, document)
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#end
  }

  /** Whether a value with this tag comes next. */
  isNext(expected: number): boolean {
    return !this.isAtEnd && this.#bytes[this.#offset] === expected
  }

  /** The content of the next value. */
  read(expected: number, field: string): Uint8Array {
    const { contentStart, end } = this.#element(expected, field)
    this.#offset = end
    return this.#bytes.subarray(contentStart, end)
  }

  /** The next value whole, with tag and length: what a signature covers or a name is compared by. */
  readWhole(expected: number, field: string): Uint8Array {
    const start = this.#offset
    const { end } = this.#element(expected, field)
    this.#offset = end
    return this.#bytes.subarray(start, end)
  }

  /** A reader of the values inside the next, constructed one. */
  enter(expected: number, field: string): DerReader {
    const { contentStart, end } = this.#element(expected, field)
    if (this.#depth === MAX_DEPTH) throw this.#malformed(field, 'nested too deeply', MAX_DEPTH)
    this.#offset = end
    return new DerReader(this.#bytes, contentStart, end, this.#depth + 1, this.#document)
  }

  /** X.690 §8.3.2 and §10: the shortest two's complement. Negative numbers never occur here. */
  readUnsigned(field: string, expected: number = tag.integer): Uint8Array {
    const content = this.read(expected, field)
    const [first, second] = content
    if (first === undefined) throw this.#malformed(field, 'empty integer', 'a number')
    if (first >= 0x80) throw this.#malformed(field, 'negative integer', 'a number from 0')
    if (first === 0 && second !== undefined && second < 0x80) {
      throw this.#malformed(field, 'padded integer', 'the shortest form')
    }
    return content
  }

  readNumber(field: string, max: number, expected: number = tag.integer): number {
    const content = this.readUnsigned(field, expected)
    if (content.length > 5) throw this.#malformed(field, 'large integer', `at most ${max}`)
    const value = content.reduce((sum, byte) => sum * 256 + byte, 0)
    if (value > max) throw this.#malformed(field, value, `at most ${max}`)
    return value
  }

  /** X.690 §11.1: true is all ones. */
  readBoolean(field: string): boolean {
    const content = this.read(tag.boolean, field)
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
      throw this.#malformed(field, 'boolean', '00 or ff')
    }
    return content[0] === 0xff
  }

  /** X.690 §11.5: where false is the default, it is left out, so only true can stand here. */
  readTrue(field: string): true {
    if (!this.readBoolean(field))
      throw this.#malformed(field, 'false', 'nothing, which means false')
    return true
  }

  /** The content as hex: object identifiers are compared, never decoded. */
  readOid(field: string): string {
    const content = this.read(tag.oid, field)
    if (content.length === 0 || content.length > 32)
      throw this.#malformed(field, 'oid', '1 to 32 bytes')
    // X.690 §8.19.2: each number ends, and none begins with zeros
    let ended = true
    for (const octet of content) {
      if (ended && octet === 0x80) throw this.#malformed(field, 'padded oid', 'the shortest form')
      ended = octet < 0x80
    }
    if (!ended) throw this.#malformed(field, 'oid without end', 'a whole one')
    return Buffer.from(content.buffer, content.byteOffset, content.length).toString('hex')
  }

  readOctets(field: string, length: number): Uint8Array {
    const content = this.read(tag.octetString, field)
    if (content.length !== length) throw this.#malformed(field, content.length, `${length} bytes`)
    return content
  }

  /** RFC 5280 §4.1.2.5: UTCTime to 2049, GeneralizedTime from 2050, both to the second in UTC. */
  readTime(field: string): number {
    const isGeneralized = this.isNext(tag.generalizedTime)
    const content = this.read(isGeneralized ? tag.generalizedTime : tag.utcTime, field)
    const yearDigits = isGeneralized ? 4 : 2
    const part = (index: number) => decimalDigits(content, yearDigits + 2 * index, 2)
    const written = decimalDigits(content, 0, yearDigits)
    const year = isGeneralized ? written : written < 50 ? 2000 + written : 1900 + written
    const time = utcSeconds(year, part(0), part(1), part(2), part(3), part(4))
    const hasForm = content.length === yearDigits + 11 && content[yearDigits + 10] === 0x5a
    if (time === undefined || Number.isNaN(time) || !hasForm || (isGeneralized && year < 2050)) {
      throw this.#malformed(field, toHex(content), 'a valid UTC time to the second')
    }
    return time
  }

  /** Refuses bytes after the last value. */
  finish(field: string): void {
    if (!this.isAtEnd)
      throw this.#malformed(field, `${this.#end - this.#offset} more bytes`, 'the end')
  }

  /** Refuses what follows unless it is DER to the last octet, whatever it means: for values that no rule reads. */
  requireWellFormed(field: string): void {
    if (this.isAtEnd) throw this.#malformed(field, 'nothing', 'a value')
    while (!this.isAtEnd) {
      const next = this.#bytes[this.#offset] as number
      // X.690 §8.1.2: number 0 ends indefinite lengths, number 31 starts long tags; neither is used here
      if (next === 0 || (next & 0x1f) === 0x1f) throw this.#malformed(field, hexByte(next), 'a tag')
      if ((next & 0x20) === 0) this.read(next, field)
      else if (this.#bytes[this.#offset + 1] === 0) this.read(next, field)
      else this.enter(next, field).requireWellFormed(field)
    }
  }

  #element(expected: number, field: string): { contentStart: number; end: number } {
    const bytes = this.#bytes
    if (this.#end - this.#offset < 2) throw this.#malformed(field, 'the end', hexByte(expected))
    const found = bytes[this.#offset] as number
    if (found !== expected) throw this.#malformed(field, hexByte(found), hexByte(expected))

    let length = bytes[this.#offset + 1] as number
    let contentStart = this.#offset + 2
    if (length >= 0x80) {
      const octets = length - 0x80
      // X.690 §10.1: definite, and in the fewest octets; three hold 16 MB, more than any input here
      if (octets === 0 || octets > 3)
        throw this.#malformed(field, hexByte(length), 'a definite length')
      if (this.#end - contentStart < octets) throw this.#malformed(field, 'the end', 'a length')
      length = 0
      for (let index = 0; index < octets; index++)
        length = length * 256 + (bytes[contentStart + index] as number)
      contentStart += octets
      if (length < 0x80 || (octets > 1 && length < 2 ** (8 * (octets - 1)))) {
        throw this.#malformed(field, 'padded length', 'the shortest form')
      }
    }
    const end = contentStart + length
    if (end > this.#end)
      throw this.#malformed(field, `length ${length}`, `at most ${this.#end - contentStart}`)
    return { contentStart, end }
  }

  #malformed(field: string, found: unknown, expected: unknown): AssentError {
    const place = `${this.#document}, ${field} at ${this.#offset}`
    return new AssentError(
      'QUOTE_DER_MALFORMED',
      `${place}: found ${found}, expected ${expected}.`,
      {
        facts: { document: this.#document, field, offset: this.#offset, found, expected },
      },
    )
  }
}

function hexByte(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}
