/** The bloom filter of a block header: which addresses may have emitted a log (Yellow Paper, section 4.3.1). */
import { createByteCache } from '../lib/byte-cache.ts'
import { fromHex, type Hex } from '../lib/bytes.ts'
import { keccak256 } from '../lib/keccak.ts'

/** Whether a block may contain logs of one of the addresses. False is certain; true can be an accident. */
export function mayContain(bloom: Hex, addresses: readonly Hex[]): boolean {
  const bits = fromHex(bloom, 'logsBloom', 256)
  return addresses.some((address) => positionsOf(address).every((bit) => isSet(bits, bit)))
}

const known = createByteCache<readonly number[]>(2 ** 22)

/** The three bits of an address: the low 11 bits of each of the first three pairs of bytes of its keccak256. */
function positionsOf(address: Hex): readonly number[] {
  const found = known.get(address)
  if (found !== undefined) return found
  const hash = keccak256(address)
  const bits = [0, 1, 2].map(
    (pair) => Number.parseInt(hash.slice(2 + 4 * pair, 6 + 4 * pair), 16) & 2047,
  )
  known.set(address, bits, 100)
  return bits
}

function isSet(bytes: Uint8Array, bit: number): boolean {
  return (((bytes[255 - (bit >> 3)] as number) >> (bit & 7)) & 1) === 1
}
