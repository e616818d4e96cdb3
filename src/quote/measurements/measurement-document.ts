/** The measurement document `measurement.tdx.cbor` of a dstack image release: strict CBOR with fixed members. */
import { AssentError } from '../../errors/index.ts'
import { concatBytes, utf8ToBytes } from '../../lib/bytes.ts'
import type { TdxMeasurement } from './os-image.ts'

type CborValue = bigint | Uint8Array | string | Map<string, CborValue>

const maxBytes = 65_536

/** Decodes a measurement document of version 3. @throws OS_IMAGE_MEASUREMENT_MALFORMED */
export function decodeTdxMeasurement(bytes: Uint8Array): TdxMeasurement {
  if (bytes.length > maxBytes) throw malformed('it is too large', { bytes: bytes.length })
  const reader = new CborReader(bytes)
  const document = reader.value(0)
  if (!reader.finished()) throw malformed('bytes follow its end', { offset: reader.offset })
  const root = members(document, 'document', ['version', 'image', 'tdvf'])
  if (root.get('version') !== 3n) throw malformed('its version is not 3', {})
  const image = members(root.get('image'), 'image', [
    'cmdline_sha384',
    'kernel_authenticode',
    'initrd_sha384',
  ])
  const tdvf = members(root.get('tdvf'), 'tdvf', ['ovmf', 'mrtd', 'td_hob'])
  if (tdvf.get('ovmf') !== 'pre202505') throw malformed('its firmware layout is unknown', {})
  const mrTd = members(tdvf.get('mrtd'), 'mrtd', ['single_pass', 'two_pass'])
  return {
    cmdlineSha384: digest(image, 'cmdline_sha384'),
    kernelAuthenticode: digest(image, 'kernel_authenticode'),
    initrdSha384: digest(image, 'initrd_sha384'),
    mrTdSinglePass: digest(mrTd, 'single_pass'),
    mrTdTwoPass: digest(mrTd, 'two_pass'),
    tdHob: bytesOf(tdvf, 'td_hob'),
  }
}

/** Encodes a measurement document of version 3. */
export function encodeTdxMeasurement(measurement: TdxMeasurement): Uint8Array {
  return encode(
    new Map<string, CborValue>([
      ['version', 3n],
      [
        'image',
        new Map<string, CborValue>([
          ['cmdline_sha384', measurement.cmdlineSha384],
          ['kernel_authenticode', measurement.kernelAuthenticode],
          ['initrd_sha384', measurement.initrdSha384],
        ]),
      ],
      [
        'tdvf',
        new Map<string, CborValue>([
          ['ovmf', 'pre202505'],
          [
            'mrtd',
            new Map<string, CborValue>([
              ['single_pass', measurement.mrTdSinglePass],
              ['two_pass', measurement.mrTdTwoPass],
            ]),
          ],
          ['td_hob', measurement.tdHob],
        ]),
      ],
    ]),
  )
}

/** Reads CBOR (RFC 8949) without floats, tags, arrays and indefinite lengths. Lengths must have their shortest form. */
class CborReader {
  offset = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  finished(): boolean {
    return this.offset === this.#bytes.length
  }

  value(depth: number): CborValue {
    if (depth > 4) throw malformed('it is nested too deeply', { offset: this.offset })
    const start = this.offset
    const initial = this.#take(1)[0] as number
    const length = this.#argument(initial & 0x1f)
    switch (initial >> 5) {
      case 0:
        return BigInt(length)
      case 2:
        return new Uint8Array(this.#take(length))
      case 3:
        return this.#text(length)
      case 5:
        return this.#map(length, depth)
      default:
        throw malformed('it has a type that it must not have', { offset: start })
    }
  }

  #argument(short: number): number {
    if (short < 24) return short
    const width = [1, 2, 4][short - 24]
    if (width === undefined) throw malformed('it has an indefinite length', { offset: this.offset })
    let value = 0
    for (const byte of this.#take(width)) value = value * 256 + byte
    const least = width === 1 ? 24 : 256 ** (width / 2)
    if (value < least) throw malformed('a length is not minimal', { offset: this.offset })
    return value
  }

  #text(length: number): string {
    const at = this.offset
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(this.#take(length))
    } catch (cause) {
      throw malformed('a text is not UTF-8', { offset: at }, cause)
    }
  }

  #map(count: number, depth: number): Map<string, CborValue> {
    const map = new Map<string, CborValue>()
    for (let index = 0; index < count; index++) {
      const at = this.offset
      const key = this.value(depth + 1)
      if (typeof key !== 'string') throw malformed('a key is not text', { offset: at })
      if (map.has(key)) throw malformed('a key occurs twice', { offset: at, key })
      map.set(key, this.value(depth + 1))
    }
    return map
  }

  #take(length: number): Uint8Array {
    const end = this.offset + length
    if (end > this.#bytes.length) throw malformed('it is cut off', { offset: this.offset })
    const taken = this.#bytes.subarray(this.offset, end)
    this.offset = end
    return taken
  }
}

function members(
  value: CborValue | undefined,
  name: string,
  keys: string[],
): Map<string, CborValue> {
  if (!(value instanceof Map)) throw malformed(`${name} is not a map`, {})
  const wrong = [...value.keys()].filter((key) => !keys.includes(key))
  const missing = keys.filter((key) => !value.has(key))
  if (wrong.length + missing.length > 0) {
    throw malformed(`${name} has other members`, { unknown: wrong, missing })
  }
  return value
}

function digest(map: Map<string, CborValue>, key: string): Uint8Array {
  const value = bytesOf(map, key)
  if (value.length !== 48) throw malformed(`${key} has not 48 bytes`, { found: value.length })
  return value
}

function bytesOf(map: Map<string, CborValue>, key: string): Uint8Array {
  const value = map.get(key)
  if (!(value instanceof Uint8Array)) throw malformed(`${key} is not bytes`, {})
  return value
}

function malformed(why: string, facts: Record<string, unknown>, cause?: unknown): AssentError {
  return new AssentError(
    'OS_IMAGE_MEASUREMENT_MALFORMED',
    `The measurement document cannot be read: ${why}.`,
    { facts, cause },
  )
}

function encode(value: CborValue): Uint8Array {
  if (typeof value === 'bigint') return head(0, Number(value))
  if (typeof value === 'string') return concatBytes(head(3, value.length), utf8ToBytes(value))
  if (value instanceof Uint8Array) return concatBytes(head(2, value.length), value)
  const entries = [...value].flatMap(([key, member]) => [encode(key), encode(member)])
  return concatBytes(head(5, value.size), ...entries)
}

function head(major: number, value: number): Uint8Array {
  if (value < 24) return Uint8Array.of((major << 5) | value)
  if (value < 256) return Uint8Array.of((major << 5) | 24, value)
  return Uint8Array.of((major << 5) | 25, value >> 8, value & 0xff)
}
