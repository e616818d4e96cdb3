/** Settings of the services that read decisions about boots from the chain. Most have no default on purpose. */
import { join } from 'node:path'

import { z } from 'zod'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import {
  addressSchema,
  bytes32Schema,
  endpointListSchema,
  isRemoteHttp,
  urlListSchema,
  urlSchema,
} from '../../lib/schema.ts'
import type { LightClient } from '../consensus/light-client.ts'
import type { Network } from '../consensus/network.ts'
import { publicNetworks } from '../consensus/networks.ts'
import { type Consensus, consensusSchema } from '../consensus/settings.ts'
import { createHeartbeat, type Heartbeat, type NonceRelayer } from '../heartbeat/heartbeat.ts'
import { connectNonceRelayer } from '../heartbeat/nonce-relayer.ts'
import { opStackHeaders } from '../op-stack/op-stack-headers.ts'
import { gameRulesOf, type OpStack, opStackChains, opStackSchema } from '../op-stack/settings.ts'
import { type ChainCheckpoint, openCheckpoint, volatileCheckpoint } from '../proven/checkpoint.ts'
import { headerFieldsSchema } from '../proven/header.ts'
import { agreedHeaders, type HeaderSource, type QuorumRules } from '../proven/header-quorum.ts'
import { type FetchProof, proveForMany } from '../proven/prover.ts'
import { connectEndpoint, type Endpoint, endpointNames } from '../proven/rpc-endpoint.ts'
import { openView } from '../proven/view.ts'
import type { BootAuthorizer } from './boot.ts'

/** Bounds the age of final blocks without the clock. */
const heartbeatSchema = z.strictObject({
  /** The `Heartbeat` contract. */
  contract: addressSchema,
  /** Relayers that post nonces. They are not trusted; one that posts is enough. */
  relayers: z
    .array(
      z.strictObject({
        url: urlSchema,
        /** The relayer's account. */
        poster: addressSchema,
        /** File with the token of an operator of the relayer. */
        tokenFile: z.string().min(1),
        /** The file is a JSON object of several tokens, and this is the name of the relayer's one. */
        tokenName: z.string().min(1).max(64).optional(),
      }),
    )
    .min(1)
    .max(8)
    .refine((relayers) => urlListSchema.safeParse(relayers.map(({ url }) => url)).success, {
      message: 'has an address twice',
    }),
  /** Highest age in seconds of the newest own nonce in a final block. */
  maxAgeSeconds: z.int().min(10).max(86_400),
})

const codeHashesSchema = z.array(bytes32Schema).min(1)

/** Reads that are checked by storage proofs. */
const provenSchema = z
  .strictObject({
    /** JSON-RPC endpoints of different operators. */
    endpoints: endpointListSchema,
    /** Allows `http://` to other machines, where anyone on the network path can change answers. */
    insecureRemoteHttp: z.boolean().default(false),
    /**
     * How many of them must return the same block. A quorum of one lets that endpoint invent blocks. `light-client`: the
     * block is the one that the light client proved, so one endpoint is enough. `l1`: the same for the block that is
     * proven through L1.
     */
    quorum: z.union([z.int().min(2), z.enum(['light-client', 'l1', 'insecure-single-endpoint'])]),
    /** Folder of the trusted checkpoint. */
    checkpointFolder: z.string().min(1),
    /** Seconds for which a chain snapshot is used. */
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
    /** A block counts only if a sync committee signed that it is final. Without it, the RPC quorum alone decides. */
    consensus: consensusSchema.optional(),
    /** How blocks of an OP Stack chain are proven through L1; `agreed`: they are not, the RPC quorum decides. */
    opStack: z.union([opStackSchema, z.literal('agreed')]).optional(),
    /** A final block counts only if it is proven to be young. Without it, the clock decides (`maxBlockAgeSeconds`). */
    heartbeat: heartbeatSchema.optional(),
    /** Which blocks that are not final can deny what the final block allows. */
    withdrawalCheck: z
      .enum(['deny-when-shown-by-one', 'deny-when-signed', 'insecure-wait-until-final'])
      .default('deny-when-shown-by-one'),
    foreignApps: z.enum(['refuse', 'insecure-execute']).default('refuse'),
    /** Fields that a fork added to headers after this version was made, in the order of the header. */
    headerFields: headerFieldsSchema,
    /** Bytes of cache in each process for proven state and decisions. */
    cacheMegabytes: z.int().min(8).max(4096).default(64),
  })
  .refine(
    ({ endpoints, insecureRemoteHttp }) => insecureRemoteHttp || !endpoints.some(isRemoteHttp),
    {
      message: 'http to another machine needs insecureRemoteHttp',
      path: ['endpoints'],
    },
  )
  .refine(
    ({ heartbeat, insecureRemoteHttp }) =>
      insecureRemoteHttp || !heartbeat?.relayers.some(({ url }) => isRemoteHttp(url)),
    { message: 'http to another machine needs insecureRemoteHttp', path: ['heartbeat'] },
  )
  .refine(({ endpoints, quorum }) => requiredOf(quorum) <= endpoints.length, {
    message: 'is larger than the number of endpoints',
    path: ['quorum'],
  })
  .refine(
    ({ opStack, insecureRemoteHttp }) =>
      insecureRemoteHttp || !(isProvenOnL1(opStack) && opStack.l1.endpoints.some(isRemoteHttp)),
    { message: 'http to another machine needs insecureRemoteHttp', path: ['opStack'] },
  )
  .refine(({ quorum, consensus }) => quorum !== 'light-client' || consensus !== undefined, {
    message: 'light-client needs consensus',
    path: ['quorum'],
  })
  .refine(({ quorum, opStack }) => quorum !== 'l1' || isProvenOnL1(opStack), {
    message: 'l1 needs opStack with l1',
    path: ['quorum'],
  })
  .refine(({ consensus, opStack }) => consensus === undefined || !isProvenOnL1(opStack), {
    message: 'is of L1: state it as opStack.l1.consensus',
    path: ['consensus'],
  })
  .refine(
    ({ withdrawalCheck, consensus, opStack }) =>
      withdrawalCheck !== 'deny-when-signed' || consensus !== undefined || isProvenOnL1(opStack),
    { message: 'deny-when-signed needs consensus or opStack', path: ['withdrawalCheck'] },
  )
  // the answer of a foreign app is not in the state, so that only several endpoints can confirm it
  .refine(
    ({ quorum, foreignApps }) =>
      (quorum !== 'light-client' && quorum !== 'l1') || foreignApps === 'refuse',
    { message: 'insecure-execute needs an RPC quorum', path: ['foreignApps'] },
  )

/** The parsed settings for reads that are checked by storage proofs. */
export type ProvenChainView = z.output<typeof provenSchema>

function isProvenOnL1(opStack: OpStack | 'agreed' | undefined): opStack is OpStack {
  return opStack !== undefined && opStack !== 'agreed'
}

/**
 * Settings that the KMS and the auth webhook share: which contract decides, from which endpoints it is read, and how
 * old a block may be. Finality, block age and endpoints have no default, because a wrong default would weaken each
 * decision silently.
 */
export const bootChainShape = {
  chainId: z.int().min(1),
  /** The KmsAuth (DstackKms) contract. */
  kmsContract: addressSchema,
  /** Settings for reading the chain. */
  chainView: z.union([provenSchema, z.strictObject({ insecureSingleEndpoint: urlSchema })]),
  /** Finality; there is no default, because chains differ. */
  finality: z.union([
    z.enum(['finalized', 'safe']),
    z.strictObject({ confirmations: z.int().min(0).max(100_000) }),
  ]),
  /** Highest block age in seconds for a decision. */
  maxBlockAgeSeconds: z.int().min(1),
  rpcTimeoutMs: z.int().min(100).max(120_000).default(10_000),
} as const

/** The parsed settings, with defaults filled in. */
export type BootChainConfig = z.output<z.ZodObject<typeof bootChainShape>>

/** Values that the settings cannot contain. */
export interface OpenChainOptions {
  /** Unix seconds. */
  readonly clock: Clock
  /**
   * Key that authenticates the trusted checkpoint. `none-yet`: keep no checkpoint, for a node that has no root keys
   * yet.
   */
  readonly checkpointKey?: Uint8Array | 'none-yet'
  /** Reads the light-client store of the node and writes nothing, for a doctor. The trusted checkpoint is not read. */
  readonly readOnly?: boolean
  /** Fetches proofs for this process; default: from the endpoints. */
  readonly prove?: FetchProof
}

/**
 * Creates the authorizer for these settings: a chain view with storage proofs, or one trusted endpoint if `chainView`
 * has `insecureSingleEndpoint`. Nothing is requested yet, unless there is a heartbeat, which begins now.
 *
 * @throws CONFIG_INVALID if the settings contradict each other
 */
export function openChain(config: BootChainConfig, options: OpenChainOptions): BootAuthorizer {
  const { chainView } = config
  if ('insecureSingleEndpoint' in chainView) {
    return trustSingleEndpointOnUse(chainView.insecureSingleEndpoint, config, options.clock)
  }
  // a program that releases nothing would wait for a heartbeat
  const isLasting = options.checkpointKey !== 'none-yet' && options.readOnly !== true
  const heartbeat = isLasting ? openHeartbeat(config, chainView) : undefined
  return openProvenView(config, chainView, options, heartbeat)
}

function openHeartbeat(
  { rpcTimeoutMs: timeoutMs }: BootChainConfig,
  { heartbeat }: ProvenChainView,
): Heartbeat | undefined {
  if (heartbeat === undefined) return undefined
  const { contract, maxAgeSeconds } = heartbeat
  return createHeartbeat({
    contract,
    maxAgeSeconds,
    relayers: connectHeartbeatRelayers(heartbeat, timeoutMs),
    now: () => performance.now(),
  })
}

/** Connects to the relayers of a heartbeat. Nothing is sent yet. @param timeoutMs for one exchange */
export function connectHeartbeatRelayers(
  { relayers }: NonNullable<ProvenChainView['heartbeat']>,
  timeoutMs: number,
): NonceRelayer[] {
  const names = endpointNames(relayers.map(({ url }) => url))
  return relayers.map((relayer, index) =>
    connectNonceRelayer({ ...relayer, name: names[index] ?? relayer.url, timeoutMs }),
  )
}

/**
 * Creates the trusted checkpoint with the newest final block that the endpoints agree on. Does nothing with
 * `insecureSingleEndpoint`, which has no checkpoint.
 *
 * @throws CHAIN_CHECKPOINT_EXISTS, CHAIN_*
 */
export async function initCheckpoint(
  config: BootChainConfig,
  options: OpenChainOptions,
): Promise<void> {
  const { chainView } = config
  if ('insecureSingleEndpoint' in chainView) return
  // fails now if the endpoints serve headers but no proofs: with these no decision could be made
  await openProvenView(config, chainView, { ...options, readOnly: true }).facts()
  await beginLightClient(config, chainView, options)
  await openProvenView(config, chainView, options).bootstrap()
}

/** Fetches proofs for all processes of a node; undefined with a single trusted endpoint, which needs none. */
export function openProver(config: BootChainConfig): FetchProof | undefined {
  const { chainView } = config
  if ('insecureSingleEndpoint' in chainView) return undefined
  const endpoints = connectAll(config, chainView.endpoints)
  return proveForMany(endpoints, chainView.cacheMegabytes * 2 ** 20)
}

/** @param prefix distinguishes endpoints of L1 in logs and metrics */
function connectAll(
  { rpcTimeoutMs: timeoutMs }: BootChainConfig,
  urls: readonly string[],
  prefix = '',
): Endpoint[] {
  const names = endpointNames(urls)
  return urls.map((url, index) =>
    connectEndpoint({ url, name: `${prefix}${names[index]}`, timeoutMs }),
  )
}

function openProvenView(
  config: BootChainConfig,
  view: ProvenChainView,
  options: OpenChainOptions,
  heartbeat?: Heartbeat,
) {
  requireConsistentChain(config)
  const { clock, checkpointKey, readOnly = false, prove } = options
  const endpoints = connectAll(config, view.endpoints)
  const { chainId, finality } = config
  const required = requiredOf(view.quorum)
  const { headerFields } = view
  const rules = { endpoints, required, chainId, finality, headerFields }
  return openView({
    chainId,
    kms: config.kmsContract,
    pinned: view.pinnedCode,
    source: openSource(config, view, rules, options),
    endpoints,
    required,
    checkpoint: openCheckpointOf(
      config,
      view.checkpointFolder,
      readOnly ? 'none-yet' : checkpointKey,
    ),
    maxBlockAgeSeconds: config.maxBlockAgeSeconds,
    ...(heartbeat ? { heartbeat } : {}),
    refreshSeconds: view.refreshSeconds,
    withdrawals: view.withdrawalCheck,
    foreignApps: view.foreignApps,
    headerFields,
    ...(prove ? { prove } : {}),
    cacheBytes: view.cacheMegabytes * 2 ** 20,
    clock,
  })
}

/**
 * Checks that the settings do not contradict each other. Every program that opens a chain view calls it first, and
 * `kms compose` before the DAO votes on the settings.
 *
 * @throws CONFIG_INVALID with the next step
 * @example requireConsistentChain(kmsConfigSchema.parse(json))
 */
export function requireConsistentChain(config: BootChainConfig): void {
  const { chainView } = config
  if ('insecureSingleEndpoint' in chainView) return
  const { consensus, opStack, heartbeat } = chainView
  if (opStack === undefined) requireNoRollup(config)
  if (isProvenOnL1(opStack)) {
    requireFinalized(config, 'opStack')
    const { l1, level } = opStack
    if (l1.consensus !== undefined) networkOf(l1.consensus, l1.chainId, 'opStack.l1.consensus')
    if (heartbeat !== undefined && level === 'anchored') throw heartbeatTooLate()
  } else if (consensus !== undefined) {
    requireFinalized(config, 'consensus')
    networkOf(consensus, config.chainId, 'consensus')
  }
}

/** Blocks of final games are days old, and a heartbeat proves one day at most. */
function heartbeatTooLate(): AssentError {
  const message =
    'Configuration: chainView.heartbeat proves an age of one day at most, and with "level": "anchored" blocks are days old.'
  const hint = 'Set "level": "proposed" in chainView.opStack, or omit chainView.heartbeat.'
  return new AssentError('CONFIG_INVALID', message, { facts: { level: 'anchored' }, hint })
}

function openSource(
  config: BootChainConfig,
  view: ProvenChainView,
  rules: QuorumRules,
  options: OpenChainOptions,
): HeaderSource {
  const { consensus, opStack } = view
  if (isProvenOnL1(opStack)) return openRollup(config, { view, opStack }, rules, options)
  if (consensus === undefined) return agreedHeaders(rules)
  return openSignedHeaders(config, consensus, rules, options)
}

/** Final blocks that a sync committee signed. */
function openSignedHeaders(
  config: BootChainConfig,
  consensus: Consensus,
  rules: QuorumRules,
  options: OpenChainOptions,
): HeaderSource {
  const network = networkOf(consensus, rules.chainId)
  let opening: Promise<HeaderSource> | undefined
  const open = async () => {
    const { signedHeaders } = await import('../consensus/signed-headers.ts')
    const client = await openLightClient(config, consensus, network, options)
    return signedHeaders(rules, client, { network, clock: options.clock })
  }
  return {
    newest: async (known) => {
      opening ??= open()
      return (await opening).newest(known)
    },
  }
}

/** Final blocks of an OP Stack chain that are proven through L1. */
function openRollup(
  config: BootChainConfig,
  { view, opStack }: { readonly view: ProvenChainView; readonly opStack: OpStack },
  rules: QuorumRules,
  options: OpenChainOptions,
): HeaderSource {
  const {
    chainId,
    endpoints: urls,
    quorum,
    consensus,
    headerFields,
    maxBlockAgeSeconds,
  } = opStack.l1
  const endpoints = connectAll(config, urls, 'l1-')
  const l1Rules: QuorumRules = {
    endpoints,
    required: requiredOf(quorum),
    chainId,
    finality: 'finalized',
    headerFields,
  }
  const { checkpointKey, readOnly = false, clock } = options
  const l1 = {
    chainId,
    source: consensus
      ? openSignedHeaders(config, consensus, l1Rules, options)
      : agreedHeaders(l1Rules),
    endpoints,
    checkpoint: openCheckpointOf(
      { ...config, chainId },
      join(view.checkpointFolder, 'l1'),
      readOnly ? 'none-yet' : checkpointKey,
    ),
    maxBlockAgeSeconds,
  }
  return opStackHeaders(rules, gameRulesOf(opStack), l1, { clock })
}

/** @param setting name below `chainView` @throws CONFIG_INVALID if the network is of another chain */
function networkOf(
  { network: named }: Consensus,
  chainId: number,
  setting: 'consensus' | 'opStack.l1.consensus' = 'consensus',
): Network {
  const network = typeof named === 'string' ? publicNetworks[named] : named
  if (network.chainId === chainId) return network
  const message = `Configuration: chainView.${setting}.network is of chain ${network.chainId}, not ${chainId}.`
  const facts = { chainId, network: network.name, networkChainId: network.chainId }
  const hint = `Name the network of chain ${chainId}, or correct chainId.`
  throw new AssentError('CONFIG_INVALID', message, { facts, hint })
}

/** Loaded only where it is configured: its SSZ containers and BLS signatures need several megabytes. */
async function openLightClient(
  { rpcTimeoutMs: timeoutMs }: BootChainConfig,
  { beaconApis, storeFolder: folder, trustedBlockRoot }: Consensus,
  network: Network,
  { clock, checkpointKey, readOnly = false }: OpenChainOptions,
): Promise<LightClient> {
  const [{ connectBeaconEndpoint }, { createLightClient }, folders] = await Promise.all([
    import('../consensus/beacon-endpoint.ts'),
    import('../consensus/light-client.ts'),
    import('../consensus/store-folder.ts'),
  ])
  const names = endpointNames(beaconApis)
  const isNew = checkpointKey === 'none-yet'
  const location = { folder, network, ...(isNew || !checkpointKey ? {} : { key: checkpointKey }) }
  const client = createLightClient({
    network,
    endpoints: beaconApis.map((url, index) =>
      connectBeaconEndpoint({ url, name: names[index] ?? url, timeoutMs }),
    ),
    folder: isNew
      ? folders.volatileStoreFolder()
      : readOnly
        ? folders.readOnlyStoreFolder(location)
        : folders.openStoreFolder(location),
    clock,
  })
  if (!isNew && !readOnly) return client
  let begun: Promise<unknown> | undefined
  const advance = async () => {
    try {
      return await client.advance()
    } catch (error) {
      if (!isAssentError(error, 'CONSENSUS_STORE_MISSING')) throw error
      begun ??= client.begin(fromHex(trustedBlockRoot, 'trusted block root', 32))
      await begun
      return client.advance()
    }
  }
  return { ...client, advance }
}

/** @throws CONFIG_INVALID */
function requireFinalized({ finality }: BootChainConfig, setting: 'consensus' | 'opStack'): void {
  if (finality === 'finalized') return
  const message = `Configuration: chainView.${setting} needs "finality": "finalized".`
  const hint = 'Set "finality": "finalized".'
  throw new AssentError('CONFIG_INVALID', message, { facts: { finality }, hint })
}

/** Blocks of a rollup are not final because endpoints agree on them: the settings must say so. @throws CONFIG_INVALID */
function requireNoRollup({ chainId }: BootChainConfig): void {
  const name = opStackChains.get(chainId)
  if (name === undefined) return
  const message = `Configuration: ${name} is an OP Stack chain: chainView.opStack must say how its blocks are proven.`
  const hint = 'See docs/chains.md; "opStack": "agreed" states that the RPC quorum decides.'
  throw new AssentError('CONFIG_INVALID', message, { facts: { chainId }, hint })
}

/** Nothing to do where there is a store. @throws CONSENSUS_* */
async function beginLightClient(
  config: BootChainConfig,
  { consensus: own, opStack }: ProvenChainView,
  options: OpenChainOptions,
): Promise<void> {
  const { chainId, consensus } = isProvenOnL1(opStack)
    ? opStack.l1
    : { chainId: config.chainId, consensus: own }
  if (consensus === undefined) return
  const client = await openLightClient(config, consensus, networkOf(consensus, chainId), options)
  try {
    await client.begin(fromHex(consensus.trustedBlockRoot, 'trusted block root', 32))
  } catch (error) {
    // the command may have been stopped between the two
    if (!isAssentError(error, 'CONSENSUS_STORE_EXISTS')) throw error
  }
}

function openCheckpointOf(
  { chainId, kmsContract }: Pick<BootChainConfig, 'chainId' | 'kmsContract'>,
  folder: string,
  key: OpenChainOptions['checkpointKey'],
): ChainCheckpoint {
  if (key === 'none-yet') return volatileCheckpoint()
  return openCheckpoint({ folder, chainId, kms: kmsContract, ...(key ? { key } : {}) })
}

/** Calls of contracts need viem, which a node with storage proofs does not load. */
function trustSingleEndpointOnUse(
  url: string,
  config: BootChainConfig,
  clock: Clock,
): BootAuthorizer {
  const {
    chainId,
    kmsContract: kms,
    finality,
    maxBlockAgeSeconds,
    rpcTimeoutMs: timeoutMs,
  } = config
  let opening: Promise<BootAuthorizer> | undefined
  const open = async () => {
    const [{ createPublicClient, http }, { trustSingleEndpoint }] = await Promise.all([
      import('viem'),
      import('./ask-contracts.ts'),
    ])
    const client = createPublicClient({
      transport: http(url, {
        timeout: timeoutMs,
        retryCount: 1,
        fetchOptions: { redirect: 'error' },
      }),
    })
    return trustSingleEndpoint({
      client,
      chainId,
      kms,
      finality,
      maxBlockAgeSeconds,
      timeoutMs,
      clock,
    })
  }
  const opened = () => {
    opening ??= open()
    return opening
  }
  return {
    chainId,
    kms,
    authorize: async (question, boot) => (await opened()).authorize(question, boot),
    facts: async () => (await opened()).facts(),
    newestEpoch: async (appId, beforeRequest) =>
      (await opened()).newestEpoch?.(appId, beforeRequest),
  }
}

/**
 * Scheme and host of each endpoint, for logs and metrics. Path and query are left out, because they often contain an
 * API key.
 */
export function endpointHosts({ chainView }: BootChainConfig): string[] {
  const urls =
    'insecureSingleEndpoint' in chainView ? [chainView.insecureSingleEndpoint] : chainView.endpoints
  return urls.map((url) => {
    const { protocol, host } = new URL(url)
    return `${protocol}//${host}`
  })
}

function requiredOf(quorum: number | string): number {
  return typeof quorum === 'number' ? quorum : 1
}
