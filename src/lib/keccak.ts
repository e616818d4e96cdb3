/** keccak-256 of hex. Services hash many short values, so the bytes are decoded with Node's own decoder. */
import { keccak_256 } from '@noble/hashes/sha3.js'

import { type Hex, to0x } from './bytes.ts'

/** @param hex even number of digits after `0x`; callers check untrusted text before */
export function keccak256(hex: Hex): Hex {
  return to0x(keccak_256(Buffer.from(hex.slice(2), 'hex')))
}
