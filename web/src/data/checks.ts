/**
 * Compares what the indexer says with storage proofs.
 *
 * A claim says which storage word a row means. A word that differs is a lie of the indexer, or an error in it: the page turns
 * red and shows the proven value. A word that cannot be read is not checked, and is never shown as if it were.
 */
import { approvalSlot, bits, type Kind, kinds, uint256 } from '../../../src/chain/approval.ts'
import {
  appSlots,
  hostSlots,
  readAppRules,
  readHostProof,
  statusSlot,
} from '../../../src/chain/proven/slots.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import type { AgreedBlock, Chain } from './chain.ts'
import type { At, Row } from './indexer.ts'

/** One storage word, or a part of it, as a row of the indexer has it. */
export interface Claim {
  /** The row that it is part of. */
  readonly id: string
  /** In words, for the report of a difference. */
  readonly what: string
  readonly address: Hex
  readonly slot: Hex
  /** The bits that the row says; default: all. */
  readonly mask?: bigint
  readonly told: bigint
}

/** A claim that the chain contradicts. */
export interface Difference {
  readonly what: string
  readonly told: Hex
  readonly proven: Hex
  readonly block: number
  readonly address: Hex
  readonly slot: Hex
}

/** The result for one row. */
export type Check =
  | { readonly state: 'proven'; readonly block: number }
  | { readonly state: 'differs'; readonly differences: readonly Difference[] }
  | { readonly state: 'unchecked'; readonly why: string }

/** The results of claims, by the id of the row, and the proven words by slot. */
export interface Checked {
  readonly checks: ReadonlyMap<string, Check>
  /** By `address:slot`. */
  readonly words: ReadonlyMap<string, bigint>
  /** The block, if the endpoints agree on it. */
  readonly block: AgreedBlock | undefined
}

const everyBit = 2n ** 256n - 1n

/** Reads the words of all claims with storage proofs at the block of the rows. It never throws. */
export async function checkClaims(
  chain: Chain,
  at: At,
  claims: readonly Claim[],
): Promise<Checked> {
  const checks = new Map<string, Check>()
  const words = new Map<string, bigint>()
  let block: AgreedBlock
  try {
    block = await chain.blockOf(at)
  } catch (error) {
    for (const { id } of claims) checks.set(id, { state: 'unchecked', why: wordsOf(error) })
    return { checks, words, block: undefined }
  }
  const byAddress = Map.groupBy(claims, ({ address }) => address)
  await Promise.all(
    [...byAddress].map(async ([address, some]) => {
      const slots = [...new Set(some.map(({ slot }) => slot))]
      try {
        const found = await readWords(block, address, slots)
        slots.forEach((slot, index) => {
          words.set(`${address}:${slot}`, found[index] as bigint)
        })
      } catch (error) {
        for (const { id } of some) checks.set(id, { state: 'unchecked', why: wordsOf(error) })
      }
    }),
  )
  for (const claim of claims) {
    const word = words.get(`${claim.address}:${claim.slot}`)
    if (word === undefined) continue
    checks.set(claim.id, combine(checks.get(claim.id), compare(claim, word, at.block)))
  }
  return { checks, words, block }
}

/** Words of one contract, in requests that endpoints accept. */
async function readWords(
  { state }: AgreedBlock,
  address: Hex,
  slots: readonly Hex[],
): Promise<bigint[]> {
  const found: bigint[] = []
  for (let from = 0; from < slots.length; from += slotsAtOnce) {
    const part = slots.slice(from, from + slotsAtOnce)
    found.push(...(await state.read().words(address, part)))
  }
  return found
}

const slotsAtOnce = 128

function compare(claim: Claim, word: bigint, block: number): Check {
  const { mask = everyBit, told, what, address, slot } = claim
  const proven = word & mask
  if (proven === told) return { state: 'proven', block }
  const difference = { what, told: uint256(told), proven: uint256(proven), block, address, slot }
  return { state: 'differs', differences: [difference] }
}

/** A difference counts more than a missing check, and that more than a proof. */
function combine(before: Check | undefined, now: Check): Check {
  if (before === undefined || before.state === 'proven') return now
  if (now.state === 'differs' && before.state === 'differs') {
    return { state: 'differs', differences: [...before.differences, ...now.differences] }
  }
  return now.state === 'differs' ? now : before
}

function wordsOf(error: unknown): string {
  if (isAssentError(error)) return error.message
  return error instanceof Error ? error.message : 'unknown error'
}

/* CLAIMS OF ROWS */

const kindNames = new Map<number, Kind>(
  Object.entries(kinds).map(([name, number]) => [number, name as Kind]),
)

/** Name of a kind; undefined for a number that this version does not know. */
export function kindOf(number: number): Kind | undefined {
  return kindNames.get(number)
}

/** The storage word of an approval. */
export function approvalClaims(rows: readonly Row<'approvals'>[]): Claim[] {
  return rows.flatMap(({ id, registry, kind, subject, word }) => {
    const name = kindOf(kind)
    if (name === undefined) return []
    const slot = approvalSlot(name, subject)
    return [
      { id, what: `approval of ${name} ${subject}`, address: registry, slot, told: BigInt(word) },
    ]
  })
}

/** Slot of the counters of a registry: four numbers of 32 bits, by kind modulo four. */
const countersSlot = uint256(4n)

/** The number of approvals of one kind: it shows whether the indexer left rows out. */
export function countClaim(registry: Hex, kind: Kind, count: number): Claim {
  const shift = BigInt(32 * (kinds[kind] % 4))
  return {
    id: `${registry}:${kinds[kind]}`,
    what: `number of approvals of the kind ${kind} in ${registry}`,
    address: registry,
    slot: countersSlot,
    mask: 0xffffffffn << shift,
    told: BigInt(count) << shift,
  }
}

/** The parts of a host proof by which a host is admitted. */
export function hostClaims(hosts: Hex, rows: readonly Row<'hosts'>[]): Claim[] {
  return rows.flatMap((row) => {
    const [first, second] = hostSlots(row.id)
    const what = `host proof of ${row.id}`
    const told =
      BigInt(row.operator ?? 0) |
      (BigInt(row.attestedAt ?? 0) << 160n) |
      (BigInt(row.expiresAt ?? 0) << 200n) |
      (BigInt(row.status ?? 0) << 240n)
    const version = BigInt(row.approvalVersion ?? 0) << 112n
    return [
      { id: row.id, what, address: hosts, slot: first, mask: 2n ** 248n - 1n, told },
      { id: row.id, what, address: hosts, slot: second, mask: 0xffffffffn << 112n, told: version },
    ]
  })
}

/** Until when a TCB status is accepted. */
export function statusClaims(hosts: Hex, rows: readonly Row<'host-rules'>[]): Claim[] {
  return rows.flatMap(({ id, status, until }) =>
    status === null
      ? []
      : [
          {
            id,
            what: `time until which the TCB status ${status} is accepted`,
            address: hosts,
            slot: statusSlot(status),
            mask: 2n ** 40n - 1n,
            told: BigInt(until ?? 0),
          },
        ],
  )
}

/** The rules of an app whose code is Assent's. */
export function appClaims(row: Row<'apps'>): Claim[] {
  const rules =
    (BigInt(row.upgradesDisabled) << (8n * 16n)) |
    (BigInt(row.allowAnyDevice) << (8n * 17n)) |
    (BigInt(row.requireTcbUpToDate) << (8n * 18n)) |
    (BigInt(row.noticePeriod) << (8n * 19n)) |
    (BigInt(row.epoch - 1) << (8n * 23n)) |
    (BigInt(row.oldest) << (8n * 27n)) |
    (BigInt(row.variants) << (8n * 31n))
  const ends =
    BigInt(row.nextOldest) |
    (BigInt(row.endFrom) << 32n) |
    (BigInt(row.endOpenedEpoch) << 72n) |
    (BigInt(row.noticeSince) << 80n)
  const what = `rules of the app ${row.id}`
  return [
    {
      id: row.id,
      what,
      address: row.id,
      slot: appSlots.rules,
      mask: everyBit ^ (2n ** 128n - 1n),
      told: rules,
    },
    { id: row.id, what, address: row.id, slot: appSlots.ends, mask: 2n ** 120n - 1n, told: ends },
  ]
}

/* PROVEN VALUES: what the words say, in place of what the indexer said */

/** An app with the rules of the proven words; without them, as the indexer says it. */
export function provenApp(row: Row<'apps'>, checked: Checked | undefined): Row<'apps'> {
  const rules = checked?.words.get(`${row.id}:${appSlots.rules}`)
  const ends = checked?.words.get(`${row.id}:${appSlots.ends}`)
  if (rules === undefined || ends === undefined) return row
  const { epochsOpened, supersededAt, ...decided } = readAppRules(rules, ends)
  return {
    ...row,
    ...decided,
    endFrom: supersededAt,
    epoch: epochsOpened + 1,
    upgradesDisabled: bits(rules, 128n, 8n) !== 0,
    noticePeriod: bits(rules, 152n, 32n),
    variants: bits(rules, 248n, 8n),
    noticeSince: bits(ends, 80n, 40n),
  }
}

/** A host with the proven parts of its host proof. */
export function provenHost(
  hosts: Hex,
  row: Row<'hosts'>,
  checked: Checked | undefined,
): Row<'hosts'> {
  const [first, second] = hostSlots(row.id).map((slot) => checked?.words.get(`${hosts}:${slot}`))
  return first === undefined || second === undefined
    ? row
    : { ...row, ...readHostProof(first, second) }
}
