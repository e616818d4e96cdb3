/** The settings of whoever asks the chain about boots: all stated, none guessed. */
import { createPublicClient, http } from 'viem'
import { z } from 'zod'

import type { Clock } from '../lib/clock.ts'
import { addressSchema, urlSchema } from '../lib/schema.ts'
import type { BootChain } from './boot.ts'

export const bootChainShape = {
  /** JSON-RPC endpoint. */
  rpcUrl: urlSchema,
  chainId: z.int().min(1),
  /** The KmsAuth (DstackKms) contract. */
  kmsContract: addressSchema,
  /** Which block is believed: no chain's answer fits all. */
  finality: z.union([
    z.enum(['finalized', 'safe']),
    z.strictObject({ confirmations: z.int().min(0).max(100_000) }),
  ]),
  /** A believed block older than this decides nothing. */
  maxBlockAgeSeconds: z.int().min(1),
  rpcTimeoutMs: z.int().min(100).max(120_000).default(10_000),
} as const

export type BootChainConfig = z.output<z.ZodObject<typeof bootChainShape>>

export function connectBootChain(config: BootChainConfig, clock: Clock): BootChain {
  const transport = http(config.rpcUrl, { timeout: config.rpcTimeoutMs, retryCount: 1 })
  return {
    client: createPublicClient({ transport }),
    chainId: config.chainId,
    kms: config.kmsContract,
    finality: config.finality,
    maxBlockAgeSeconds: config.maxBlockAgeSeconds,
    timeoutMs: config.rpcTimeoutMs,
    clock,
  }
}
