/**
 * `data_collection` of the consensus specifications: what a full node serves to light clients as blocks arrive.
 *
 * Assent serves nothing, so every message that the test names is read and verified: its header is of a block that was
 * imported, its proofs lead to the roots of that header, and the committee signed, where the test shows the committee.
 */
import { isSignedBy } from '../../../src/chain/consensus/bls.ts'
import { executionOf } from '../../../src/chain/consensus/execution.ts'
import { signingRoot } from '../../../src/chain/consensus/forks.ts'
import { isValidBranch } from '../../../src/chain/consensus/merkle.ts'
import {
  type Committee,
  type LightClientHeader,
  type RawMessage,
  readBootstrap,
  readFinalityUpdate,
  readOptimisticUpdate,
  readUpdate,
  type Update,
} from '../../../src/chain/consensus/messages.ts'
import { type Network, periodAt, timeOfSlot } from '../../../src/chain/consensus/network.ts'
import { beginStore, indicesAt } from '../../../src/chain/consensus/store.ts'
import { fromHex, to0x } from '../../../src/lib/bytes.ts'
import { forkOfDigest, type Mapping, networkOf, readSnappy, readYaml } from './spec-files.ts'
import type { Progress } from './spec-suite.ts'

interface Named {
  readonly fork_digest: string
  readonly data: string
}

interface Collection {
  readonly folder: string
  readonly network: Network
  readonly firstSlot: number
  /** Slot, proposer, parent and state of the imported blocks. */
  readonly blocks: Set<string>
  /** Sync committees by period that messages of one head have shown: another branch may have other committees. */
  committees: Map<number, Committee>
}

export function runDataCollection(folder: string, progress: Progress): void {
  const state = readSnappy(folder, 'initial_state')
  // `genesis_time`, `genesis_validators_root` and `slot` are the first members of each state
  const root = to0x(state.subarray(8, 40))
  const collection: Collection = {
    folder,
    network: networkOf(readYaml(folder, 'config.yaml') as Mapping, root),
    firstSlot: Number(Buffer.from(state).readBigUInt64LE(40)),
    blocks: new Set(),
    committees: new Map(),
  }
  const steps = readYaml(folder, 'steps.yaml') as Record<string, Mapping>[]
  for (const [index, step] of steps.entries()) {
    const [[kind = '', values = {}] = []] = Object.entries(step)
    try {
      if (kind === 'new_block') importBlock(collection, values as unknown as Named)
      else if (kind === 'new_head') checkHead(collection, values.checks as Mapping)
      else throw new Error('a step of an unknown kind')
    } catch (error) {
      throw new Error(`step ${index} (${kind}): ${(error as Error).message}`, { cause: error })
    }
    progress.held += 1
  }
}

/** `SignedBeaconBlock`: an offset and a signature, then the block, whose first members have fixed places. */
function importBlock({ folder, network, blocks }: Collection, { fork_digest, data }: Named): void {
  forkOfDigest(network, fork_digest)
  const block = Buffer.from(readSnappy(folder, data)).subarray(100)
  const [slot, proposer] = [block.readBigUInt64LE(0), block.readBigUInt64LE(8)]
  blocks.add(nameOf(slot, proposer, block.subarray(16, 48), block.subarray(48, 80)))
}

function nameOf(slot: bigint, proposer: bigint, parent: Uint8Array, state: Uint8Array): string {
  return `${slot} ${proposer} ${to0x(parent)} ${to0x(state)}`
}

function checkHead(collection: Collection, checks: Mapping): void {
  const { network } = collection
  collection.committees = new Map()
  for (const [name, found] of Object.entries(checks)) {
    if (name === 'latest_finalized_checkpoint') continue
    if (name === 'bootstraps') {
      for (const { block_root, bootstrap } of found as { block_root: string; bootstrap?: Named }[])
        if (bootstrap !== undefined) checkBootstrap(collection, bootstrap, block_root)
    } else if (name === 'best_updates') {
      for (const { period, update } of found as { period: string; update?: Named }[]) {
        if (update === undefined) continue
        const { attested, next } = check(collection, update, readUpdate)
        if (periodAt(network, attested.slot) !== Number(period)) throw new Error('another period')
        if (next === undefined) throw new Error('an update without the next committee')
        collection.committees.set(Number(period) + 1, next.committee)
      }
    } else if (name === 'latest_finality_update') {
      check(collection, found as Named, readFinalityUpdate)
    } else if (name === 'latest_optimistic_update') {
      check(collection, found as Named, readOptimisticUpdate)
    } else throw new Error(`${name} is unknown`)
  }
}

function rawOf({ folder, network }: Collection, { fork_digest, data }: Named): RawMessage {
  return { fork: forkOfDigest(network, fork_digest), data: { ssz: readSnappy(folder, data) } }
}

function checkBootstrap(collection: Collection, named: Named, blockRoot: string): void {
  const { network, committees } = collection
  const bootstrap = readBootstrap(network, rawOf(collection, named))
  const root = fromHex(blockRoot, 'block root', 32)
  beginStore(network, root, bootstrap, timeOfSlot(network, bootstrap.header.slot))
  requireImported(collection, bootstrap.header)
  committees.set(periodAt(network, bootstrap.header.slot), bootstrap.committee)
}

function check(
  collection: Collection,
  named: Named,
  read: (network: Network, raw: RawMessage) => Update,
): Update {
  const { network, committees } = collection
  const update = read(network, rawOf(collection, named))
  const { attested, finality, next, signatureSlot, bits, signature } = update
  const index = indicesAt(network, attested.slot)
  const requireBranch = (leaf: Uint8Array, branch: readonly Uint8Array[], at: number) => {
    if (isValidBranch(leaf, branch, at, attested.value.beacon.stateRoot)) return
    throw new Error(`a branch of the update of slot ${attested.slot} proves nothing`)
  }
  requireImported(collection, attested)
  executionOf(network, attested)
  if (finality?.header !== undefined) {
    requireImported(collection, finality.header)
    executionOf(network, finality.header)
  }
  if (finality !== undefined) {
    const root = finality.header?.root ?? new Uint8Array(32)
    requireBranch(root, finality.branch, index.finalizedRoot)
  }
  if (next !== undefined) requireBranch(next.committee.root, next.branch, index.nextCommittee)
  const committee = committees.get(periodAt(network, signatureSlot))
  const root = signingRoot(network, attested.root, signatureSlot)
  if (committee !== undefined && !isSignedBy(committee.keys, bits, root, signature))
    throw new Error(`the committee did not sign slot ${attested.slot}`)
  return update
}

/** The first block is in the initial state only. */
function requireImported({ blocks, firstSlot }: Collection, { slot, value }: LightClientHeader) {
  const { beacon } = value
  const name = nameOf(beacon.slot, beacon.proposerIndex, beacon.parentRoot, beacon.stateRoot)
  if (slot !== firstSlot && !blocks.has(name)) throw new Error(`slot ${slot} was not imported`)
}
