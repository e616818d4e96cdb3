/** Reads the image registry (`Images`): names, which images are closed, and their measurement sets. */
import type { Address, PublicClient } from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import { imagesAbi } from '../abi.ts'
import type { Approval } from '../approval.ts'
import { toChainError } from '../call.ts'
import { listApprovals } from './registry.ts'

/** The entry of one base image in the image registry. */
export interface RegisteredImage {
  /** For people; empty: the image has no name. */
  readonly name: string
  /** Whether apps of the image boot only with an approved measurement set. */
  readonly isClosed: boolean
}

/** A measurement set that was approved once. */
export interface MeasurementSetStatus {
  /** 32 bytes. */
  readonly id: Hex
  /** SHA-256 of the base image that the set belongs to. */
  readonly osImageHash: Hex
  /** Number of contracts/types/TeeVariant.sol. */
  readonly variant: number
  /** dstack's mr_system of the registers, without a key provider. */
  readonly mrSystem: Hex
  /** The stored approval of the set. */
  readonly approval: Approval
}

/** @throws CHAIN_UNREACHABLE */
export async function readRegisteredImage(
  client: PublicClient,
  images: Address,
  osImageHash: Hex,
): Promise<RegisteredImage> {
  const contract = { address: images, abi: imagesAbi, args: [osImageHash] } as const
  try {
    const [name, isClosed] = await Promise.all([
      client.readContract({ ...contract, functionName: 'imageNameOf' }),
      client.readContract({ ...contract, functionName: 'isClosed' }),
    ])
    return { name, isClosed }
  } catch (cause) {
    throw toChainError(cause, `read the image ${osImageHash}`)
  }
}

/** All measurement sets of all images, in the order of their first approval. @throws CHAIN_UNREACHABLE */
export async function listMeasurementSets(
  client: PublicClient,
  images: Address,
): Promise<MeasurementSetStatus[]> {
  const listed = await listApprovals(client, images, 'measurements')
  return mapWithConcurrency(listed, async ({ id, approval }) => {
    const call = { address: images, abi: imagesAbi, functionName: 'measurementSetOf' } as const
    const set = await client.readContract({ ...call, args: [id] }).catch((cause: unknown) => {
      throw toChainError(cause, `read the measurement set ${id}`)
    })
    return { id, ...set, approval }
  })
}
