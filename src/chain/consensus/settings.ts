/** Settings of the light client. docs/kms-settings.md describes each for operators. */
import { z } from 'zod'

import { bytes32Schema, urlListSchema } from '../../lib/schema.ts'
import { networkSchema } from './network.ts'
import { publicNetworks } from './networks.ts'

/** The light client, in addition to the RPC quorum. */
export const consensusSchema = z.strictObject({
  /** A public network by name, or the description of another one. */
  network: z.union([
    z.enum(Object.keys(publicNetworks) as (keyof typeof publicNetworks)[]),
    networkSchema,
  ]),
  /** Beacon APIs of different operators. Each answer is verified, so that one honest API is enough. */
  beaconApis: urlListSchema.min(1).max(16),
  /** Root of a recent finalized beacon block: a new store begins there, and never reads it again. */
  trustedBlockRoot: bytes32Schema,
  /** Folder of the light-client store. */
  storeFolder: z.string().min(1),
})

/** The parsed settings. */
export type Consensus = z.output<typeof consensusSchema>
