/**
 * The state machine of the light client: (store, message, time) → store, or a typed refusal.
 *
 * Source: `sync-protocol.md` of `ethereum/consensus-specs`, Altair to Gloas. Two things differ on purpose. Nothing is
 * forced (`process_slot_for_light_client_store`): a header is final only if the chain finalized it. And a refusal
 * names its reason. Cheap checks come first, the signature comes last, and nothing changes before all checks succeed.
 */
import { AssentError } from '../../errors/index.ts'
import { equalBytes, to0x } from '../../lib/bytes.ts'
import { isSignedBy } from './bls.ts'
import { type Execution, executionOf } from './execution.ts'
import { beginProof, extendProof, type FinalityProof } from './finality-proof.ts'
import { signingRoot } from './forks.ts'
import { isValidBranch } from './merkle.ts'
import type { Bootstrap, Committee, LightClientHeader, Update } from './messages.ts'
import { epochAt, isActive, type Network, periodAt, slotAt } from './network.ts'

/** A header whose execution data is proven. */
export interface KnownHeader extends LightClientHeader {
  /** Undefined before Capella. */
  readonly execution: Execution | undefined
}

/** `LightClientStore` (Altair) without the members that only forced updates use. Immutable. */
export interface LightStore {
  /** Newest header that the chain finalized and two thirds of a known committee signed: it may allow. */
  readonly finalized: KnownHeader
  /** Newest header that enough members signed, final or not: it may only deny. */
  readonly optimistic: KnownHeader
  /** Committee of the period of `finalized`. */
  readonly current: Committee
  /** Sync committee of the next period; undefined until an update proves it. */
  readonly next: Committee | undefined
  /** Most signers of an update in the previous period. */
  readonly previousMaxSigners: number
  /** Most signers of an update in this period. An optimistic header needs more than half of the larger of both. */
  readonly currentMaxSigners: number
  /** The messages that prove `finalized` to others. */
  readonly proof: FinalityProof
}

/** Generalized indices of the proven values in a state, by the fork of the state. */
const indices = {
  altair: { finalizedRoot: 105, currentCommittee: 54, nextCommittee: 55 },
  electra: { finalizedRoot: 169, currentCommittee: 86, nextCommittee: 87 },
  gloas: { finalizedRoot: 735, currentCommittee: 2945, nextCommittee: 2946 },
} as const

/** `finalized_root_gindex_at_slot` and its siblings (Electra, Gloas light client). */
export function indicesAt(network: Network, slot: number): (typeof indices)[keyof typeof indices] {
  const epoch = epochAt(network, slot)
  if (isActive(network, 'gloas', epoch)) return indices.gloas
  return isActive(network, 'electra', epoch) ? indices.electra : indices.altair
}

/**
 * Begins a store from a trusted block: `initialize_light_client_store` (Altair), within the weak subjectivity period.
 *
 * @param trustedRoot root of a finalized beacon block, from the settings
 * @param time Unix seconds
 * @throws CONSENSUS_ROOT_MISMATCH, CONSENSUS_HEADER_TOO_OLD, CONSENSUS_PROOF_INVALID, CONSENSUS_SLOT_INVALID
 */
export function beginStore(
  network: Network,
  trustedRoot: Uint8Array,
  bootstrap: Bootstrap,
  time: number,
): LightStore {
  const { header, committee, branch } = bootstrap
  if (!equalBytes(header.root, trustedRoot)) {
    throw new AssentError(
      'CONSENSUS_ROOT_MISMATCH',
      'The header of a bootstrap does not have the trusted block root.',
      { facts: { expected: to0x(trustedRoot), found: to0x(header.root) } },
    )
  }
  requireFresh(network, header.slot, time)
  const known = { ...header, execution: executionOf(network, header) }
  const index = indicesAt(network, header.slot).currentCommittee
  requireBranch(committee.root, branch, index, header, 'current sync committee')
  return {
    finalized: known,
    optimistic: known,
    current: committee,
    next: undefined,
    previousMaxSigners: 0,
    currentMaxSigners: 0,
    proof: beginProof(network, bootstrap),
  }
}

/**
 * Requires that a trusted header is within the weak subjectivity period (phase0 `weak-subjectivity.md`,
 * `is_within_weak_subjectivity_period`).
 *
 * @param time Unix seconds
 * @throws CONSENSUS_HEADER_TOO_OLD, CONSENSUS_SLOT_INVALID for a header of the future
 */
export function requireFresh(network: Network, slot: number, time: number): void {
  const now = slotAt(network, time)
  if (slot > now) throw wrongSlots('A trusted header is of the future', { slot, now })
  const age = epochAt(network, now) - epochAt(network, slot)
  if (age <= network.weakSubjectivityEpochs) return
  throw new AssentError(
    'CONSENSUS_HEADER_TOO_OLD',
    `The trusted header of slot ${slot} is ${age} epochs old.`,
    { facts: { slot, age, bound: network.weakSubjectivityEpochs, network: network.name } },
  )
}

/** The effect of one update. */
export interface Advance {
  /** The new store; the old one if the update has nothing new. */
  readonly store: LightStore
  /** Whether the finalized header or the committees changed: otherwise only the optimistic part did. */
  readonly isFinal: boolean
}

/**
 * Takes one update: `process_light_client_update` (Altair).
 *
 * @param time Unix seconds
 * @throws CONSENSUS_* with the first reason to refuse it; the store stays as it is
 */
export function takeUpdate(
  network: Network,
  store: LightStore,
  update: Update,
  time: number,
): Advance {
  const headers = validateUpdate(network, store, update, slotAt(network, time))
  return applyUpdate(network, store, update, headers)
}

interface ValidHeaders {
  readonly attested: KnownHeader
  /** Undefined without finality and at the genesis. */
  readonly finalized: KnownHeader | undefined
}

/** `validate_light_client_update` (Altair, with the changes of Capella, Electra and Gloas). */
function validateUpdate(
  network: Network,
  store: LightStore,
  update: Update,
  currentSlot: number,
): ValidHeaders {
  // MIN_SYNC_COMMITTEE_PARTICIPANTS
  if (update.signers < 1) throw tooFewSigners(update)
  requireOrder(update, currentSlot)
  const committee = signingCommittee(network, store, update)
  requireRelevant(network, store, update)
  const { attested, finality, next } = update
  const { finalizedRoot, nextCommittee } = indicesAt(network, attested.slot)
  const known = {
    attested: { ...attested, execution: executionOf(network, attested) },
    finalized: finality?.header && {
      ...finality.header,
      execution: executionOf(network, finality.header),
    },
  }
  if (finality !== undefined) {
    const root = finality.header?.root ?? new Uint8Array(32)
    requireBranch(root, finality.branch, finalizedRoot, attested, 'finalized block')
  }
  if (next !== undefined) {
    requireSameCommittee(network, store, attested, next.committee)
    requireBranch(next.committee.root, next.branch, nextCommittee, attested, 'next sync committee')
  }
  const root = signingRoot(network, attested.root, update.signatureSlot)
  if (isSignedBy(committee.keys, update.bits, root, update.signature)) return known
  throw new AssentError(
    'CONSENSUS_SIGNATURE_INVALID',
    `The sync committee did not sign the header of slot ${attested.slot}.`,
    {
      facts: { slot: attested.slot, signatureSlot: update.signatureSlot, signers: update.signers },
    },
  )
}

/** `current_slot >= signature_slot > attested slot >= finalized slot`. */
function requireOrder({ attested, finality, signatureSlot }: Update, currentSlot: number): void {
  const finalizedSlot = finality?.header?.slot ?? 0
  const slots = { currentSlot, signatureSlot, attested: attested.slot, finalized: finalizedSlot }
  if (signatureSlot > currentSlot) throw wrongSlots('An update is of the future', slots)
  if (signatureSlot <= attested.slot || attested.slot < finalizedSlot) {
    throw wrongSlots('The slots of an update are out of order', slots)
  }
}

function signingCommittee(
  network: Network,
  { finalized, current, next }: LightStore,
  { signatureSlot }: Update,
): Committee {
  const period = periodAt(network, finalized.slot)
  const signed = periodAt(network, signatureSlot)
  if (signed === period) return current
  if (signed === period + 1 && next !== undefined) return next
  throw new AssentError(
    'CONSENSUS_PERIOD_MISMATCH',
    `The sync committee of period ${signed} is not known.`,
    { facts: { found: signed, expected: next === undefined ? [period] : [period, period + 1] } },
  )
}

/** Whether an update brings the committee of the next period, which the store does not know. */
export function bringsNextCommittee(
  network: Network,
  { finalized, next }: LightStore,
  update: Update,
): boolean {
  return (
    next === undefined &&
    update.next !== undefined &&
    periodAt(network, update.attested.slot) === periodAt(network, finalized.slot)
  )
}

/** An update must bring a newer header, or the next committee if the store does not know it. */
function requireRelevant(network: Network, store: LightStore, update: Update): void {
  const { attested } = update
  if (attested.slot > store.finalized.slot || bringsNextCommittee(network, store, update)) return
  throw new AssentError(
    'CONSENSUS_NOT_NEWER',
    `An update of slot ${attested.slot} is not newer than slot ${store.finalized.slot}.`,
    { facts: { found: attested.slot, known: store.finalized.slot } },
  )
}

function requireSameCommittee(
  network: Network,
  { finalized, next }: LightStore,
  attested: LightClientHeader,
  committee: Committee,
): void {
  if (next === undefined || equalBytes(next.root, committee.root)) return
  if (periodAt(network, attested.slot) !== periodAt(network, finalized.slot)) return
  throw new AssentError(
    'CONSENSUS_COMMITTEE_CONFLICT',
    `An update of slot ${attested.slot} names another next sync committee.`,
    { facts: { expected: to0x(next.root), found: to0x(committee.root) } },
  )
}

function requireBranch(
  leaf: Uint8Array,
  branch: readonly Uint8Array[],
  index: number,
  { slot, value }: LightClientHeader,
  what: string,
): void {
  if (isValidBranch(leaf, branch, index, value.beacon.stateRoot)) return
  throw new AssentError(
    'CONSENSUS_PROOF_INVALID',
    `The ${what} is not in the state of slot ${slot}.`,
    {
      facts: { slot, what, generalizedIndex: index },
    },
  )
}

/** Whether two thirds of the committee signed, which a finalized header needs. */
export function isSupermajority({ signers, bits }: Pick<Update, 'signers' | 'bits'>): boolean {
  return signers * 3 >= bits.length * 2
}

/** The second half of `process_light_client_update`. */
function applyUpdate(
  network: Network,
  before: LightStore,
  update: Update,
  { attested, finalized }: ValidHeaders,
): Advance {
  const currentMaxSigners = Math.max(before.currentMaxSigners, update.signers)
  // get_safety_threshold
  const threshold = Math.floor(Math.max(before.previousMaxSigners, currentMaxSigners) / 2)
  const isSafe = update.signers > threshold && attested.slot > before.optimistic.slot
  const store = {
    ...before,
    currentMaxSigners,
    optimistic: isSafe ? attested : before.optimistic,
  }
  // `has_finalized_next_sync_committee` of the specification: the header in the period of the committee is final
  const finalizesNextCommittee =
    store.next === undefined &&
    update.next !== undefined &&
    update.finality !== undefined &&
    periodAt(network, finalized?.slot ?? 0) === periodAt(network, attested.slot)
  const isNewer = (finalized?.slot ?? 0) > store.finalized.slot
  if (!isSupermajority(update) || !(isNewer || finalizesNextCommittee))
    return { store, isFinal: false }
  const after = finalize(network, store, finalized, update.next?.committee)
  const added = {
    isFinal: after.finalized !== store.finalized,
    hasCommittee: after.next !== store.next && after.next !== undefined,
  }
  return {
    store: { ...after, proof: extendProof(network, store.proof, update, added) },
    isFinal: true,
  }
}

/** `apply_light_client_update` (Altair). */
export function finalize(
  network: Network,
  store: LightStore,
  finalized: KnownHeader | undefined,
  next: Committee | undefined,
): LightStore {
  const moved = moveCommittees(network, store, finalized?.slot ?? 0, next)
  if (finalized === undefined || finalized.slot <= store.finalized.slot) return moved
  const optimistic = finalized.slot > moved.optimistic.slot ? finalized : moved.optimistic
  return { ...moved, finalized, optimistic }
}

function moveCommittees(
  network: Network,
  store: LightStore,
  finalizedSlot: number,
  next: Committee | undefined,
): LightStore {
  const period = periodAt(network, store.finalized.slot)
  const reached = periodAt(network, finalizedSlot)
  if (store.next === undefined) {
    if (reached === period) return { ...store, next }
    throw new AssentError(
      'CONSENSUS_PERIOD_MISMATCH',
      `Period ${reached} is reached without its sync committee.`,
      { facts: { found: reached, expected: period } },
    )
  }
  if (reached !== period + 1) return store
  return {
    ...store,
    current: store.next,
    next,
    previousMaxSigners: store.currentMaxSigners,
    currentMaxSigners: 0,
  }
}

function tooFewSigners({ signers, bits }: Update): AssentError {
  return new AssentError('CONSENSUS_SIGNERS_TOO_FEW', 'No member of the sync committee signed.', {
    facts: { signers, members: bits.length },
  })
}

function wrongSlots(what: string, slots: Readonly<Record<string, number>>): AssentError {
  return new AssentError('CONSENSUS_SLOT_INVALID', `${what}.`, { facts: slots })
}
