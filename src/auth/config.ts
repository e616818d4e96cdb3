/** Settings of the auth webhook. docs/kms-settings.md describes each for operators. */
import { z } from 'zod'

import { bootChainShape } from '../chain/boot/boot-config.ts'
import { ingressShape } from '../lib/ingress/settings.ts'
import { portSchema } from '../lib/schema.ts'

/** Environment variables start with `ASSENT_AUTH_`. */
export const authConfigSchema = z.object({
  ...bootChainShape,
  host: z.string().min(1).default('127.0.0.1'),
  port: portSchema.default(8000),
  /** HTTP status of an outage; see `AuthOptions`. */
  outageStatus: z.literal([200, 503]).default(503),
  /** Whether a request that does not name its TEE counts as one of a TD. */
  acceptMissingTeeVariant: z.boolean().default(false),
  ...ingressShape,
  // a KMS sends all of its requests from one address
  connectionsPerClient: ingressShape.connectionsPerClient.default(512),
  requestsInFlightPerClient: ingressShape.requestsInFlightPerClient.default(128),
  /** Requests of one address per minute. */
  requestsPerMinute: z.int().min(1).default(6000),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
})

/** Prefix of the environment variables that override settings of the webhook: `ASSENT_AUTH_PORT` overrides `port`. */
export const authConfigPrefix = 'ASSENT_AUTH'
