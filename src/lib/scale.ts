/**
 * SCALE, Parity's binary encoding (https://docs.polkadot.com/polkadot-protocol/parachain-basics/data-encoding/): numbers
 * are little-endian, and lists start with their length. The reader accepts only the shortest form of each value.
 */
import { concatBytes, utf8ToBytes } from './bytes.ts'

/** Creates the error that the reader throws, so that each format has its own error code. */
export type ScaleFailure = (why: string, facts: Record<string, unknown>, cause?: unknown) => Error

const maxEntries = 65_536
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads values in order. It refuses every encoding that Parity's codec does not write. */
export class ScaleReader {
  readonly #bytes: Uint8Array
  readonly #fail: ScaleFailure
  #offset = 0

  constructor(bytes: Uint8Array, fail: ScaleFailure) {
    this.#bytes = bytes
    this.#fail = fail
  }

  /** Reads exactly `length` bytes, as a view. */
  take(length: number, field: string): Uint8Array {
    const end = this.#offset + length
    if (end > this.#bytes.length) {
      throw this.#fail(`it ends inside ${field}`, { field, offset: this.#offset })
    }
    const taken = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return taken
  }

  /** Reads a little-endian unsigned 32-bit integer. */
  u32(field: string): number {
    return littleEndian(this.take(4, field))
  }

  /** Reads a little-endian unsigned 64-bit integer. */
  u64(field: string): bigint {
    return this.take(8, field).reduceRight((value, byte) => value * 256n + BigInt(byte), 0n)
  }

  /** Reads one byte, which must be 0 or 1. */
  bool(field: string): boolean {
    const offset = this.#offset
    const [byte] = this.take(1, field)
    if (byte === 0 || byte === 1) return byte === 1
    throw this.#fail(`${field} is neither true nor false`, { field, offset })
  }

  /** Reads an `Option`: a byte 0, or a byte 1 and the value. */
  option<T>(field: string, read: () => T): T | undefined {
    return this.bool(field) ? read() : undefined
  }

  /** Reads a `Vec<u8>`: a compact length and the bytes. A length above the remaining bytes is refused. */
  bytes(field: string): Uint8Array {
    return new Uint8Array(this.take(this.#compact(field), field))
  }

  /** Reads a `String` of valid UTF-8. */
  text(field: string): string {
    try {
      return utf8.decode(this.take(this.#compact(field), field))
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause
      throw this.#fail(`${field} is not UTF-8`, { field }, cause)
    }
  }

  /** An entry has at least one byte, so a count above the remaining bytes is refused before anything is read. */
  list<T>(field: string, read: () => T, max = maxEntries): T[] {
    const count = this.#compact(field)
    if (count > Math.min(max, this.#bytes.length - this.#offset)) {
      throw this.#fail(`${field} has too many entries`, { field, count })
    }
    const list: T[] = []
    for (let index = 0; index < count; index++) list.push(read())
    return list
  }

  /** Reads all remaining bytes: a last member without a length. */
  rest(): Uint8Array {
    return new Uint8Array(this.take(this.#bytes.length - this.#offset, 'rest'))
  }

  /** Refuses trailing bytes. */
  end(): void {
    if (this.#offset === this.#bytes.length) return
    throw this.#fail('it has trailing bytes', { offset: this.#offset })
  }

  /** A compact number: its two lowest bits give its width. A wider form than needed is refused. */
  #compact(field: string): number {
    const offset = this.#offset
    const mode = (this.#bytes[offset] ?? 0) & 3
    if (mode === 3) throw this.#fail(`the length of ${field} is too large`, { field, offset })
    const value = littleEndian(this.take([1, 2, 4][mode] as number, field)) >>> 2
    if (value < ([0, 64, 16_384][mode] as number)) {
      throw this.#fail(`the length of ${field} is not minimal`, { field, offset })
    }
    return value
  }
}

/** Encodes bytes with their length. */
export function scaleBytes(bytes: Uint8Array): Uint8Array {
  return concatBytes(scaleCompact(bytes.length), bytes)
}

/** Encodes text as UTF-8 with its length in bytes. */
export function scaleText(text: string): Uint8Array {
  return scaleBytes(utf8ToBytes(text))
}

/** Encodes a compact number below 2^30. */
export function scaleCompact(value: number): Uint8Array {
  if (value < 64) return Uint8Array.of(value << 2)
  if (value < 16_384) return Uint8Array.of(((value << 2) | 1) & 0xff, value >> 6)
  return scaleU32(value * 4 + 2)
}

/** Encodes four little-endian bytes. */
export function scaleU32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}

function littleEndian(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0)
}
