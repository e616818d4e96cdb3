/** The registry of root keys: proven by the quote of their making, in force by the DAO's vote. */
import { type Address, concat, encodeFunctionData, keccak256, type PublicClient } from 'viem'

import { type Hex, to0x } from '../lib/bytes.ts'
import { rootKeysAbi } from './abi.ts'
import { type State, states } from './approval.ts'
import { type Call, toChainError } from './call.ts'

/** Public halves: SubjectPublicKeyInfo of the root CA (91 bytes) and the compressed secp256k1 key (33). */
export interface RootKeyPair {
  readonly caPublicKey: Uint8Array
  readonly k256PublicKey: Uint8Array
}

/** The id under which a pair is proven and approved. */
export function rootKeyId({ caPublicKey, k256PublicKey }: RootKeyPair): Hex {
  return keccak256(concat([caPublicKey, k256PublicKey]))
}

/** Anyone may send it; nothing is allowed by it until the DAO approves the id. */
export function proveRootKey(registry: Address, quote: Uint8Array, keys: RootKeyPair): Call {
  return {
    to: registry,
    data: encodeFunctionData({
      abi: rootKeysAbi,
      functionName: 'prove',
      args: [to0x(quote), to0x(keys.caPublicKey), to0x(keys.k256PublicKey)],
    }),
    summary: `prove the root keys ${rootKeyId(keys)}`,
  }
}

export interface RootKey {
  readonly epoch: number
  readonly id: Hex
  readonly state: State
}

/** The keys of the epoch opened last, whatever their state; undefined before the first. */
export async function readCurrentRootKey(
  client: PublicClient,
  registry: Address,
): Promise<RootKey | undefined> {
  const contract = { address: registry, abi: rootKeysAbi } as const
  try {
    const blockNumber = await client.getBlockNumber()
    const epoch = await client.readContract({
      ...contract,
      functionName: 'currentEpoch',
      blockNumber,
    })
    if (epoch === 0) return undefined
    const at = { ...contract, blockNumber }
    const id = await client.readContract({ ...at, functionName: 'keyOf', args: [epoch] })
    const state = await client.readContract({ ...at, functionName: 'stateOf', args: [7, id] })
    return { epoch, id, state: states[state] ?? 'none' }
  } catch (cause) {
    throw toChainError(cause, 'read the current root keys')
  }
}

/** Where and when a pair was proven; `provenAt` is 0 if it was not, `epoch` if it was never approved. */
export interface RootKeyProof {
  readonly mrAggregated: Hex
  readonly deviceId: Hex
  readonly provenAt: number
  readonly status: number
  readonly epoch: number
}

export async function readProof(
  client: PublicClient,
  registry: Address,
  id: Hex,
): Promise<RootKeyProof> {
  try {
    return await client.readContract({
      address: registry,
      abi: rootKeysAbi,
      functionName: 'proofOf',
      args: [id],
    })
  } catch (cause) {
    throw toChainError(cause, `read the proof of root key ${id}`)
  }
}
