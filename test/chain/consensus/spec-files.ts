/** Reads the files of tests of `ethereum/consensus-specs`, and the network that a test is about. */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { parse } from 'yaml'

import { forkData } from '../../../src/chain/consensus/containers.ts'
import { forkDigestAt } from '../../../src/chain/consensus/forks.ts'
import {
  type ForkName,
  forkNames,
  type Network,
  parseNetwork,
} from '../../../src/chain/consensus/network.ts'
import { fromHex, to0x } from '../../../src/lib/bytes.ts'
import { uncompress } from './snappy.ts'

/** A mapping of a YAML file. Scalars are text. */
export type Mapping = Readonly<Record<string, unknown>>

const unscheduled = 2n ** 64n - 1n
const presets = {
  minimal: { slotsPerEpoch: 8, epochsPerPeriod: 8, committeeSize: 32 },
  mainnet: { slotsPerEpoch: 32, epochsPerPeriod: 256, committeeSize: 512 },
} as const

/** The fork and preset of a test without `config.yaml`: all forks up to this one are in force from the genesis on. */
export function networkOfPlace(folder: string): { fork: ForkName; network: Network } {
  const { fork, preset } = placeOf(folder)
  const forks = forkNames
    .slice(0, forkNames.indexOf(fork) + 1)
    .map((name, index) => ({ name, version: `0x0${index + 1}000001`, epoch: 0 }))
  return { fork, network: networkWith(preset, forks, {}, `0x${'00'.repeat(32)}`) }
}

/** Preset and fork are in `manifest.yaml`, or in the path: `tests/PRESET/FORK/light_client/…`. */
export function placeOf(folder: string) {
  const manifest = existsSync(join(folder, 'manifest.yaml'))
    ? Object.values(readYaml(folder, 'manifest.yaml') as Record<string, string>)
    : []
  const parts = [...manifest, ...folder.split('/').reverse()]
  const fork = forkNames.find((name) => parts.includes(name))
  if (fork === undefined) throw new Error('the fork of the folder is unknown')
  const preset = parts.find((part) => part === 'mainnet' || part === 'minimal') ?? 'minimal'
  return { fork, preset, parts }
}

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

/** The fork whose containers a message has. */
export function forkOfDigest(network: Network, digest: string): ForkName {
  const epochs = [
    ...network.forks.map(({ epoch }) => epoch),
    ...network.blobSchedule.map(({ epoch }) => epoch),
  ]
  const epoch = epochs.find((each) => forkDigestAt(network, each) === digest)
  const fork =
    network.forks.findLast((each) => epoch !== undefined && each.epoch <= epoch) ??
    // the first tests of Fulu have digests without the blob parameters
    network.forks.find(({ version }) => digestOfVersion(network, version) === digest)
  if (fork === undefined) throw new Error(`no fork has the digest ${digest}`)
  return fork.name
}

function digestOfVersion({ genesisValidatorsRoot }: Network, version: string): string {
  const root = forkData.hashTreeRoot({
    currentVersion: fromHex(version, 'fork version', 4),
    genesisValidatorsRoot: fromHex(genesisValidatorsRoot, 'genesis validators root', 32),
  })
  return to0x(root.slice(0, 4))
}

/** @throws Error if the file is missing */
export function readYaml(folder: string, name: string): unknown {
  // all scalars as text: versions like 0x01000000 are no numbers
  return parse(readFileSync(join(folder, name), 'utf8'), { schema: 'failsafe' })
}

/** @param name without `.ssz_snappy` */
export function readSnappy(folder: string, name: string): Uint8Array {
  return uncompress(readFileSync(join(folder, `${name}.ssz_snappy`)))
}

export function requireSame(what: string, found: string, expected: string): void {
  if (found !== expected) throw new Error(`${what} is ${found}, not ${expected}`)
}

/** A short name of a test's folder. */
export function nameOf(folder: string): string {
  return `${basename(dirname(folder))}/${basename(folder)}`
}
