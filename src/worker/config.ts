/** Settings of the worker, from a JSON file and from environment variables `ASSENT_WORKER_…`. */
import { z } from 'zod'

import { type Environment, loadConfig } from '../lib/config.ts'
import { ingressShape } from '../lib/ingress/settings.ts'
import {
  addressSchema,
  bytes32Schema,
  endpointListSchema,
  isRemoteHttp,
  portSchema,
  secondsSchema,
  urlListSchema,
  urlSchema,
} from '../lib/schema.ts'
import { finalitySchema, requireSecureUrls } from '../relayer/endpoints/settings.ts'
import {
  gweiSchema,
  requireAllowedKey,
  requireSigner,
  signerShape,
} from '../relayer/signer/settings.ts'

const handlerUrl = urlSchema.refine((url) => {
  return URL.canParse(url) && new URL(url).protocol === 'http:' && !isRemoteHttp(url)
}, 'http on this machine')

/** The longest time that a request can last, in seconds. */
const longestRequest = 30 * 86_400

/** All settings with their defaults; times in seconds. docs/worker.md explains them. */
export const workerConfigSchema = z.object({
  chainId: z.int().min(1),
  /** RPC endpoints; with two or more, two must give the same answer. */
  rpcUrls: endpointListSchema,
  /** Allows `http://` to other machines. Anyone on the network path can then change answers. */
  insecureRemoteHttp: z.boolean().default(false),
  finality: finalitySchema.default({ tag: 'safe' }),
  /** Deployment record with the contracts. */
  deploymentFile: z.string().min(1),
  /** Blocks of events in one request; RPC services limit the range. */
  eventSpan: z.int().min(1).max(1_000_000).default(5_000),
  pollSeconds: z.number().min(0.05).max(600).default(4),

  app: addressSchema,
  /** The host of this CVM: SHA-256 of its PPID. */
  deviceId: bytes32Schema,
  /** The most requests at the same time. */
  capacity: z.int().min(1).max(1_000).default(4),
  agentSocket: z.string().min(1).default('/var/run/dstack.sock'),
  /** KMS nodes, for inputs that are encrypted. Without them only public inputs are answered. */
  kmsUrls: urlListSchema.optional(),
  /** File in memory with the key of this instance. */
  keyFile: z.string().min(1).default('/run/assent/worker-key'),
  insecureKeyOnDisk: z.boolean().default(false),

  handlerUrl,
  handlerSeconds: secondsSchema(1, 3_600, 60),
  /** A request that is not answered so many seconds before it is due is declined. */
  declineBefore: secondsSchema(5, 3_600, 60),

  ...signerShape,
  maxFeePerGasGwei: gweiSchema.default(100n * 10n ** 9n),
  minTipGwei: gweiSchema.default(10n ** 6n),

  databaseUrl: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  dataFolder: z.string().min(1).default('.assent/worker'),
  /** Retention; the outbox remembers each answer for as long as its request can last. */
  retention: secondsSchema(longestRequest, 3_650 * 86_400, longestRequest),

  host: z.string().min(1).default('127.0.0.1'),
  port: portSchema.default(8500),
  ...ingressShape,
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
})

/** The checked settings. */
export type WorkerConfig = z.output<typeof workerConfigSchema>

/**
 * Reads and checks all settings before anything is opened.
 *
 * @throws CONFIG_INVALID, FILE_UNREADABLE, RELAYER_KEY_INSECURE
 */
export async function readWorkerConfig(env: Environment, file?: string): Promise<WorkerConfig> {
  const source = { env, file, prefix: 'ASSENT_WORKER' }
  const config = await loadConfig(workerConfigSchema, source)
  requireSigner(config)
  const { rpcUrls, web3signerUrl } = config
  const signerUrls = web3signerUrl === undefined ? [] : [web3signerUrl]
  requireSecureUrls({ rpcUrls, web3signerUrl: signerUrls }, config)
  requireAllowedKey(config)
  return config
}
