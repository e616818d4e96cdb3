/**
 * dstack's Admin listener: off unless configured, on an address of its own, never without a token.
 *
 * There is one method, and the worst that it can do is to make the KMS compute something again.
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
import { explain } from './rpc/caller-limits.ts'
import { ClearImageCacheRequestSchema, EmptySchema } from './rpc/kms_pb.ts'
import { method, mountPrpc } from './rpc/prpc.ts'
import { outcomeOf } from './rpc/request-outcome.ts'

export interface AdminOptions {
  /** SHA-256 of the token, hex: the settings hold no secret. */
  readonly tokenSha256: string
  readonly clear: ClearImages
  readonly log: Logger
}

/** The image of this hash, or all of them. */
export type ClearImages = (image: string | 'all') => void | Promise<void>

export interface RunningAdmin {
  readonly url: string
  stop(): Promise<void>
}

/** Its requests only clear a cache: nothing is lost if one is cut off. */
const stopAfterMs = 1_000

export async function startAdmin(
  options: AdminOptions & { readonly host: string; readonly port: number },
): Promise<RunningAdmin> {
  const ingress = openIngress(createServer(), getRequestListener(createAdmin(options).fetch), {
    limits: openLimits({ connections: 64, requestsInFlight: 16 }),
    proxied: 'x-forwarded-for',
    longestBody: ({ method: verb }) => (verb === 'POST' ? 4_096 : 0),
    explain,
  })
  const url = `http://${await ingress.listen(options)}`
  options.log.info({ admin: url }, 'admin listens')
  return { url, stop: () => ingress.stop(stopAfterMs) }
}

export function createAdmin({ tokenSha256, clear, log }: AdminOptions): Hono {
  const expected = fromHex(tokenSha256, 'tokenSha256', 32)
  const waitFor = createRateLimit({ perMinute: 60 })
  const app = new Hono()
  app.use(async (context, next) => {
    const header = (name: string) => context.req.header(name)
    if (isAllowed(expected, header)) return next()
    if (waitFor('refused') > 0) return context.json({ error: 'too many requests' }, 429)
    log.warn('admin refused a caller without the token')
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
        // what is kept of a machine's shape is kept with its image
        if (config !== undefined) await clear('all')
        return {}
      }),
    },
  })
  return app
}

/** Of this process. */
export const clearOwnCache: ClearImages = (image) => forgetImages(image)

/** dstack's rule: nothing, everything, or hexadecimal digits. */
function readKey(text: string): string | undefined {
  if (text === '') return undefined
  if (text === 'all' || /^[0-9a-fA-F]+$/.test(text)) return text.toLowerCase()
  throw new AssentError('KMS_REQUEST_INVALID', 'invalid cache key')
}

/** Bearer, X-Admin-Token, or the token as the password of Basic. */
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
