/** Settings of an OP Stack chain, whose blocks are proven through L1. docs/kms-settings.md describes each for operators. */
import { z } from 'zod'

import { addressSchema, bytes32Schema, endpointListSchema } from '../../lib/schema.ts'
import { consensusSchema } from '../consensus/settings.ts'
import { headerFieldsSchema } from '../proven/header.ts'
import type { GameRules } from './games.ts'
import { gameLayouts, portalRegistrySlots, registrySlots } from './layout.ts'

/** L1, and how its final block is found. */
const l1Schema = z
  .strictObject({
    /** EIP-155 chain id. */
    chainId: z.int().min(1),
    /** JSON-RPC endpoints of different operators. */
    endpoints: endpointListSchema,
    /** How many of them must return the same block; or the light client alone says which block is final. */
    quorum: z.union([z.int().min(2), z.enum(['light-client', 'insecure-single-endpoint'])]),
    /** A block counts only if a sync committee signed that it is final. */
    consensus: consensusSchema.optional(),
    /** Highest age of the L1 block in seconds. */
    maxBlockAgeSeconds: z.int().min(1),
    /** Fields that a fork added to headers after this version was made, in the order of the header. */
    headerFields: headerFieldsSchema,
  })
  .refine(({ quorum, endpoints }) => typeof quorum !== 'number' || quorum <= endpoints.length, {
    message: 'is larger than the number of endpoints',
    path: ['quorum'],
  })
  .refine(({ quorum, consensus }) => quorum !== 'light-client' || consensus !== undefined, {
    message: 'light-client needs consensus',
    path: ['quorum'],
  })

/** Seconds in which somebody can challenge a proposal, at least. */
const minProposalAge = 60

/** Which dispute games count. */
export const opStackSchema = z
  .strictObject({
    /** `anchored`: final games. `proposed`: games that nobody challenged in `minAgeSeconds`. */
    level: z.enum(['anchored', 'proposed']).default('anchored'),
    /** `AnchorStateRegistry` on L1. */
    anchorStateRegistry: addressSchema,
    /** `OptimismPortal2` on L1, only if the registry is of version 2: the portal then has the blacklist. */
    optimismPortal: addressSchema.optional(),
    /** `DisputeGameFactory` on L1. */
    disputeGameFactory: addressSchema,
    /** Number of the game type. */
    gameType: z.int().min(0).max(0xffff_ffff),
    /** Which contract the games are. */
    gameLayout: z.enum(Object.keys(gameLayouts) as (keyof typeof gameLayouts)[]),
    /** Seconds from the creation of a game until it counts. */
    minAgeSeconds: z.int().min(0).max(31_536_000),
    /** `anchored`: seconds from the resolution of a game until it counts. The contract has it in its code, not in storage. */
    finalityDelaySeconds: z.int().min(0).max(31_536_000).optional(),
    /** Storage words of L1 that must have these values, for example the one that says that nothing is paused. */
    requiredWords: z
      .array(z.strictObject({ contract: addressSchema, slot: bytes32Schema, word: bytes32Schema }))
      .max(16)
      .default([]),
    l1: l1Schema,
  })
  .refine(
    ({ level, finalityDelaySeconds }) => level !== 'anchored' || finalityDelaySeconds !== undefined,
    { message: 'anchored needs it', path: ['finalityDelaySeconds'] },
  )
  .refine(
    ({ level, gameLayout, minAgeSeconds }) =>
      level !== 'proposed' || gameLayout === 'op-succinct' || minAgeSeconds >= minProposalAge,
    { message: `proposed needs at least ${minProposalAge}`, path: ['minAgeSeconds'] },
  )

/** The parsed settings. */
export type OpStack = z.output<typeof opStackSchema>

/** What the settings say about games. */
export function gameRulesOf(settings: OpStack): GameRules {
  const { anchorStateRegistry: registry, optimismPortal: portal } = settings
  const { level, gameType, minAgeSeconds, requiredWords } = settings
  return {
    level,
    registry,
    rulesContract: portal ?? registry,
    slots: portal === undefined ? registrySlots : portalRegistrySlots,
    factory: settings.disputeGameFactory,
    gameType,
    layout: gameLayouts[settings.gameLayout],
    minAgeSeconds,
    finalityDelaySeconds: settings.finalityDelaySeconds ?? Number.POSITIVE_INFINITY,
    requiredWords,
  }
}

/** Chains whose settings must say how their blocks are proven, with their names. */
export const opStackChains: ReadonlyMap<number, string> = new Map([
  [10, 'OP Mainnet'],
  [8453, 'Base'],
  [2035, 'Phala'],
  [11_155_420, 'OP Sepolia'],
  [84_532, 'Base Sepolia'],
])
