/** Conversion between bytes and hex. Wrong input is an error; nothing is padded or cut. */
import { AssentError } from '../errors/index.ts'

/** Hex with `0x`, as in viem. */
export type Hex = `0x${string}`

export { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'

/** Encodes bytes as lower-case hex without `0x`. */
export function toHex(bytes: Uint8Array): string {
  // Node's own encoder is several times as fast as a loop
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Encodes bytes as lower-case hex with `0x`, the form of viem and JSON-RPC. */
export function to0x(bytes: Uint8Array): Hex {
  return `0x${toHex(bytes)}`
}

/**
 * Decodes hex in either case, with or without a lower-case `0x`.
 *
 * @param name name of the value in the error message
 * @param length required number of bytes; any if left out
 * @throws HEX_INVALID if the text is not an even number of hexadecimal digits
 * @throws LENGTH_WRONG if it has another length
 *
 * @example
 * const deviceId = fromHex(text, 'device id', 32)
 */
export function fromHex(text: string, name: string, length?: number): Uint8Array {
  const digits = text.startsWith('0x') ? text.slice(2) : text
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new AssentError('HEX_INVALID', `${name} is not an even number of hexadecimal digits.`, {
      facts: { name, digits: digits.length },
    })
  }
  const bytes = new Uint8Array(Buffer.from(digits, 'hex'))
  if (length !== undefined) requireLength(bytes, name, length)
  return bytes
}

/**
 * Checks the length of a value.
 *
 * @param name name of the value in the error message
 * @throws LENGTH_WRONG
 */
export function requireLength(bytes: Uint8Array, name: string, length: number): void {
  if (bytes.length !== length) {
    throw new AssentError(
      'LENGTH_WRONG',
      `${name} must have ${length} bytes, found ${bytes.length}.`,
      {
        facts: { name, expected: length, found: bytes.length },
      },
    )
  }
}

/** Tells if two byte arrays are equal. Not constant-time: use it for public values only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** Tells if all bytes are zero. True for an empty array. */
export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
