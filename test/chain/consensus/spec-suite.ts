/**
 * Runs the light-client tests of `ethereum/consensus-specs` (`tests/formats/light_client`): folders with SSZ files,
 * steps, and what holds after each step.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'

import { executionOf } from '../../../src/chain/consensus/execution.ts'
import { depthOf, isValidBranch } from '../../../src/chain/consensus/merkle.ts'
import {
  type LightClientHeader,
  readBootstrap,
  readUpdate,
  type Update,
} from '../../../src/chain/consensus/messages.ts'
import { type Network, periodAt, timeOfSlot } from '../../../src/chain/consensus/network.ts'
import {
  beginStore,
  finalize,
  indicesAt,
  isSupermajority,
  type KnownHeader,
  type LightStore,
  takeUpdate,
} from '../../../src/chain/consensus/store.ts'
import { fromHex, to0x } from '../../../src/lib/bytes.ts'
import { isContainer, runContainer } from './spec-containers.ts'
import { runDataCollection } from './spec-data-collection.ts'
import {
  forkOfDigest,
  type Mapping,
  networkOf,
  networkOfPlace,
  placeOf,
  readSnappy,
  readYaml,
  requireSame,
} from './spec-files.ts'

export interface SuiteResult {
  readonly folder: string
  /** Steps or comparisons that held. */
  readonly held: number
  /** The first difference; undefined where all held. */
  readonly difference: string | undefined
}

export interface FoundTests {
  /** Folders of light-client tests, and of tests of an unknown kind, which are differences. */
  readonly tests: readonly string[]
  /** How many folders belong to other parts of the suite. */
  readonly others: number
}

/** Folders of the suite (`tests/formats`) that have no light-client tests. */
const otherParts = new Set(
  `bls config_spec confirmation_rule eip8025 epoch_processing fast_confirmation finality fork_choice forks general
  genesis gossip kzg kzg_4844 kzg_7594 merkle merkle_proof networking operations random rewards sanity shuffling
  ssz_generic transition`.split(/\s+/),
)

/** Every folder below `folder` that is a test, in order. A test is a folder with files of the suite. */
export function findTests(folder: string): FoundTests {
  if (isTest(folder)) return { tests: [folder], others: 0 }
  const found = readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isDirectory())
    .map(findTests)
  const tests = found.flatMap((each) => each.tests)
  const others = found.reduce((sum, each) => sum + each.others, 0)
  const isOther =
    otherParts.has(basename(folder)) || (parentOf(folder) === 'ssz_static' && !isContainer(folder))
  return isOther ? { tests: [], others: others + tests.length } : { tests, others }
}

function parentOf(folder: string): string {
  return basename(join(folder, '..'))
}

function isTest(folder: string): boolean {
  return readdirSync(folder).some((name) => /\.(yaml|ssz_snappy|ssz)$/.test(name))
}

/** How many comparisons of a test held. */
export interface Progress {
  held: number
}

type Runner = (folder: string, progress: Progress) => void

/** The kind of a test, by a file that only this kind has. */
const runners: readonly (readonly [file: string, run: Runner])[] = [
  ['initial_state.ssz_snappy', runDataCollection],
  ['bootstrap.ssz_snappy', runSync],
  ['proof.yaml', runProof],
  ['updates_0.ssz_snappy', runRanking],
  ['serialized.ssz_snappy', runContainer],
]

/** Runs one test; a difference is a result, not an error. A test of an unknown kind is a difference. */
export function runTest(folder: string): SuiteResult {
  const progress = { held: 0 }
  try {
    const run = runners.find(([file]) => existsSync(join(folder, file)))?.[1]
    if (run === undefined) throw new Error('a test of an unknown kind')
    run(folder, progress)
    if (progress.held === 0) throw new Error('nothing was compared')
    return { folder, held: progress.held, difference: undefined }
  } catch (error) {
    const difference = error instanceof Error ? error.message : String(error)
    return { folder, held: progress.held, difference }
  }
}

/* SYNC */

interface Run {
  readonly network: Network
  readonly folder: string
  store: LightStore
  best: Update | undefined
}

function runSync(folder: string, progress: Progress): void {
  const meta = readYaml(folder, 'meta.yaml') as Record<string, string>
  // 2: signatures are not valid and must not be checked, which the client cannot do
  if (!['0', '1', undefined].includes(meta.bls_setting)) throw new Error('unsigned messages')
  const config = readYaml(folder, 'config.yaml') as Mapping
  const network = networkOf(config, meta.genesis_validators_root as string)
  const bootstrap = readBootstrap(network, {
    fork: forkOfDigest(network, meta.bootstrap_fork_digest as string),
    data: { ssz: readSnappy(folder, 'bootstrap') },
  })
  const root = fromHex(meta.trusted_block_root as string, 'trusted root', 32)
  const time = timeOfSlot(network, bootstrap.header.slot)
  const run: Run = {
    network,
    folder,
    store: beginStore(network, root, bootstrap, time),
    best: undefined,
  }
  const steps = readYaml(folder, 'steps.yaml') as Record<string, Mapping>[]
  for (const [index, step] of steps.entries()) {
    const [[kind = '', values = {}] = [], ...more] = Object.entries(step)
    if (more.length > 0) throw new Error(`step ${index} has several kinds`)
    try {
      takeStep(run, kind, values)
      requireChecks(run, (values.checks ?? {}) as Mapping)
    } catch (error) {
      throw new Error(`step ${index} (${kind}): ${(error as Error).message}`, { cause: error })
    }
    progress.held += 1
  }
}

function takeStep(run: Run, kind: string, values: Mapping): void {
  // our messages have one form for all forks, so that a store needs no upgrade
  if (kind === 'upgrade_store') return
  const slot = Number(values.current_slot)
  if (kind === 'force_update') {
    forceUpdate(run, slot)
    return
  }
  if (kind !== 'process_update') throw new Error('a step of an unknown kind')
  const update = readUpdate(run.network, {
    fork: forkOfDigest(run.network, String(values.update_fork_digest)),
    data: { ssz: readSnappy(run.folder, String(values.update)) },
  })
  const { store, isFinal } = takeUpdate(
    run.network,
    run.store,
    update,
    timeOfSlot(run.network, slot),
  )
  const isBest = run.best === undefined || isBetterUpdate(run.network, update, run.best)
  run.best = isFinal ? undefined : isBest ? update : run.best
  run.store = store
}

/** `process_light_client_store_force_update`, which the program itself never does. */
function forceUpdate(run: Run, slot: number): void {
  const { network, best } = run
  const timeout = network.slotsPerEpoch * network.epochsPerPeriod
  if (slot <= run.store.finalized.slot + timeout || best === undefined) return
  const isOld = (best.finality?.header?.slot ?? 0) <= run.store.finalized.slot
  const header = isOld ? best.attested : (best.finality?.header as LightClientHeader)
  const finalized: KnownHeader = { ...header, execution: executionOf(network, header) }
  run.store = finalize(network, run.store, finalized, best.next?.committee)
  run.best = undefined
}

function requireChecks({ network, store }: Run, checks: Mapping): void {
  requireNames('check', checks, ['finalized_header', 'optimistic_header'])
  for (const [name, header] of [
    ['finalized_header', store.finalized],
    ['optimistic_header', store.optimistic],
  ] as const) {
    const expected = checks[name] as Record<string, string> | undefined
    if (expected === undefined) throw new Error(`${name} is not checked`)
    requireNames(name, expected, ['slot', 'root', 'beacon_root', 'execution_root'])
    requireSame(`${name}.slot`, String(header.slot), String(expected.slot))
    // `root` in the first versions of the suite
    const root = expected.beacon_root ?? expected.root
    requireSame(`${name}.beacon_root`, to0x(header.root), String(root))
    if (expected.execution_root === undefined) continue
    const execution = executionOf(network, header)?.root ?? new Uint8Array(32)
    requireSame(`${name}.execution_root`, to0x(execution), expected.execution_root)
  }
}

/** @throws Error if there is something else than these, which would not be compared */
function requireNames(what: string, values: Mapping, known: readonly string[]): void {
  const unknown = Object.keys(values).find((name) => !known.includes(name))
  if (unknown !== undefined) throw new Error(`${what}: ${unknown} is unknown`)
}

/* PROOFS AND RANKING */

/** `single_merkle_proof`: the index is one of ours, and the branch leads to the root of the whole state or body. */
function runProof(folder: string, progress: Progress): void {
  const proof = readYaml(folder, 'proof.yaml') as {
    leaf: string
    leaf_index: string
    branch: string[]
  }
  const branch = proof.branch.map((node) => fromHex(node, 'node', 32))
  const leaf = fromHex(proof.leaf, 'leaf', 32)
  const index = Number(proof.leaf_index)
  const { fork, network } = networkOfPlace(folder)
  const payload = fork === 'gloas' ? 2856 : 25
  if (![...Object.values(indicesAt(network, 0)), payload].includes(index))
    throw new Error(`the client does not know the index ${index} in ${fork}`)
  const root = rootOfObject(folder)
  if (branch.length !== depthOf(index)) throw new Error('the branch has another length')
  if (!isValidBranch(leaf, branch, index, root)) throw new Error('the branch proves nothing')
  progress.held += 1
}

function rootOfObject(folder: string): Uint8Array {
  const { fork, preset, parts } = placeOf(folder)
  // the first versions of the suite have proofs in states only
  const [name = 'BeaconState', file] = existsSync(join(folder, 'state.ssz_snappy'))
    ? ['BeaconState', 'state']
    : [['BeaconState', 'BeaconBlockBody'].find((each) => parts.includes(each)), 'object']
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'object-root.ts'), fork, name],
    {
      input: readSnappy(folder, file),
      env: { ...process.env, LODESTAR_PRESET: preset },
      encoding: 'utf8',
    },
  )
  if (status !== 0)
    throw new Error(`the root of the object is unknown: ${stderr.trim().slice(-300)}`)
  return fromHex(stdout, 'root', 32)
}

/** `update_ranking`: the files are sorted, the best update first. */
function runRanking(folder: string, progress: Progress): void {
  const { fork, network } = networkOfPlace(folder)
  const count = Number((readYaml(folder, 'meta.yaml') as Mapping).updates_count)
  const updates = Array.from({ length: count }, (_, index) =>
    readUpdate(network, { fork, data: { ssz: readSnappy(folder, `updates_${index}`) } }),
  )
  for (let index = 1; index < updates.length; index++) {
    const [better, worse] = [updates[index - 1] as Update, updates[index] as Update]
    if (isBetterUpdate(network, worse, better)) throw new Error(`update ${index} ranks higher`)
    progress.held += 1
  }
}

/** `is_better_update` (Altair light client). */
export function isBetterUpdate(network: Network, update: Update, other: Update): boolean {
  const rank = (each: Update): number[] => {
    const period = periodAt(network, each.attested.slot)
    const isStrong = isSupermajority(each)
    const finalized = each.finality && (each.finality.header?.slot ?? 0)
    const isRelevant = each.next !== undefined && period === periodAt(network, each.signatureSlot)
    return [
      Number(isStrong),
      isStrong ? 0 : each.signers,
      Number(isRelevant),
      Number(finalized !== undefined),
      Number(finalized !== undefined && periodAt(network, finalized) === period),
      each.signers,
      -each.attested.slot,
      -each.signatureSlot,
    ]
  }
  const [mine, theirs] = [rank(update), rank(other)]
  const decisive = mine.findIndex((value, index) => value !== theirs[index])
  return decisive !== -1 && (mine[decisive] as number) > (theirs[decisive] as number)
}
