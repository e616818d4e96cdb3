/**
 * Beacon networks: presets, fork schedule, time.
 *
 * The schedule is data (`networks.ts`, or a file for a custom network), so that a fork is known weeks before it comes.
 */
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { bytes32Schema, hexSchema } from '../../lib/schema.ts'

/** Forks with a light-client protocol, in their order. */
export const forkNames = [
  'altair',
  'bellatrix',
  'capella',
  'deneb',
  'electra',
  'fulu',
  'gloas',
] as const
/** One of {@link forkNames}. */
export type ForkName = (typeof forkNames)[number]

/** A fork in the schedule of a network. */
export interface Fork {
  /** Name in the consensus specifications. */
  readonly name: ForkName
  /** Version that signatures are made for from `epoch` on. */
  readonly version: Hex
  /** First epoch of the fork. */
  readonly epoch: number
}

/** Members of `presets/*` and `configs/*.yaml` of the consensus specifications that a light client needs. */
export interface Network {
  /** For logs and error messages. */
  readonly name: string
  /** Chain id of the execution chain. */
  readonly chainId: number
  /** `SLOTS_PER_EPOCH`. */
  readonly slotsPerEpoch: number
  /** `EPOCHS_PER_SYNC_COMMITTEE_PERIOD`. */
  readonly epochsPerPeriod: number
  /** `SYNC_COMMITTEE_SIZE`. */
  readonly committeeSize: number
  /** `SECONDS_PER_SLOT`. */
  readonly secondsPerSlot: number
  /** Unix seconds. */
  readonly genesisTime: number
  /** 32 bytes. Signatures cover it, so a message of another network never verifies. */
  readonly genesisValidatorsRoot: Hex
  /** 4 bytes: `GENESIS_FORK_VERSION`. */
  readonly genesisForkVersion: Hex
  /** In order. A fork that is not scheduled yet is left out. */
  readonly forks: readonly Fork[]
  /** `BLOB_SCHEDULE`: part of fork digests since Fulu. */
  readonly blobSchedule: readonly { readonly epoch: number; readonly maxBlobs: number }[]
  /** `MAX_BLOBS_PER_BLOCK_ELECTRA`: part of fork digests before the first entry of the schedule. */
  readonly maxBlobsElectra: number
  /** A trusted header that is older than this many epochs is not trusted any more. */
  readonly weakSubjectivityEpochs: number
}

const epochSchema = z
  .int()
  .min(0)
  .max(2 ** 40)

/** JSON form of a custom network: the members of `Network`. */
export const networkSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9-]{1,64}$/),
    chainId: z.int().min(1),
    slotsPerEpoch: z.int().min(1).max(1024),
    epochsPerPeriod: z.int().min(1).max(65_536),
    committeeSize: z.int().min(8).max(4096).multipleOf(8),
    secondsPerSlot: z.int().min(1).max(3600),
    genesisTime: z
      .int()
      .min(0)
      .max(2 ** 40),
    genesisValidatorsRoot: bytes32Schema,
    genesisForkVersion: hexSchema(4),
    forks: z
      .array(z.strictObject({ name: z.enum(forkNames), version: hexSchema(4), epoch: epochSchema }))
      .min(1)
      .max(forkNames.length),
    blobSchedule: z
      .array(z.strictObject({ epoch: epochSchema, maxBlobs: z.int().min(0).max(4096) }))
      .max(256),
    maxBlobsElectra: z.int().min(0).max(4096),
    weakSubjectivityEpochs: z.int().min(1).max(1_000_000),
  })
  .superRefine(({ forks }, context) => {
    for (const [index, fork] of forks.entries()) {
      const before = forks[index - 1]
      if (before === undefined) continue
      const isInOrder = forkNames.indexOf(before.name) < forkNames.indexOf(fork.name)
      if (isInOrder && before.epoch <= fork.epoch) continue
      context.addIssue({ code: 'custom', path: ['forks', index], message: 'out of order' })
    }
    const versions = new Set(forks.map(({ version }) => version))
    if (versions.size < forks.length) {
      context.addIssue({ code: 'custom', path: ['forks'], message: 'two forks of one version' })
    }
  })

/**
 * Reads the description of a custom network.
 *
 * @throws CONSENSUS_NETWORK_INVALID
 * @example parseNetwork(JSON.parse(readFileSync('devnet.json', 'utf8')))
 */
export function parseNetwork(value: unknown): Network {
  const parsed = networkSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new AssentError(
    'CONSENSUS_NETWORK_INVALID',
    `The beacon network is described wrongly: ${z.prettifyError(parsed.error)}`,
  )
}

/* TIME */

/** `compute_epoch_at_slot` (phase0). */
export function epochAt({ slotsPerEpoch }: Network, slot: number): number {
  return Math.floor(slot / slotsPerEpoch)
}

/** `compute_sync_committee_period_at_slot` (Altair). */
export function periodAt(network: Network, slot: number): number {
  return Math.floor(epochAt(network, slot) / network.epochsPerPeriod)
}

/** First slot of a sync committee period. */
export function startOfPeriod(network: Network, period: number): number {
  return period * network.epochsPerPeriod * network.slotsPerEpoch
}

/** Current slot by a clock in Unix seconds; 0 before the genesis. */
export function slotAt({ genesisTime, secondsPerSlot }: Network, time: number): number {
  return Math.max(0, Math.floor((time - genesisTime) / secondsPerSlot))
}

/** Unix seconds at which a slot begins: `compute_time_at_slot`. */
export function timeOfSlot({ genesisTime, secondsPerSlot }: Network, slot: number): number {
  return genesisTime + slot * secondsPerSlot
}

/* FORKS */

/** Active fork at an epoch; undefined before Altair. */
export function forkAt({ forks }: Network, epoch: number): Fork | undefined {
  return forks.findLast((fork) => fork.epoch <= epoch)
}

/** Whether a fork is active at an epoch. A later fork of the schedule implies the forks before it. */
export function isActive(network: Network, name: ForkName, epoch: number): boolean {
  const current = forkAt(network, epoch)
  return current !== undefined && forkNames.indexOf(current.name) >= forkNames.indexOf(name)
}

/** `compute_fork_version` (Altair `fork.md` and later). */
export function forkVersionAt(network: Network, epoch: number): Hex {
  return forkAt(network, epoch)?.version ?? network.genesisForkVersion
}

/** A fork as a beacon API announces it (`/eth/v1/config/fork_schedule`). */
export interface AnnouncedFork {
  /** 4 bytes. */
  readonly version: Hex
  /** First epoch of the fork. */
  readonly epoch: number
}
