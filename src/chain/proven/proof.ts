/**
 * `eth_getProof` (EIP-1186), believed only as far as its nodes hash up to a root that is already known.
 *
 * What an endpoint claims beside its proof has to agree with what the proof says; an endpoint that
 * contradicts itself is not listened to.
 */
import { verifyMerkleProof } from '@ethereumjs/mpt'
import { fromRlp, keccak256 } from 'viem'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { addressSchema, hexSchema } from '../../lib/schema.ts'
import { quantitySchema } from './header.ts'

export interface ProvenAccount {
  readonly codeHash: Hex
  readonly storageRoot: Hex
}

export interface ProvenSlot {
  readonly value: bigint
  readonly proof: readonly Hex[]
}

export interface ProvenContract {
  /** Undefined: the state has no such account. */
  readonly account: ProvenAccount | undefined
  readonly accountProof: readonly Hex[]
  readonly slots: ReadonlyMap<Hex, ProvenSlot>
}

/** keccak-256 of nothing, and of an empty trie. */
export const emptyCodeHash: Hex = keccak256('0x')
export const emptyRoot: Hex = keccak256('0x80')

/** No path in a trie of 32-byte keys is longer, no node larger: 17 references and their lengths. */
const maxNodes = 65
const maxNodeBytes = 600

const nodeSchema = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})+$/, 'bytes')
  .max(2 + 2 * maxNodeBytes)
  .transform((text) => text.toLowerCase() as Hex)
const nodesSchema = z.array(nodeSchema).max(maxNodes)

/** Some nodes write the slot as a number, some as 32 bytes. */
const slotSchema = z
  .string()
  .regex(/^0x[0-9a-fA-F]{1,64}$/, 'a slot')
  .transform((text) => `0x${text.slice(2).toLowerCase().padStart(64, '0')}` as Hex)

export const proofSchema = z.object({
  address: addressSchema,
  balance: quantitySchema,
  nonce: quantitySchema,
  codeHash: hexSchema(32),
  storageHash: hexSchema(32),
  accountProof: nodesSchema,
  storageProof: z
    .array(z.object({ key: slotSchema, value: quantitySchema, proof: nodesSchema }))
    .max(256),
})

type ProofAnswer = z.output<typeof proofSchema>

/**
 * What an answer proves of an account and these slots under `stateRoot`.
 *
 * @throws CHAIN_PROOF_INVALID
 */
export async function verifyProof(
  answer: ProofAnswer,
  asked: { readonly stateRoot: Hex; readonly address: Hex; readonly slots: readonly Hex[] },
): Promise<ProvenContract> {
  requireAsked(answer, asked)
  const { accountProof } = answer
  const key = keccak256(asked.address)
  const encoded = await provenValue(asked.stateRoot, key, accountProof, 'account')
  const account = encoded === undefined ? undefined : readAccount(encoded)
  requireClaimedAccount(answer, account, encoded)
  const slots = new Map<Hex, ProvenSlot>()
  for (const { key, value, proof } of answer.storageProof) {
    const proven = await provenSlot(account?.storageRoot ?? emptyRoot, key, proof)
    if (proven !== value) throw refused('it claims another value than it proves', { slot: key })
    slots.set(key, { value, proof })
  }
  return { account, accountProof, slots }
}

function requireAsked(
  answer: ProofAnswer,
  { address, slots }: { readonly address: Hex; readonly slots: readonly Hex[] },
): void {
  if (answer.address !== address) throw refused('it is of another account', { address })
  const found = answer.storageProof.map(({ key }) => key)
  const same = found.length === slots.length && slots.every((slot, index) => slot === found[index])
  if (!same) throw refused('it is of other slots', { address })
}

function requireClaimedAccount(
  answer: ProofAnswer,
  account: ProvenAccount | undefined,
  encoded: Hex | undefined,
): void {
  if (account === undefined) {
    // some nodes write zeros for what is not there, some the hashes of nothing
    const none = [emptyCodeHash, emptyRoot, `0x${'00'.repeat(32)}`]
    const claimsNone = none.includes(answer.codeHash) && none.includes(answer.storageHash)
    if (!claimsNone) throw refused('it claims an account that it proves not to exist', {})
    return
  }
  const [nonce, balance] = fromRlp(encoded ?? '0x') as [Hex, Hex]
  const agrees =
    answer.codeHash === account.codeHash &&
    answer.storageHash === account.storageRoot &&
    answer.nonce === toNumber(nonce) &&
    answer.balance === toNumber(balance)
  if (!agrees) throw refused('it claims another account than it proves', {})
}

/** nonce, balance, storage root, code hash */
function readAccount(encoded: Hex): ProvenAccount {
  const fields = fromRlp(encoded)
  const [, , storageRoot, codeHash] = fields
  const valid =
    Array.isArray(fields) &&
    fields.length === 4 &&
    fields.every((field) => typeof field === 'string') &&
    storageRoot?.length === 66 &&
    codeHash?.length === 66
  if (!valid) throw refused('its account is none', {})
  return { storageRoot: storageRoot as Hex, codeHash: codeHash as Hex }
}

async function provenSlot(root: Hex, slot: Hex, proof: readonly Hex[]): Promise<bigint> {
  const encoded = await provenValue(root, keccak256(slot), proof, 'slot')
  if (encoded === undefined) return 0n
  const value = fromRlp(encoded)
  // Ethereum stores no zeros; anvil's tries keep those that were something else before
  if (value === '0x') return 0n
  const valid = typeof value === 'string' && value.length <= 66
  // nor leading ones
  if (!valid || value.startsWith('0x00')) throw refused('its value is none', { slot })
  return BigInt(value)
}

/** The value under `key`, or undefined where the trie proves that there is none. */
async function provenValue(
  root: Hex,
  key: Hex,
  nodes: readonly Hex[],
  of: 'account' | 'slot',
): Promise<Hex | undefined> {
  if (root === emptyRoot) {
    if (nodes.length === 0 || (nodes.length === 1 && nodes[0] === '0x80')) return undefined
    throw refused('it shows nodes of a trie that is empty', { of })
  }
  requirePath(root, nodes, of)
  const path = nodes.map((node) => fromHex(node, 'node'))
  try {
    const value = await verifyMerkleProof(fromHex(key, 'key'), path, {
      root: fromHex(root, 'root'),
    })
    return value === null ? undefined : to0x(value)
  } catch (cause) {
    throw refused('its nodes do not lead to the key', { of }, cause)
  }
}

/** Each node is the root or named in the one before: nothing spliced in, left out, reordered or added. */
function requirePath(root: Hex, nodes: readonly Hex[], of: string): void {
  if (nodes.length === 0) throw refused('it has no nodes', { of })
  nodes.forEach((node, index) => {
    const hash = keccak256(node)
    const above = nodes[index - 1]
    const named = above === undefined ? hash === root : above.includes(`a0${hash.slice(2)}`)
    if (!named) throw refused('a node is not below the one before', { of, node: index })
  })
}

function toNumber(bytes: Hex): bigint {
  return bytes === '0x' ? 0n : BigInt(bytes)
}

function refused(why: string, facts: Record<string, unknown>, cause?: unknown): AssentError {
  return new AssentError('CHAIN_PROOF_INVALID', `A proof does not hold: ${why}.`, { cause, facts })
}
