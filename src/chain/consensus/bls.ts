/**
 * `FastAggregateVerify` of the BLS signature draft (version 4), for sync committees.
 *
 * A committee's `aggregate_pubkey` is in the state next to its keys (Altair `get_next_sync_committee`), and one Merkle
 * branch proves both. So the key of those who signed is also the aggregate less the keys of those who did not, and
 * only the smaller of the two groups is ever decompressed: a few keys in place of 512.
 */
import { bls12_381 } from '@noble/curves/bls12-381.js'

import { utf8ToBytes } from '../../lib/bytes.ts'

const { longSignatures, G1 } = bls12_381
type Key = ReturnType<typeof G1.Point.fromBytes>

/** Ciphersuite of the consensus layer (phase0 "BLS signatures"). */
const suite = utf8ToBytes('BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_')

/** Keys of a committee, decompressed when they are first needed and kept. */
export interface CommitteeKeys {
  /** Sum of the keys whose bit is set. @throws Error where a key is no point of the group */
  sumOf(bits: readonly boolean[]): Key
}

/**
 * @param pubkeys compressed keys of the members
 * @param aggregate compressed sum of all of them
 */
export function committeeKeys(
  pubkeys: readonly Uint8Array[],
  aggregate: Uint8Array,
): CommitteeKeys {
  const known = new Map<number, Key>()
  let all: Key | undefined
  const keyAt = (index: number): Key => {
    const key = known.get(index) ?? readKey(pubkeys[index] as Uint8Array)
    known.set(index, key)
    return key
  }
  const sum = (indices: readonly number[]) =>
    indices.reduce((total, index) => total.add(keyAt(index)), G1.Point.ZERO)
  return {
    sumOf: (bits) => {
      const signed: number[] = []
      const absent: number[] = []
      for (const index of pubkeys.keys()) (bits[index] ? signed : absent).push(index)
      if (signed.length <= absent.length) return sum(signed)
      all ??= readKey(aggregate)
      return all.subtract(sum(absent))
    },
  }
}

/** `KeyValidate`: on the curve, in the subgroup, not the identity. */
function readKey(bytes: Uint8Array): Key {
  const key = G1.Point.fromBytes(bytes)
  if (key.is0()) throw new Error('The identity is no public key.')
  return key
}

/** Whether the members whose bit is set signed `message`. Never throws: what cannot be read was not signed. */
export function isSignedBy(
  keys: CommitteeKeys,
  bits: readonly boolean[],
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    const key = keys.sumOf(bits)
    return !key.is0() && longSignatures.verify(signature, longSignatures.hash(message, suite), key)
  } catch {
    return false
  }
}
