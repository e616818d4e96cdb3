/** The settings of whoever asks the chain about boots: all stated, none guessed. */
import { createPublicClient, http } from 'viem'
import { z } from 'zod'

import type { Clock } from '../lib/clock.ts'
import {
  addressSchema,
  bytes32Schema,
  isRemoteHttp,
  urlListSchema,
  urlSchema,
} from '../lib/schema.ts'
import { type BootAuthorizer, believeEndpoint } from './boot.ts'
import { type ChainCheckpoint, openCheckpoint, volatileCheckpoint } from './proven/checkpoint.ts'
import { agreedHeaders } from './proven/header-quorum.ts'
import { type FetchProof, proveForMany } from './proven/prover.ts'
import { connectEndpoint, type Endpoint, endpointNames } from './proven/rpc-endpoint.ts'
import { openView } from './proven/view.ts'

const codeHashesSchema = z.array(bytes32Schema).min(1)

/** The chain is believed as far as it is proven. */
const provenSchema = z
  .strictObject({
    /** JSON-RPC endpoints of different operators. */
    endpoints: urlListSchema.min(1),
    /** Lets `endpoints` be asked over HTTP, where anyone on the way can answer in their place. */
    insecureRemoteHttp: z.boolean().default(false),
    /** How many of them have to agree on a block. With one, that one can invent blocks. */
    agreement: z.union([z.int().min(2), z.literal('insecure-one')]),
    /** Where the last block seen is kept. */
    memoryFolder: z.string().min(1),
    /** How old the last look at the endpoints may be. */
    refreshSeconds: z.int().min(1).max(3600),
    /** keccak-256 of the code of the contracts that are read. */
    pinnedCode: z.strictObject({
      proxy: codeHashesSchema,
      kmsAuth: codeHashesSchema,
      app: codeHashesSchema,
      hosts: z.array(bytes32Schema),
      bonds: z.array(bytes32Schema),
      images: z.array(bytes32Schema),
    }),
    withdrawals: z
      .enum(['deny-when-shown-by-one', 'insecure-wait-until-final'])
      .default('deny-when-shown-by-one'),
    foreignApps: z.enum(['refuse', 'insecure-execute']).default('refuse'),
    /** Fields that a fork added to headers after this version was made, in the order of the header. */
    headerFields: z
      .array(
        z.strictObject({
          name: z.string().regex(/^[a-zA-Z][a-zA-Z0-9]{0,63}$/),
          kind: z.enum(['bytes', 'quantity']),
        }),
      )
      .max(16)
      .default([]),
    /** Memory of each process for what was proven and decided. */
    cacheMegabytes: z.int().min(8).max(4096).default(64),
  })
  .refine(
    ({ endpoints, insecureRemoteHttp }) => insecureRemoteHttp || !endpoints.some(isRemoteHttp),
    {
      message: 'http to another machine needs insecureRemoteHttp',
      path: ['endpoints'],
    },
  )
  .refine(({ endpoints, agreement }) => requiredOf(agreement) <= endpoints.length, {
    message: 'more endpoints have to agree than there are',
    path: ['agreement'],
  })

export const bootChainShape = {
  chainId: z.int().min(1),
  /** The KmsAuth (DstackKms) contract. */
  kmsContract: addressSchema,
  /** How the chain is read. */
  chainView: z.union([provenSchema, z.strictObject({ insecureSingleEndpoint: urlSchema })]),
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

export interface OpenChainOptions {
  readonly clock: Clock
  /**
   * Authenticates the memory of the last block seen; `none-yet` keeps no memory, for a node that makes
   * its keys first and then starts one.
   */
  readonly memoryKey?: Uint8Array | 'none-yet'
  /** Who gets proofs for this process; the endpoints are asked here if it is not said. */
  readonly prove?: FetchProof
}

/** Whoever answers for the chain by these settings. */
export function openChain(config: BootChainConfig, options: OpenChainOptions): BootAuthorizer {
  const { chainView } = config
  if ('insecureSingleEndpoint' in chainView) {
    return believeOne(chainView.insecureSingleEndpoint, config, options.clock)
  }
  return openProvenView(config, chainView, options)
}

/**
 * Starts the memory of the last block seen, with the newest that the endpoints vouch for. Nothing to do
 * where one endpoint is believed.
 *
 * @throws CHAIN_MEMORY_EXISTS, CHAIN_*
 */
export async function rememberChain(
  config: BootChainConfig,
  options: OpenChainOptions,
): Promise<void> {
  const { chainView } = config
  if ('insecureSingleEndpoint' in chainView) return
  // endpoints that serve headers and no proofs would let no decision be made
  await openProvenView(config, chainView, { ...options, memoryKey: 'none-yet' }).facts()
  await openProvenView(config, chainView, options).bootstrap()
}

/** Gets proofs for all processes of a node; undefined where one endpoint is believed, which proves nothing. */
export function openProver(config: BootChainConfig): FetchProof | undefined {
  const { chainView } = config
  if ('insecureSingleEndpoint' in chainView) return undefined
  return proveForMany(connectAll(config, chainView), chainView.cacheMegabytes * 2 ** 20)
}

function connectAll(
  { rpcTimeoutMs: timeoutMs }: BootChainConfig,
  { endpoints }: z.output<typeof provenSchema>,
): Endpoint[] {
  const names = endpointNames(endpoints)
  return endpoints.map((url, index) =>
    connectEndpoint({ url, name: names[index] ?? url, timeoutMs }),
  )
}

function openProvenView(
  config: BootChainConfig,
  view: z.output<typeof provenSchema>,
  { clock, memoryKey, prove }: OpenChainOptions,
) {
  const endpoints = connectAll(config, view)
  const { chainId, finality } = config
  const required = requiredOf(view.agreement)
  const { headerFields } = view
  return openView({
    chainId,
    kms: config.kmsContract,
    pinned: view.pinnedCode,
    source: agreedHeaders({ endpoints, required, chainId, finality, headerFields }),
    endpoints,
    required,
    memory: openCheckpointOf(config, view.memoryFolder, memoryKey),
    maxBlockAgeSeconds: config.maxBlockAgeSeconds,
    refreshSeconds: view.refreshSeconds,
    withdrawals: view.withdrawals,
    foreignApps: view.foreignApps,
    headerFields,
    ...(prove ? { prove } : {}),
    cacheBytes: view.cacheMegabytes * 2 ** 20,
    clock,
  })
}

function openCheckpointOf(
  { chainId, kmsContract }: BootChainConfig,
  folder: string,
  key: OpenChainOptions['memoryKey'],
): ChainCheckpoint {
  if (key === 'none-yet') return volatileCheckpoint()
  return openCheckpoint({ folder, chainId, kms: kmsContract, ...(key ? { key } : {}) })
}

function believeOne(url: string, config: BootChainConfig, clock: Clock): BootAuthorizer {
  const transport = http(url, { timeout: config.rpcTimeoutMs, retryCount: 1 })
  return believeEndpoint({
    client: createPublicClient({ transport }),
    chainId: config.chainId,
    kms: config.kmsContract,
    finality: config.finality,
    maxBlockAgeSeconds: config.maxBlockAgeSeconds,
    timeoutMs: config.rpcTimeoutMs,
    clock,
  })
}

/** Hosts of the endpoints: an address may hold credentials. */
export function endpointHosts({ chainView }: BootChainConfig): string[] {
  const urls =
    'insecureSingleEndpoint' in chainView ? [chainView.insecureSingleEndpoint] : chainView.endpoints
  return urls.map((url) => {
    const { protocol, host } = new URL(url)
    return `${protocol}//${host}`
  })
}

function requiredOf(agreement: number | 'insecure-one'): number {
  return agreement === 'insecure-one' ? 1 : agreement
}
