/** Rules that depend on the fork: the form of messages, signature domains, digests, and scheduled forks. */
import { sha256 } from '@noble/hashes/sha2.js'

import { AssentError } from '../../errors/index.ts'
import { concatBytes, fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { forkData, signingData, type WireForm } from './containers.ts'
import {
  type AnnouncedFork,
  epochAt,
  type ForkName,
  forkNames,
  forkVersionAt,
  isActive,
  type Network,
  slotAt,
  timeOfSlot,
} from './network.ts'

const formOfFork: Record<ForkName, WireForm> = {
  altair: 'altair',
  bellatrix: 'altair',
  capella: 'capella',
  deneb: 'deneb',
  electra: 'electra',
  fulu: 'electra',
  gloas: 'gloas',
}

/** Form of the containers that messages of a fork have. @throws CONSENSUS_FORK_UNKNOWN */
export function formOf(network: Network, fork: string): WireForm {
  const known = forkNames.find((name) => name === fork)
  const scheduled = known !== undefined && network.forks.some(({ name }) => name === known)
  if (known !== undefined && scheduled) return formOfFork[known]
  const message = `A message is of a fork that is unknown on ${network.name}.`
  throw new AssentError('CONSENSUS_FORK_UNKNOWN', message, {
    facts: { found: fork, expected: network.forks.map(({ name }) => name) },
  })
}

/** `compute_fork_data_root` (phase0). */
function forkDataRoot(network: Network, version: Hex): Uint8Array {
  return forkData.hashTreeRoot({
    currentVersion: fromHex(version, 'fork version', 4),
    genesisValidatorsRoot: fromHex(network.genesisValidatorsRoot, 'genesis validators root', 32),
  })
}

/** `DOMAIN_SYNC_COMMITTEE` (Altair). */
const syncCommitteeDomain = Uint8Array.of(7, 0, 0, 0)

/**
 * What a sync committee signs for a header: `compute_signing_root` under `DOMAIN_SYNC_COMMITTEE`.
 *
 * The version is that of the slot before the signature's (Altair light client, `validate_light_client_update`).
 */
export function signingRoot(
  network: Network,
  headerRoot: Uint8Array,
  signatureSlot: number,
): Uint8Array {
  const version = forkVersionAt(network, epochAt(network, Math.max(signatureSlot, 1) - 1))
  const domain = concatBytes(syncCommitteeDomain, forkDataRoot(network, version).slice(0, 28))
  return signingData.hashTreeRoot({ objectRoot: headerRoot, domain })
}

/** `compute_fork_digest`: since Fulu it covers the blob parameters, too (`specs/fulu/beacon-chain.md`). */
export function forkDigestAt(network: Network, epoch: number): Hex {
  const base = forkDataRoot(network, forkVersionAt(network, epoch)).slice(0, 4)
  if (!isActive(network, 'fulu', epoch)) return to0x(base)
  const { epoch: since, maxBlobs } = blobParametersAt(network, epoch)
  const mask = sha256(concatBytes(littleEndian(since), littleEndian(maxBlobs)))
  return to0x(base.map((byte, index) => byte ^ (mask[index] as number)))
}

/** `get_blob_parameters` (Fulu). */
function blobParametersAt({ blobSchedule, forks, maxBlobsElectra }: Network, epoch: number) {
  const entry = blobSchedule
    .filter((each) => each.epoch <= epoch)
    .reduce<{ epoch: number; maxBlobs: number } | undefined>(
      (latest, each) => (latest !== undefined && latest.epoch > each.epoch ? latest : each),
      undefined,
    )
  const electra = forks.find(({ name }) => name === 'electra')?.epoch ?? 0
  return entry ?? { epoch: electra, maxBlobs: maxBlobsElectra }
}

function littleEndian(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true)
  return bytes
}

/** A fork that is scheduled for the future. */
export interface ForkOutlook {
  /** The next fork that this program knows, and when it comes. */
  readonly next:
    | { readonly name: ForkName; readonly epoch: number; readonly time: number }
    | undefined
  /** Fork digest of the current epoch. */
  readonly digest: Hex
  /** Announced forks that this program does not know, or knows for another epoch: update before that time. */
  readonly unknown: readonly (AnnouncedFork & { readonly time: number })[]
}

/**
 * Which forks come, so that an alert can be raised weeks before a fork that this program does not know.
 *
 * Announcements are not signed: they raise an alert and decide nothing.
 *
 * @param time Unix seconds
 */
export function forkOutlook(
  network: Network,
  time: number,
  announced: readonly AnnouncedFork[] = [],
): ForkOutlook {
  const epoch = epochAt(network, slotAt(network, time))
  const timeOf = (at: number) => timeOfSlot(network, at * network.slotsPerEpoch)
  const next = network.forks.find((fork) => fork.epoch > epoch)
  const isKnown = ({ version, epoch: at }: AnnouncedFork) =>
    version === network.genesisForkVersion ||
    network.forks.some((fork) => fork.version === version && fork.epoch === at)
  return {
    next: next && { name: next.name, epoch: next.epoch, time: timeOf(next.epoch) },
    digest: forkDigestAt(network, epoch),
    unknown: announced
      .filter((fork) => fork.epoch < 2 ** 40 && !isKnown(fork))
      .map((fork) => ({ ...fork, time: timeOf(fork.epoch) })),
  }
}
