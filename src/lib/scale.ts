/** SCALE, Parity's binary encoding: little-endian, lengths in front. Only its shortest forms are read. */
import { concatBytes, utf8ToBytes } from './bytes.ts'

/** Makes the error of whatever is being read. */
export type ScaleFailure = (why: string, facts: Record<string, unknown>, cause?: unknown) => Error

const maxEntries = 65_536
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads from the front; refuses every encoding that Parity's codec would not write. */
export class ScaleReader {
  readonly #bytes: Uint8Array
  readonly #fail: ScaleFailure
  #offset = 0

  constructor(bytes: Uint8Array, fail: ScaleFailure) {
    this.#bytes = bytes
    this.#fail = fail
  }

  take(length: number, field: string): Uint8Array {
    const end = this.#offset + length
    if (end > this.#bytes.length) {
      throw this.#fail(`it ends inside ${field}`, { field, offset: this.#offset })
    }
    const taken = this.#bytes.subarray(this.#offset, end)
    this.#offset = end
    return taken
  }

  u32(field: string): number {
    return littleEndian(this.take(4, field))
  }

  u64(field: string): bigint {
    return this.take(8, field).reduceRight((value, byte) => value * 256n + BigInt(byte), 0n)
  }

  bool(field: string): boolean {
    const offset = this.#offset
    const [byte] = this.take(1, field)
    if (byte === 0 || byte === 1) return byte === 1
    throw this.#fail(`${field} is neither true nor false`, { field, offset })
  }

  option<T>(field: string, read: () => T): T | undefined {
    return this.bool(field) ? read() : undefined
  }

  bytes(field: string): Uint8Array {
    return new Uint8Array(this.take(this.#compact(field), field))
  }

  text(field: string): string {
    try {
      return utf8.decode(this.take(this.#compact(field), field))
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause
      throw this.#fail(`${field} is not UTF-8`, { field }, cause)
    }
  }

  /** Each entry takes at least one byte, so that a count beyond the bytes left is refused at once. */
  list<T>(field: string, read: () => T, most = maxEntries): T[] {
    const count = this.#compact(field)
    if (count > Math.min(most, this.#bytes.length - this.#offset)) {
      throw this.#fail(`${field} has too many entries`, { field, count })
    }
    const list: T[] = []
    for (let index = 0; index < count; index++) list.push(read())
    return list
  }

  /** What is left: a last member without a length in front. */
  rest(): Uint8Array {
    return new Uint8Array(this.take(this.#bytes.length - this.#offset, 'rest'))
  }

  end(): void {
    if (this.#offset === this.#bytes.length) return
    throw this.#fail('bytes follow its end', { offset: this.#offset })
  }

  /** The two lowest bits say how wide the number is; a wider form than needed is refused. */
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

export function scaleBytes(bytes: Uint8Array): Uint8Array {
  return concatBytes(scaleCompact(bytes.length), bytes)
}

export function scaleText(text: string): Uint8Array {
  return scaleBytes(utf8ToBytes(text))
}

/** For lengths below 2^30. */
export function scaleCompact(value: number): Uint8Array {
  if (value < 64) return Uint8Array.of(value << 2)
  if (value < 16_384) return Uint8Array.of(((value << 2) | 1) & 0xff, value >> 6)
  return scaleU32(value * 4 + 2)
}

export function scaleU32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}

function littleEndian(bytes: Uint8Array): number {
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0)
}
