/**
 * Verifies storage proofs of `eth_getProof` (EIP-1186) against a known state root.
 *
 * The values in the answer must be equal to the proven ones; an answer that contradicts itself is rejected.
 */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'
import { addressSchema, hexSchema } from '../../lib/schema.ts'
import { quantitySchema } from './header.ts'
import { emptyRoot, type NodeStore, readFields, requireRlp, walk } from './trie.ts'

/** The proven parts of an account that decisions need. */
export interface ProvenAccount {
  /** keccak-256 of the code; {@link emptyCodeHash} for an account without code. */
  readonly codeHash: Hex
  /** Root of the account's storage trie. */
  readonly storageRoot: Hex
}

/** An account with proven storage words. */
export interface ProvenContract {
  /** Undefined: the account does not exist. */
  readonly account: ProvenAccount | undefined
  /** Values by slot, as `0x` and 64 digits. A slot that the trie does not contain has the word 0. */
  readonly slots: ReadonlyMap<Hex, bigint>
  /** Trie nodes by hash, exactly those that prove the account and the slots. */
  readonly nodes: ReadonlyMap<Hex, Hex>
}

/** keccak-256 of no bytes. */
export const emptyCodeHash: Hex = keccak256('0x')

/** Most storage slots in one request. */
export const maxSlots = 256

/** Longest path in a trie with 32-byte keys, and largest node: 17 references with their lengths. */
const maxNodes = 65
const maxNodeBytes = 600

const nodeSchema = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})+$/, 'bytes')
  .max(2 + 2 * maxNodeBytes)
  .transform((text) => text.toLowerCase() as Hex)
const nodesSchema = z.array(nodeSchema).max(maxNodes)

/** Some nodes write the slot as a quantity, some as 32 bytes. */
const slotSchema = z
  .string()
  .regex(/^0x[0-9a-fA-F]{1,64}$/, 'a slot')
  .transform((text) => `0x${text.slice(2).toLowerCase().padStart(64, '0')}` as Hex)

/** The answer of `eth_getProof` (EIP-1186). The schema checks the shape only; `verifyProof` checks the proofs. */
export const proofSchema = z.object({
  address: addressSchema,
  balance: quantitySchema,
  nonce: quantitySchema,
  codeHash: hexSchema(32),
  storageHash: hexSchema(32),
  accountProof: nodesSchema,
  storageProof: z
    .array(z.object({ key: slotSchema, value: quantitySchema, proof: nodesSchema }))
    .max(maxSlots),
})

type ProofAnswer = z.output<typeof proofSchema>

/**
 * Verifies an answer: the account and these storage slots under `stateRoot`. Each proof must have exactly the trie nodes
 * from the root to the key, in this order.
 *
 * @param known trie nodes that were hashed before
 * @throws CHAIN_PROOF_INVALID
 */
export function verifyProof(
  answer: ProofAnswer,
  asked: { readonly stateRoot: Hex; readonly address: Hex; readonly slots: readonly Hex[] },
  known?: Pick<NodeStore, 'get'>,
): ProvenContract {
  requireAsked(answer, asked)
  const nodes = new Map<Hex, Hex>()
  const prove = (root: Hex, key: Hex, proof: readonly Hex[], of: 'account' | 'slot') => {
    try {
      return provenValue(root, key, readProof(proof, nodes, known))
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause
      throw refused(cause.message, { of }, cause)
    }
  }
  const encoded = prove(asked.stateRoot, asked.address, answer.accountProof, 'account')
  const account = readAccount(encoded)
  requireClaimedAccount(answer, account)
  const slots = new Map<Hex, bigint>()
  for (const { key, value, proof } of answer.storageProof) {
    const word = readWord(prove(account?.storageRoot ?? emptyRoot, key, proof, 'slot'))
    if (word !== value) throw refused('its value is not the proven value', { slot: key })
    slots.set(key, word)
  }
  return { account, slots, nodes }
}

function requireAsked(
  answer: ProofAnswer,
  { address, slots }: { readonly address: Hex; readonly slots: readonly Hex[] },
): void {
  if (answer.address !== address) throw refused('it is for another account', { address })
  const found = answer.storageProof.map(({ key }) => key)
  const same = found.length === slots.length && slots.every((slot, index) => slot === found[index])
  if (!same) throw refused('it is for other storage slots', { address })
}

function requireClaimedAccount(
  answer: ProofAnswer,
  account: (ProvenAccount & AccountSum) | undefined,
): void {
  if (account === undefined) {
    // for a missing account some nodes write zeros, some the hashes of empty data
    const none = [emptyCodeHash, emptyRoot, `0x${'00'.repeat(32)}`]
    const claimsNone = none.includes(answer.codeHash) && none.includes(answer.storageHash)
    if (!claimsNone) throw refused('it contains an account that does not exist by its proof', {})
    return
  }
  const agrees =
    answer.codeHash === account.codeHash &&
    answer.storageHash === account.storageRoot &&
    answer.nonce === account.nonce &&
    answer.balance === account.balance
  if (!agrees) throw refused('its account is not the proven account', {})
}

interface AccountSum {
  readonly nonce: bigint
  readonly balance: bigint
}

/** nonce, balance, storage root, code hash. @throws CHAIN_PROOF_INVALID */
export function readAccount(encoded: Hex | undefined): (ProvenAccount & AccountSum) | undefined {
  if (encoded === undefined) return undefined
  const fields = fieldsOf(encoded)
  const [nonce, balance, storageRoot, codeHash] = fields
  if (fields.length !== 4 || storageRoot?.length !== 66 || codeHash?.length !== 66) {
    throw refused('the leaf is not a valid account', {})
  }
  return {
    nonce: toNumber(nonce as Hex),
    balance: toNumber(balance as Hex),
    storageRoot,
    codeHash,
  }
}

function fieldsOf(encoded: Hex): Hex[] {
  try {
    return readFields(encoded)
  } catch (cause) {
    throw refused('the leaf is not a valid account', {}, cause)
  }
}

/** A word of storage: RLP of a number without leading zeros. @throws CHAIN_PROOF_INVALID */
export function readWord(encoded: Hex | undefined): bigint {
  // Ethereum stores no zeros, but anvil keeps a zero if the slot had a value before
  if (encoded === undefined || encoded === '0x80') return 0n
  try {
    requireRlp(encoded)
  } catch (cause) {
    throw refused('the leaf is not a valid storage value', {}, cause)
  }
  const bytes = encoded.length === 4 ? encoded.slice(2) : encoded.slice(4)
  const isWord = encoded < '0xa1' && bytes.length > 0 && bytes.length <= 64
  if (!isWord || bytes.startsWith('00')) throw refused('the leaf is not a valid storage value', {})
  return BigInt(`0x${bytes}`)
}

/** The value of `key`; undefined: the trie proves that the key is absent. @throws RangeError */
function provenValue(root: Hex, key: Hex, proof: ProofReader): Hex | undefined {
  // an empty trie has one node, which some servers include
  if (root === emptyRoot) proof.skipEmpty()
  const found = walk(root, keccak256(key), proof.take)
  if ('missing' in found) throw new RangeError('it is cut off')
  if (!proof.isRead()) throw new RangeError('it has nodes beyond the end of the path')
  return found.value
}

interface ProofReader {
  take(hash: Hex): Hex | undefined
  skipEmpty(): void
  isRead(): boolean
}

/** Returns the nodes of a proof in order; each must be the node that is needed next. */
function readProof(
  proof: readonly Hex[],
  proven: Map<Hex, Hex>,
  known: Pick<NodeStore, 'get'> | undefined,
): ProofReader {
  let next = 0
  return {
    take: (hash) => {
      const node = proof[next++]
      if (node === undefined) return undefined
      const seen = proven.get(hash) ?? known?.get(hash)
      if (seen === node) {
        proven.set(hash, seen)
        return seen
      }
      if (keccak256(node) !== hash) throw new RangeError('a node is not the one named above it')
      requireRlp(node)
      proven.set(hash, node)
      return node
    },
    skipEmpty: () => {
      if (proof.length === 1 && proof[0] === '0x80') next++
    },
    isRead: () => next === proof.length,
  }
}

function toNumber(bytes: Hex): bigint {
  return bytes === '0x' ? 0n : BigInt(bytes)
}

function refused(why: string, facts: Record<string, unknown>, cause?: unknown): AssentError {
  return new AssentError('CHAIN_PROOF_INVALID', `A storage proof is invalid: ${why}.`, {
    cause,
    facts,
  })
}
