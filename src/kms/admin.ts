/**
 * dstack's Admin API: off unless configured, on its own address, always with a token.
 *
 * Its one method clears caches, so the worst that a caller can do is to make the KMS compute something again.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'

import { AssentError } from '../errors/index.ts'
import { fromHex } from '../lib/bytes.ts'
import { openIngress } from '../lib/ingress/ingress.ts'
import { openLimits } from '../lib/ingress/settings.ts'
import type { Logger } from '../lib/log.ts'
import { createRateLimit } from '../lib/rate-limit.ts'
import { forgetImages } from '../quote/measurements/image-proof.ts'
import { limitResponse } from './rpc/caller-limits.ts'
import { ClearImageCacheRequestSchema, EmptySchema } from './rpc/kms_pb.ts'
import { method, mountPrpc } from './rpc/prpc.ts'
import { outcomeOf } from './rpc/request-outcome.ts'

/** Dependencies of the Admin API. */
export interface AdminOptions {
  /** SHA-256 of the token, hex. The settings contain no secret. */
  readonly tokenSha256: string
  /** Clears the image cache of all processes of the node. */
  readonly clear: ClearImages
  /** Gets one line for each request and its outcome. */
  readonly log: Logger
}

/** Clears what is cached about one image (by its hash, hex) or about all. */
export type ClearImages = (image: string | 'all') => void | Promise<void>

/** A listening Admin API. */
export interface RunningAdmin {
  /** `http://host:port` */
  readonly url: string
  /** Closes all connections within a second. */
  stop(): Promise<void>
}

/** Its requests only clear a cache: nothing is lost if one is cut off. */
const stopAfterMs = 1_000

/** Listens until `stop`. @throws the system's error if the port is in use */
export async function startAdmin(
  options: AdminOptions & { readonly host: string; readonly port: number },
): Promise<RunningAdmin> {
  const ingress = openIngress(createServer(), getRequestListener(createAdmin(options).fetch), {
    limits: openLimits({ connections: 64, requestsInFlight: 16 }),
    proxied: 'x-forwarded-for',
    maxBodyBytes: ({ method: verb }) => (verb === 'POST' ? 4_096 : 0),
    explain: limitResponse,
  })
  const url = `http://${await ingress.listen(options)}`
  options.log.info({ admin: url }, 'admin API listens')
  return { url, stop: () => ingress.stop(stopAfterMs) }
}

/** The Admin API without a port. A request without the token gets 401, and 429 after 60 in a minute. */
export function createAdmin({ tokenSha256, clear, log }: AdminOptions): Hono {
  const expected = fromHex(tokenSha256, 'tokenSha256', 32)
  const waitFor = createRateLimit({ perMinute: 60 })
  const app = new Hono()
  app.use(async (context, next) => {
    const header = (name: string) => context.req.header(name)
    if (isAllowed(expected, header)) return next()
    if (waitFor('refused') > 0) return context.json({ error: 'too many requests' }, 429)
    log.warn('admin request without a valid token')
    return context.json({ error: 'unauthorized' }, 401, { 'www-authenticate': 'Bearer' })
  })
  mountPrpc<undefined>(app, {
    prefix: 'Admin',
    postOnly: ['ClearImageCache'],
    unsupported: ['GetKmsKey'],
    caller: async () => undefined,
    observe: ({ method: name, error }) => {
      log.info({ method: name, outcome: outcomeOf(error), err: error }, 'admin')
    },
    methods: {
      ClearImageCache: method(ClearImageCacheRequestSchema, EmptySchema, async (request) => {
        const image = readKey(request.imageHash)
        const config = readKey(request.configHash)
        if (image !== undefined) await clear(image)
        // caches by configuration hash are kept with the image, so all images are cleared
        if (config !== undefined) await clear('all')
        return {}
      }),
    },
  })
  return app
}

/** Clears the image cache of this process. */
export const clearOwnCache: ClearImages = (image) => forgetImages(image)

/** dstack's rule: empty for nothing, `all`, or hexadecimal digits. @throws KMS_REQUEST_INVALID */
function readKey(text: string): string | undefined {
  if (text === '') return undefined
  if (text === 'all' || /^[0-9a-fA-F]+$/.test(text)) return text.toLowerCase()
  throw new AssentError('KMS_REQUEST_INVALID', 'invalid cache key')
}

/** The token may be sent as Bearer, as X-Admin-Token, or as the password of HTTP Basic. Compared in constant time. */
function isAllowed(expected: Uint8Array, header: (name: string) => string | undefined): boolean {
  const authorization = header('authorization') ?? ''
  const scheme = authorization.split(' ', 1)[0]?.toLowerCase() ?? ''
  const value = authorization.slice(scheme.length + 1)
  const offered = [header('x-admin-token')]
  if (scheme === 'bearer') offered.push(value)
  if (scheme === 'basic') {
    const pair = Buffer.from(value, 'base64').toString('utf8')
    offered.push(pair.slice(pair.indexOf(':') + 1))
  }
  return offered.some((token) => token !== undefined && timingSafeEqual(sha256(token), expected))
}

function sha256(text: string): Uint8Array {
  return createHash('sha256').update(text).digest()
}
