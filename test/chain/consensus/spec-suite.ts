/**
 * Runs the light-client tests of `ethereum/consensus-specs` (`tests/formats/light_client`): folders with SSZ files,
 * steps, and what holds after each step.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { parse } from 'yaml'

import { executionOf } from '../../../src/chain/consensus/execution.ts'
import { forkDigestAt } from '../../../src/chain/consensus/forks.ts'
import { depthOf, isValidBranch } from '../../../src/chain/consensus/merkle.ts'
import {
  type LightClientHeader,
  readBootstrap,
  readUpdate,
  type Update,
} from '../../../src/chain/consensus/messages.ts'
import {
  type ForkName,
  forkNames,
  type Network,
  parseNetwork,
  periodAt,
  timeOfSlot,
} from '../../../src/chain/consensus/network.ts'
import {
  beginStore,
  finalize,
  isSupermajority,
  type KnownHeader,
  type LightStore,
  takeUpdate,
} from '../../../src/chain/consensus/store.ts'
import { fromHex, to0x } from '../../../src/lib/bytes.ts'
import { uncompress } from './snappy.ts'

export interface SuiteResult {
  readonly folder: string
  /** Steps or comparisons that held. */
  readonly held: number
  /** The first difference; undefined where all held. */
  readonly difference: string | undefined
}

type Mapping = Readonly<Record<string, unknown>>

const unscheduled = 2n ** 64n - 1n
const presets = {
  minimal: { slotsPerEpoch: 8, epochsPerPeriod: 8, committeeSize: 32 },
  mainnet: { slotsPerEpoch: 32, epochsPerPeriod: 256, committeeSize: 512 },
} as const

/** Every folder below `folder` that is a test, in order. */
export function findTests(folder: string): string[] {
  if (isTest(folder)) return [folder]
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isDirectory())
    .flatMap(findTests)
}

function isTest(folder: string): boolean {
  return ['steps.yaml', 'proof.yaml', 'updates_0.ssz_snappy'].some((name) =>
    existsSync(join(folder, name)),
  )
}

/** Runs one test; a difference is a result, not an error. */
export function runTest(folder: string): SuiteResult {
  const progress = { held: 0 }
  try {
    if (existsSync(join(folder, 'steps.yaml'))) runSync(folder, progress)
    else if (existsSync(join(folder, 'proof.yaml'))) runProof(folder, progress)
    else runRanking(folder, progress)
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

function runSync(folder: string, progress: { held: number }): void {
  const meta = readYaml(folder, 'meta.yaml') as Record<string, string>
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
    const [kind = '', values = {}] = Object.entries(step)[0] ?? []
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

/** `process_slot_for_light_client_store`, which the program itself never does. */
function forceUpdate(run: Run, slot: number): void {
  const { network, best } = run
  const timeout = network.slotsPerEpoch * network.epochsPerPeriod
  if (slot % timeout === 0) {
    const { currentMaxSigners } = run.store
    run.store = { ...run.store, previousMaxSigners: currentMaxSigners, currentMaxSigners: 0 }
  }
  if (slot <= run.store.finalized.slot + timeout || best === undefined) return
  const isOld = (best.finality?.header?.slot ?? 0) <= run.store.finalized.slot
  const header = isOld ? best.attested : (best.finality?.header as LightClientHeader)
  const finalized: KnownHeader = { ...header, execution: executionOf(network, header) }
  run.store = finalize(network, run.store, finalized, best.next?.committee)
  run.best = undefined
}

function requireChecks({ network, store }: Run, checks: Mapping): void {
  for (const [name, header] of [
    ['finalized_header', store.finalized],
    ['optimistic_header', store.optimistic],
  ] as const) {
    const expected = checks[name] as Record<string, string> | undefined
    if (expected === undefined) throw new Error(`${name} is not checked`)
    requireSame(`${name}.slot`, String(header.slot), String(expected.slot))
    requireSame(`${name}.beacon_root`, to0x(header.root), String(expected.beacon_root))
    if (expected.execution_root === undefined) continue
    const root = executionOf(network, header)?.root ?? new Uint8Array(32)
    requireSame(`${name}.execution_root`, to0x(root), expected.execution_root)
  }
}

/* PROOFS AND RANKING */

/** `single_merkle_proof`: the branch must lead to the root of the whole state or body. */
function runProof(folder: string, progress: { held: number }): void {
  const proof = readYaml(folder, 'proof.yaml') as {
    leaf: string
    leaf_index: string
    branch: string[]
  }
  const branch = proof.branch.map((node) => fromHex(node, 'node', 32))
  const leaf = fromHex(proof.leaf, 'leaf', 32)
  const index = Number(proof.leaf_index)
  const root = rootOfObject(folder)
  if (branch.length !== depthOf(index)) throw new Error('the branch has another length')
  if (!isValidBranch(leaf, branch, index, root)) throw new Error('the branch proves nothing')
  progress.held += 1
}

function rootOfObject(folder: string): Uint8Array {
  const { fork, preset, parts } = placeOf(folder)
  const name = ['BeaconState', 'BeaconBlockBody'].find((each) => parts.includes(each))
  if (name === undefined) throw new Error('the object is of an unknown type')
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'object-root.ts'), fork, name],
    {
      input: readSnappy(folder, 'object'),
      env: { ...process.env, LODESTAR_PRESET: preset },
      encoding: 'utf8',
    },
  )
  if (status !== 0)
    throw new Error(`the root of the object is unknown: ${stderr.trim().slice(-300)}`)
  return fromHex(stdout, 'root', 32)
}

/** `update_ranking`: the files are sorted, the best update first. */
function runRanking(folder: string, progress: { held: number }): void {
  const { fork, network } = rankingNetwork(folder)
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

function rankingNetwork(folder: string): { fork: ForkName; network: Network } {
  const { fork, preset } = placeOf(folder)
  const forks = forkNames
    .slice(0, forkNames.indexOf(fork) + 1)
    .map((name, index) => ({ name, version: `0x0${index + 1}000001`, epoch: 0 }))
  return { fork, network: networkWith(preset, forks, {}, `0x${'00'.repeat(32)}`) }
}

/** Preset and fork are in `manifest.yaml`, or in the path: `tests/PRESET/FORK/light_client/…`. */
function placeOf(folder: string) {
  const manifest = existsSync(join(folder, 'manifest.yaml'))
    ? Object.values(readYaml(folder, 'manifest.yaml') as Record<string, string>)
    : []
  const parts = [...manifest, ...folder.split('/').reverse()]
  const fork = forkNames.find((name) => parts.includes(name))
  if (fork === undefined) throw new Error('the fork of the folder is unknown')
  const preset = parts.find((part) => part === 'mainnet' || part === 'minimal') ?? 'minimal'
  return { fork, preset, parts }
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

/* READING */

/** The network of a test's `config.yaml`. */
export function networkOf(config: Mapping, genesisValidatorsRoot: string): Network {
  const forks = forkNames.flatMap((name) => {
    const epoch = config[`${name.toUpperCase()}_FORK_EPOCH`]
    if (epoch === undefined || BigInt(String(epoch)) === unscheduled) return []
    const version = String(config[`${name.toUpperCase()}_FORK_VERSION`])
    return [{ name, version, epoch: Number(epoch) }]
  })
  return networkWith(String(config.PRESET_BASE), forks, config, genesisValidatorsRoot)
}

function networkWith(
  preset: string,
  forks: readonly object[],
  config: Mapping,
  genesisValidatorsRoot: string,
): Network {
  if (!(preset in presets)) throw new Error(`an unknown preset: ${preset}`)
  const schedule = (config.BLOB_SCHEDULE ?? []) as Record<string, string>[]
  return parseNetwork({
    ...presets[preset as keyof typeof presets],
    name: `spec-test-${preset}`,
    chainId: 1,
    secondsPerSlot: Number(config.SECONDS_PER_SLOT ?? 12),
    genesisTime: 0,
    genesisValidatorsRoot,
    genesisForkVersion: String(config.GENESIS_FORK_VERSION ?? '0x00000001'),
    forks,
    blobSchedule: schedule.map((entry) => ({
      epoch: Number(entry.EPOCH),
      maxBlobs: Number(entry.MAX_BLOBS_PER_BLOCK),
    })),
    maxBlobsElectra: Number(config.MAX_BLOBS_PER_BLOCK_ELECTRA ?? 9),
    weakSubjectivityEpochs: 1_000_000,
  })
}

function forkOfDigest(network: Network, digest: string): ForkName {
  const epochs = [
    ...network.forks.map(({ epoch }) => epoch),
    ...network.blobSchedule.map(({ epoch }) => epoch),
  ]
  const epoch = epochs.find((each) => forkDigestAt(network, each) === digest)
  const fork = network.forks.findLast((each) => epoch !== undefined && each.epoch <= epoch)
  if (fork === undefined) throw new Error(`no fork has the digest ${digest}`)
  return fork.name
}

function readYaml(folder: string, name: string): unknown {
  // all scalars as text: versions like 0x01000000 are no numbers
  return parse(readFileSync(join(folder, name), 'utf8'), { schema: 'failsafe' })
}

function readSnappy(folder: string, name: string): Uint8Array {
  return uncompress(readFileSync(join(folder, `${name}.ssz_snappy`)))
}

function requireSame(what: string, found: string, expected: string): void {
  if (found !== expected) throw new Error(`${what} is ${found}, not ${expected}`)
}

/** A short name of a test's folder. */
export function nameOf(folder: string): string {
  return `${basename(dirname(folder))}/${basename(folder)}`
}
