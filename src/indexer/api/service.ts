/** The HTTP server of the indexer: read-only, for everyone, behind the ingress limits of all services. */
import { createServer } from 'node:http'

import { getRequestListener } from '@hono/node-server'

import { openIngress, refusalToJson } from '../../lib/ingress/ingress.ts'
import { type IngressSettings, openLimits } from '../../lib/ingress/settings.ts'
import type { Logger } from '../../lib/log.ts'
import { createRateLimit } from '../../lib/rate-limit.ts'
import { type ApiOptions, createApi } from './routes.ts'

/** An API that listens. */
export interface RunningApi {
  /** `http://host:port` */
  readonly url: string
  /** Waits up to 5 s for running requests, then closes all connections. */
  stop(): Promise<void>
}

const stopAfterMs = 5_000

/**
 * Serves until `stop`.
 *
 * @throws the system's error if the port is in use
 */
export async function startApi(
  options: ApiOptions & {
    readonly log: Logger
    readonly limits?: IngressSettings
    /** Of one client address. */
    readonly requestsPerMinute: number
    readonly host: string
    readonly port: number
  },
): Promise<RunningApi> {
  const limits = openLimits(options.limits ?? {})
  const waitFor = createRateLimit({ perMinute: options.requestsPerMinute })
  const server = createServer({ keepAliveTimeout: 5_000 })
  const ingress = openIngress(server, getRequestListener(createApi(options).fetch), {
    limits,
    proxied: 'x-forwarded-for',
    // no request has a body
    maxBodyBytes: () => 0,
    waitFor: (client) => (limits.isShared(client) ? 0 : waitFor(client)),
    explain: (refusal) => refusalToJson(refusal, { 'access-control-allow-origin': '*' }),
    observe: (refusal, client) => options.log.debug({ refusal, client }, 'request limited'),
  })
  const url = `http://${await ingress.listen(options)}`
  options.log.info({ url }, 'the indexer serves')
  return { url, stop: () => ingress.stop(stopAfterMs) }
}
