/** Bytes in and out of text: exact, never padded, never guessed. */
import {
  bytesToHex as nobleBytesToHex,
  hexToBytes as nobleHexToBytes,
} from '@noble/hashes/utils.js'

import { AssentError } from '../errors/index.ts'

export type Hex = `0x${string}`

export { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'

/** Lower-case hex without `0x`. */
export function toHex(bytes: Uint8Array): string {
  return nobleBytesToHex(bytes)
}

/** Lower-case hex with `0x`, as the chain side speaks it. */
export function to0x(bytes: Uint8Array): Hex {
  return `0x${nobleBytesToHex(bytes)}`
}

/**
 * Reads hex with or without a lower-case `0x`.
 *
 * @param name what the value is, for the error
 * @param length exact number of bytes, if it is fixed
 * @throws HEX_INVALID, LENGTH_WRONG
 */
export function fromHex(text: string, name: string, length?: number): Uint8Array {
  const digits = text.startsWith('0x') ? text.slice(2) : text
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new AssentError('HEX_INVALID', `${name} is not an even number of hexadecimal digits.`, {
      facts: { name, digits: digits.length },
    })
  }
  const bytes = nobleHexToBytes(digits)
  if (length !== undefined) requireLength(bytes, name, length)
  return bytes
}

/** @throws LENGTH_WRONG */
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

/** Same bytes? Not constant-time: for public values only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** All bytes zero? */
export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
