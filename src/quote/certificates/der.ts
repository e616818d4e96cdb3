/**
 * A strict DER reader (ITU-T X.690): it accepts one encoding for each value and refuses everything else.
 *
 * Lengths must be definite and minimal, tag numbers low, the depth is bounded, and no bytes may follow a value. It knows
 * only the types that Intel's certificates and CRLs use.
 */
import { AssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import { decimalDigits, utcSeconds } from './parse-utc-time.ts'

/** Identifier octets (X.690 §8.1.2). */
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

/** The deepest genuine value, an SVN in the SGX extension, is at depth 8. */
const MAX_DEPTH = 16

/** Reads the values inside one constructed value, in their order. */
export class DerReader {
  readonly #bytes: Uint8Array
  /** The same bytes, for Node's encoders. */
  readonly #buffer: Buffer
  readonly #end: number
  readonly #depth: number
  readonly #document: string
  #offset: number

  private constructor(
    bytes: Uint8Array,
    buffer: Buffer,
    start: number,
    end: number,
    depth: number,
    document: string,
  ) {
    this.#bytes = bytes
    this.#buffer = buffer
    this.#offset = start
    this.#end = end
    this.#depth = depth
    this.#document = document
  }

  /** @param document name of the document in error messages */
  static of(bytes: Uint8Array, document: string): DerReader {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return new DerReader(bytes, buffer, 0, bytes.length, 0, document)
  }

  /** True if all values were read. */
  get isAtEnd(): boolean {
    return this.#offset === this.#end
  }

  /** Tells if the next value has this tag. */
  isNext(expected: number): boolean {
    return !this.isAtEnd && this.#bytes[this.#offset] === expected
  }

  /** Reads the content of the next value, as a view. */
  read(expected: number, field: string): Uint8Array {
    const { contentStart, end } = this.#element(expected, field)
    this.#offset = end
    return this.#bytes.subarray(contentStart, end)
  }

  /** Reads the next value with its tag and length: the bytes that a signature covers, or a name to compare. */
  readWhole(expected: number, field: string): Uint8Array {
    const start = this.#offset
    const { end } = this.#element(expected, field)
    this.#offset = end
    return this.#bytes.subarray(start, end)
  }

  /** Returns a reader for the values inside the next value. */
  enter(expected: number, field: string): DerReader {
    const { contentStart, end } = this.#element(expected, field)
    if (this.#depth === MAX_DEPTH) throw this.#malformed(field, 'nested too deeply', MAX_DEPTH)
    this.#offset = end
    const depth = this.#depth + 1
    return new DerReader(this.#bytes, this.#buffer, contentStart, end, depth, this.#document)
  }

  /** Reads an integer in its shortest form (X.690 §8.3.2 and §10). Intel's documents have no negative numbers. */
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

  /** Reads an integer from 0 to `max`, which must be below 2^40. */
  readNumber(field: string, max: number, expected: number = tag.integer): number {
    const content = this.readUnsigned(field, expected)
    if (content.length > 5) throw this.#malformed(field, 'large integer', `at most ${max}`)
    let value = 0
    for (const byte of content) value = value * 256 + byte
    if (value > max) throw this.#malformed(field, value, `at most ${max}`)
    return value
  }

  /** Reads a boolean, where true is `ff` (X.690 §11.1). */
  readBoolean(field: string): boolean {
    const content = this.read(tag.boolean, field)
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
      throw this.#malformed(field, 'boolean', '00 or ff')
    }
    return content[0] === 0xff
  }

  /** Reads a boolean whose default is false: DER leaves a default out, so only true is valid (X.690 §11.5). */
  readTrue(field: string): true {
    if (!this.readBoolean(field))
      throw this.#malformed(field, 'false', 'nothing, which means false')
    return true
  }

  /** Reads an object identifier as the hex of its content. It is only compared, so it is not decoded. */
  readOid(field: string): string {
    const content = this.read(tag.oid, field)
    const end = this.#offset
    if (content.length === 0 || content.length > 32)
      throw this.#malformed(field, 'oid', '1 to 32 bytes')
    // X.690 §8.19.2: each number is complete and has no leading zeros
    let ended = true
    for (const octet of content) {
      if (ended && octet === 0x80) throw this.#malformed(field, 'padded oid', 'the shortest form')
      ended = octet < 0x80
    }
    if (!ended) throw this.#malformed(field, 'oid without end', 'a whole one')
    return this.#buffer.toString('hex', end - content.length, end)
  }

  /** Reads an OCTET STRING of exactly `length` bytes. */
  readOctets(field: string, length: number): Uint8Array {
    const content = this.read(tag.octetString, field)
    if (content.length !== length) throw this.#malformed(field, content.length, `${length} bytes`)
    return content
  }

  /** Reads a time as Unix seconds. RFC 5280 §4.1.2.5: UTCTime up to 2049, GeneralizedTime from 2050, in UTC. */
  readTime(field: string): number {
    const isGeneralized = this.isNext(tag.generalizedTime)
    const content = this.read(isGeneralized ? tag.generalizedTime : tag.utcTime, field)
    const yearDigits = isGeneralized ? 4 : 2
    const written = decimalDigits(content, 0, yearDigits)
    const year = isGeneralized ? written : written < 50 ? 2000 + written : 1900 + written
    const time = utcSeconds(
      year,
      decimalDigits(content, yearDigits, 2),
      decimalDigits(content, yearDigits + 2, 2),
      decimalDigits(content, yearDigits + 4, 2),
      decimalDigits(content, yearDigits + 6, 2),
      decimalDigits(content, yearDigits + 8, 2),
    )
    const hasForm = content.length === yearDigits + 11 && content[yearDigits + 10] === 0x5a
    if (time === undefined || Number.isNaN(time) || !hasForm || (isGeneralized && year < 2050)) {
      throw this.#malformed(field, toHex(content), 'a valid UTC time to the second')
    }
    return time
  }

  /** Refuses trailing bytes. */
  finish(field: string): void {
    if (!this.isAtEnd)
      throw this.#malformed(field, `${this.#end - this.#offset} more bytes`, 'the end')
  }

  /** Checks that the remaining bytes are valid DER of any type. For values that no rule reads. */
  requireWellFormed(field: string): void {
    if (this.isAtEnd) throw this.#malformed(field, 'nothing', 'a value')
    while (!this.isAtEnd) {
      const next = this.#bytes[this.#offset] as number
      // X.690 §8.1.2: tag 0 ends an indefinite length, tag number 31 starts a long tag; neither is allowed here
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
      // X.690 §10.1: a definite length in the fewest octets. Three octets hold 16 MB, more than any document
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
