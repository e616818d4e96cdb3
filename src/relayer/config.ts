/** Settings of the relayer, from a JSON file and from environment variables `ASSENT_RELAYER_…`. */
import { z } from 'zod'

import { AssentError } from '../errors/index.ts'
import { type ConfigSource, type Environment, loadConfig } from '../lib/config.ts'
import { ingressShape } from '../lib/ingress/settings.ts'
import {
  addressSchema,
  bytes32Schema,
  endpointListSchema,
  portSchema,
  secondsSchema,
  urlSchema,
} from '../lib/schema.ts'
import { trustAnchorSchema } from '../quote/certificates/trust-anchor.ts'
import { pccsUrlsSchema } from '../quote/collateral/pccs-urls.ts'
import { finalitySchema, requireSecureUrls } from './endpoints/settings.ts'
import {
  gweiSchema,
  requireAllowedKey,
  requireOne,
  requireSigner,
  signerShape,
} from './signer/settings.ts'

const operator = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]{1,64}$/, 'lower-case letters, digits and dashes'),
  tokenSha256: z.string().regex(/^[0-9a-fA-F]{64}$/, 'SHA-256 of the token, 64 hexadecimal digits'),
})

const family = z.strictObject({
  fmspc: z.string().regex(/^[0-9a-fA-F]{12}$/, '12 hexadecimal digits'),
  ca: z.enum(['platform', 'processor']),
})

const agentCommon = {
  deviceId: bytes32Schema,
  purpose: z.enum(['host', 'kms-node']).default('host'),
}

const agent = z.union([
  /** The guest agent on a host whose operator is the relayer's own account. */
  z.strictObject({ ...agentCommon, socket: z.string().min(1) }),
  /** An agent hook of the operator, which also signs the permit. */
  z.strictObject({
    ...agentCommon,
    url: urlSchema,
    operator: addressSchema,
    tokenFile: z.string().min(1).optional(),
  }),
])

/** All settings with their defaults; times in seconds. docs/relayer.md explains them. */
export const relayerConfigSchema = z.object({
  chainId: z.int().min(1),
  /** RPC endpoints; with two or more, two must give the same answer. */
  rpcUrls: endpointListSchema,
  /**
   * Allows `http://` to other machines, for RPC endpoints, PCCS, web3signer and agent hooks. Anyone on the network path can
   * then change answers, and read the token of an agent hook.
   */
  insecureRemoteHttp: z.boolean().default(false),
  finality: finalitySchema.default({ tag: 'finalized' }),
  /** Address of the host registry (`Hosts`). */
  hosts: addressSchema.optional(),
  /** Address of `KmsAuth`; with `hosts`, KMS nodes that it allows are registered. */
  kmsAuth: addressSchema.optional(),
  rootKeys: addressSchema.optional(),
  /** Address of the quote verifier with the collateral store. */
  verifier: addressSchema.optional(),
  governor: addressSchema.optional(),
  /** Address of `Heartbeat`; with it, nonces of KMS nodes are accepted and posted. */
  heartbeat: addressSchema.optional(),
  /** The window: seconds between two posts. */
  heartbeatEvery: secondsSchema(12, 86_400, 600),
  /** Nonces of one operator in one window. */
  heartbeatNonces: z.int().min(1).max(2_048).default(256),
  /** Block of the deployment; events are read from there on. */
  fromBlock: z.int().min(0).default(0),
  /** Blocks of events in one request; RPC services limit the range. */
  eventSpan: z.int().min(1).max(1_000_000).default(5_000),

  host: z.string().min(1).default('127.0.0.1'),
  port: portSchema.default(8480),
  operators: z.array(operator).min(1),
  requestsPerMinute: z.int().min(1).default(120),
  ...ingressShape,
  // an event stream is a request in flight for as long as it is open
  requestsInFlight: ingressShape.requestsInFlight.default(1024),

  databaseUrl: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  dataFolder: z.string().min(1).default('.assent/relayer'),

  ...signerShape,

  /** A file with collateral for every quote; for test networks. */
  collateralFile: z.string().min(1).optional(),
  pccsUrls: pccsUrlsSchema.min(1).optional(),
  /** CA certificates (PEM) for a PCCS, in addition to the public ones. */
  pccsCaFile: z.string().min(1).optional(),
  /** Root of trust: Intel's root certificate, or a simulator's. */
  trustedRoot: trustAnchorSchema,
  policyFile: z.string().min(1).optional(),
  minimumRemainingValidity: secondsSchema(0, 30 * 86_400, 3_600),

  /** Upload newer collateral to the on-chain store. */
  keepCollateral: z.boolean().default(false),
  /** Platform families whose collateral is uploaded, in addition to those of registered hosts. */
  families: z.array(family).default([]),
  collateralEvery: secondsSchema(60, 86_400, 3_600),
  refreshBefore: secondsSchema(3_600, 25 * 86_400, 7 * 86_400),

  /** Hosts whose host proofs are renewed. */
  hostAgents: z.array(agent).default([]),
  renewEvery: secondsSchema(10, 86_400, 60),
  renewBefore: secondsSchema(3_600, 30 * 86_400, 5 * 86_400),
  renewJitter: secondsSchema(0, 10 * 86_400, 86_400),
  urgentBefore: secondsSchema(600, 10 * 86_400, 86_400),
  minimumExtension: secondsSchema(0, 30 * 86_400, 2 * 86_400),
  renewMaxBaseFeeGwei: gweiSchema.default(30n * 10n ** 9n),
  useVerificationRecords: z.boolean().default(true),

  /** Do upkeep that is due without a request. */
  automaticUpkeep: z.boolean().default(false),
  upkeepEvery: secondsSchema(10, 86_400, 300),

  maxFeePerGasGwei: gweiSchema.default(100n * 10n ** 9n),
  minTipGwei: gweiSchema.default(10n ** 6n),
  maxInFlight: z.int().min(1).max(1_000).default(16),
  maxUnfinal: z.int().min(1).max(100_000).default(5_000),
  /** Retention; longer than the day over which spending is summed. */
  retention: secondsSchema(2 * 86_400, 3_650 * 86_400, 30 * 86_400),
  bumpAfter: secondsSchema(1, 86_400, 60),
  stopLossAfter: secondsSchema(1, 7 * 86_400, 1_800),
  pollSeconds: z.number().min(0.05).max(600).default(2),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
})

/** The checked settings. */
export type RelayerConfig = z.output<typeof relayerConfigSchema>

/**
 * Reads and checks all settings before anything is opened.
 *
 * @throws CONFIG_INVALID, FILE_UNREADABLE, RELAYER_KEY_INSECURE
 */
export async function readRelayerConfig(env: Environment, file?: string): Promise<RelayerConfig> {
  const source: ConfigSource = { env: withDatabaseUrl(env), file, prefix: 'ASSENT_RELAYER' }
  const config = await loadConfig(relayerConfigSchema, source)
  requireSigner(config)
  requireOne(config, ['collateralFile', 'pccsUrls'])
  requireWith(config, 'keepCollateral', ['verifier', 'pccsUrls'])
  requireWith(config, 'pccsCaFile', ['pccsUrls'])
  requireWith(config, 'hostAgents', ['verifier', 'hosts'])
  requireWith(config, 'kmsAuth', ['hosts'])
  requireWith(config, 'automaticUpkeep', ['governor'])
  requireOrder(config)
  requireSecureUrls(urlsOf(config), config)
  requireAllowedKey(config)
  return config
}

/** URLs by the name of their setting. */
function urlsOf({ rpcUrls, pccsUrls = [], web3signerUrl, hostAgents }: RelayerConfig) {
  return {
    rpcUrls,
    pccsUrls,
    web3signerUrl: web3signerUrl === undefined ? [] : [web3signerUrl],
    hostAgents: hostAgents.flatMap((agent) => ('url' in agent ? agent.url : [])),
  }
}

/** Hosting services set `DATABASE_URL`; it is used if the relayer's own variable is not set. */
function withDatabaseUrl(env: Environment): Environment {
  const { DATABASE_URL: url } = env
  const own = 'ASSENT_RELAYER_DATABASE_URL'
  return url === undefined || env[own] !== undefined ? env : { ...env, [own]: url }
}

/** If the setting `name` is used, the settings in `needed` must be set too. */
function requireWith(
  config: RelayerConfig,
  name: keyof RelayerConfig,
  needed: readonly (keyof RelayerConfig)[],
): void {
  const value = config[name]
  const isAsked = Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false
  const missing = needed.filter((each) => config[each] === undefined)
  if (!isAsked || missing.length === 0) return
  throw new AssentError('CONFIG_INVALID', `${name} needs ${missing.join(' and ')}.`, {
    facts: { name, missing },
  })
}

/** With another order, host proofs would end before they are renewed. */
function requireOrder(config: RelayerConfig): void {
  const { renewBefore, renewJitter, urgentBefore, refreshBefore } = config
  if (urgentBefore < renewBefore && renewBefore + renewJitter < refreshBefore) return
  throw new AssentError(
    'CONFIG_INVALID',
    'urgentBefore < renewBefore and renewBefore + renewJitter < refreshBefore must hold.',
    { facts: { urgentBefore, renewBefore, renewJitter, refreshBefore } },
  )
}
