/** The registry of root keys (`RootKeys`): registered with the bootstrap quote, active after the DAO's approval. */
import { type Address, concat, encodeFunctionData, keccak256, type PublicClient } from 'viem'

import { type Hex, to0x } from '../../lib/bytes.ts'
import { rootKeysAbi } from '../abi.ts'
import { type State, states } from '../approval.ts'
import { type Call, toChainError } from '../call.ts'

/** Public halves: SubjectPublicKeyInfo of the root CA (91 bytes) and the compressed secp256k1 key (33). */
export interface RootKeyPair {
  /** SubjectPublicKeyInfo of the root CA key (P-256), 91 bytes. */
  readonly caPublicKey: Uint8Array
  /** Compressed secp256k1 root key, 33 bytes. */
  readonly k256PublicKey: Uint8Array
}

/**
 * Id of a pair of root keys.
 *
 * @example const id = rootKeyId({ caPublicKey, k256PublicKey })
 */
export function rootKeyId({ caPublicKey, k256PublicKey }: RootKeyPair): Hex {
  return keccak256(concat([caPublicKey, k256PublicKey]))
}

/**
 * Registers a pair of root keys. Anyone may send it; it allows nothing until the DAO approves the id.
 *
 * @example await sendCall(clients, proveRootKey(rootKeys, quote, { caPublicKey, k256PublicKey }))
 */
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

/** Root keys of one epoch of the KMS. */
export interface RootKey {
  /** From 1, in the order in which the DAO opened them. */
  readonly epoch: number
  /** See {@link rootKeyId}. */
  readonly id: Hex
  /** State of its approval at the time of the question. */
  readonly state: State
}

/**
 * Root keys of the last opened epoch in any state; undefined before the first one.
 *
 * @example const newest = await readCurrentRootKey(client, rootKeys)
 */
export async function readCurrentRootKey(
  client: PublicClient,
  registry: Address,
): Promise<RootKey | undefined> {
  const contract = { address: registry, abi: rootKeysAbi } as const
  try {
    const blockNumber = await client.getBlockNumber({ cacheTime: 0 })
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

/** When a pair was registered. `provenAt` (unix seconds) is 0 if it was not, `epoch` is 0 if it was never approved. */
export interface RootKeyProof {
  /** Measurement of the KMS node that created the keys. */
  readonly mrAggregated: Hex
  /** Host on which that node ran. */
  readonly deviceId: Hex
  /** Time of the registration, Unix seconds. */
  readonly provenAt: number
  /** Number of the TCB status in contracts/types/Report.sol. */
  readonly status: number
  /** Epoch that the DAO opened with the pair. */
  readonly epoch: number
}

/**
 * Reads under which quote a pair of root keys was registered.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example const { provenAt, epoch } = await readProof(client, rootKeys, rootKeyId(keys))
 */
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
