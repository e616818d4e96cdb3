/** Settings of the indexer, from a JSON file and from environment variables `ASSENT_INDEXER_…`. */
import { z } from 'zod'

import { type Environment, loadConfig } from '../lib/config.ts'
import { ingressShape } from '../lib/ingress/settings.ts'
import { endpointListSchema, portSchema } from '../lib/schema.ts'
import { finalitySchema, requireSecureUrls } from '../relayer/endpoints/settings.ts'

/** All settings with their defaults. docs/indexer.md explains them. */
export const indexerConfigSchema = z.object({
  chainId: z.int().min(1),
  /** RPC endpoints; with two or more, two must give the same answer. */
  rpcUrls: endpointListSchema,
  /** Allows `http://` to other machines. Anyone on the network path can then change answers. */
  insecureRemoteHttp: z.boolean().default(false),
  /** Deployment record with the contracts to follow. */
  deploymentFile: z.string().min(1),
  finality: finalitySchema.default({ tag: 'finalized' }),
  /** Most blocks of events in one request. */
  eventSpan: z.int().min(1).max(1_000_000).default(10_000),
  pollSeconds: z.number().min(0.05).max(600).default(4),

  databaseUrl: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  dataFolder: z.string().min(1).default('.assent/indexer'),

  host: z.string().min(1).default('127.0.0.1'),
  port: portSchema.default(8490),
  /** Requests of one address per minute. */
  requestsPerMinute: z.int().min(1).default(600),
  ...ingressShape,
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
})

/** The checked settings. */
export type IndexerConfig = z.output<typeof indexerConfigSchema>

/** Prefix of the environment variables that override settings: `ASSENT_INDEXER_PORT` overrides `port`. */
export const indexerConfigPrefix = 'ASSENT_INDEXER'

/**
 * Reads and checks all settings before anything is opened.
 *
 * @throws CONFIG_INVALID, FILE_UNREADABLE
 */
export async function readIndexerConfig(env: Environment, file?: string): Promise<IndexerConfig> {
  const config = await loadConfig(indexerConfigSchema, {
    env: withDatabaseUrl(env),
    file,
    prefix: indexerConfigPrefix,
  })
  requireSecureUrls({ rpcUrls: config.rpcUrls }, config)
  return config
}

/** Hosting services set `DATABASE_URL`; it is used if the indexer's own variable is not set. */
function withDatabaseUrl(env: Environment): Environment {
  const { DATABASE_URL: url } = env
  const own = `${indexerConfigPrefix}_DATABASE_URL`
  return url === undefined || env[own] !== undefined ? env : { ...env, [own]: url }
}
