/**
 * dstack's boot authorization webhook over Assent's contracts, for KMS nodes that are not Assent's.
 *
 * Nothing in this exchange is authenticated: it must run where only the KMS can reach it.
 */
import { createServer } from 'node:http'

import { getRequestListener } from '@hono/node-server'
import { type Context, Hono } from 'hono'

import type { BootAuthorizer, BootQuestion } from '../chain/boot.ts'
import { AssentError, isAssentError } from '../errors/index.ts'
import { toHex } from '../lib/bytes.ts'
import { type AnsweredRefusal, openIngress, type RefusalResponse } from '../lib/ingress/ingress.ts'
import { type IngressSettings, openLimits } from '../lib/ingress/settings.ts'
import type { Logger } from '../lib/log.ts'
import { createRateLimit } from '../lib/rate-limit.ts'
import { createReadiness } from '../lib/readiness.ts'
import { type AuthMetrics, createAuthMetrics } from './metrics.ts'
import { parseBootRequest } from './request.ts'

export interface AuthOptions {
  readonly chain: BootAuthorizer
  /** Named in `GET /`: protocol and host of each endpoint, since paths often hold credentials. */
  readonly rpcUrl?: string
  /**
   * Status of an answer when nothing could be decided. dstack's own server says 200, which reads as a
   * denial; with 503 a dstack KMS fails with an error instead, as closed as before.
   */
  readonly outageStatus: 200 | 503
  /** Whether a body that tells its TEE in none of dstack's forms is of a TD. */
  readonly acceptMissingTeeVariant: boolean
  /** Of one address. */
  readonly requestsPerMinute: number
  /** Of connections and requests; defaults where absent. */
  readonly limits?: IngressSettings
  readonly log: Logger
}

export interface RunningAuth {
  readonly url: string
  readonly metrics: AuthMetrics
  stop(): Promise<void>
}

const supportedVariant = 'dstack-tdx'
const unavailable = 'authorization backend unavailable'
/** What dstack's own server takes; old KMS nodes post their event log. */
const maxBody = 1024 * 1024
const stopAfterMs = 5_000

/** Serves until `stop`. Port 0 lets the system choose. */
export async function startAuth(
  options: AuthOptions & { readonly host: string; readonly port: number },
): Promise<RunningAuth> {
  const metrics = createAuthMetrics()
  const limits = openLimits(options.limits ?? {})
  const waitFor = createRateLimit({ perMinute: options.requestsPerMinute })
  const server = createServer({ keepAliveTimeout: 5_000 })
  const ingress = openIngress(server, getRequestListener(createAuth(options, metrics).fetch), {
    limits,
    proxied: 'x-forwarded-for',
    longestBody: ({ method }) => (method === 'POST' ? maxBody : 0),
    waitFor: (client) => (limits.isShared(client) ? 0 : waitFor(client)),
    explain,
    observe: (refusal, client) => options.log.debug({ refusal, client }, 'request limited'),
  })
  const url = `http://${await ingress.listen(options)}`
  options.log.info({ url, kms: options.chain.kms }, 'auth webhook serves')
  const stop = async () => {
    await ingress.stop(stopAfterMs)
    options.log.info('auth webhook stopped')
  }
  return { url, metrics, stop }
}

/** The webhook without a port. */
export function createAuth(options: AuthOptions, metrics: AuthMetrics = createAuthMetrics()): Hono {
  const app = new Hono()
  options.chain.watch?.(metrics.recordChainEvent)
  const health = createReadiness({ check: () => options.chain.facts() })
  app.get('/health', async (context) => {
    const { status, text } = await health()
    return context.text(text, status)
  })
  app.get('/metrics', async (context) =>
    context.body(await metrics.registry.metrics(), 200, {
      'content-type': metrics.registry.contentType,
    }),
  )
  app.get('/', (context) => describe(context, options))
  app.post('/bootAuth/app', (context) => decide(context, 'isAppAllowed', options, metrics))
  app.post('/bootAuth/kms', (context) => decide(context, 'isKmsAllowed', options, metrics))
  app.notFound((context) => context.json({ status: 'error', message: 'not found' }, 404))
  app.onError((error, context) => {
    options.log.error({ err: error }, 'a request failed unexpectedly')
    return context.json({ status: 'error', message: unavailable }, 500)
  })
  return app
}

async function decide(
  context: Context,
  question: BootQuestion,
  options: AuthOptions,
  metrics: AuthMetrics,
): Promise<Response> {
  const { log } = options
  const subject = question === 'isAppAllowed' ? 'app' : 'kms'
  try {
    const decision = await judge(await context.req.text(), question, options, metrics)
    const outcome = decision.isAllowed ? 'allowed' : 'denied'
    metrics.count(subject, outcome)
    context.header('x-assent-outcome', outcome)
    return context.json(decision, 200)
  } catch (error) {
    if (isAssentError(error, 'INPUT_INVALID')) {
      metrics.count(subject, 'invalid')
      log.info({ subject, outcome: 'invalid', err: error }, 'bad boot request')
      return refuseInput(context)
    }
    const outage = toOutage(error)
    metrics.count(subject, 'outage')
    metrics.countOutage(outage.code)
    log.error({ subject, outcome: 'outage', err: outage }, 'could not decide')
    context.header('x-assent-outcome', 'outage')
    context.header('x-assent-error', outage.code)
    const body = { isAllowed: false, gatewayAppId: '', reason: unavailable }
    return context.json(body, options.outageStatus)
  }
}

interface WebhookResponse {
  readonly isAllowed: boolean
  readonly reason: string
  readonly gatewayAppId: string
}

async function judge(
  body: string,
  question: BootQuestion,
  options: AuthOptions,
  metrics: AuthMetrics,
): Promise<WebhookResponse> {
  const { chain, log } = options
  const { teeVariant, boot } = parseBootRequest(body)
  const seen = { question, appId: toHex(boot.appId), composeHash: toHex(boot.composeHash) }
  if (!acceptsVariant(teeVariant, options)) {
    const reason = 'TEE variant is not supported'
    log.warn({ ...seen, outcome: 'denied', reason, teeVariant }, 'boot denied')
    return { isAllowed: false, reason, gatewayAppId: '' }
  }
  const { allowed, reason, gatewayAppId, block } = await chain.authorize(question, boot)
  metrics.setBlock(block)
  const line = { ...seen, reason, block: String(block.number) }
  if (allowed) log.info({ ...line, outcome: 'allowed' }, 'boot allowed')
  else log.warn({ ...line, outcome: 'denied' }, 'boot denied')
  return { isAllowed: allowed, reason, gatewayAppId }
}

function refuseInput(context: Context): Response {
  context.header('x-assent-outcome', 'invalid')
  return context.json(invalidRequest, 400)
}

const invalidRequest = {
  isAllowed: false,
  reason: 'invalid authorization request',
  gatewayAppId: '',
}

function acceptsVariant(
  variant: string | undefined,
  { acceptMissingTeeVariant }: AuthOptions,
): boolean {
  return variant === undefined ? acceptMissingTeeVariant : variant === supportedVariant
}

async function describe(context: Context, options: AuthOptions): Promise<Response> {
  const { chain, log, rpcUrl } = options
  try {
    const { gatewayAppId, appImplementation } = await chain.facts()
    return context.json({
      status: 'ok',
      kmsContractAddr: chain.kms,
      ethRpcUrl: withoutSecrets(rpcUrl),
      gatewayAppId,
      chainId: chain.chainId,
      appAuthImplementation: appImplementation,
      appImplementation,
    })
  } catch (error) {
    const outage = toOutage(error)
    log.error({ outcome: 'outage', err: outage }, 'could not read the contract')
    context.header('x-assent-error', outage.code)
    return context.json({ status: 'error', message: unavailable }, 500)
  }
}

function withoutSecrets(url: string | undefined): string {
  if (url === undefined || !URL.canParse(url)) return 'configured'
  const { protocol, host } = new URL(url)
  return `${protocol}//${host}`
}

function toOutage(error: unknown): AssentError {
  if (isAssentError(error)) return error
  return new AssentError('UNEXPECTED', 'The webhook failed on this request.', { cause: error })
}

/** In dstack's form, so that a KMS reads a refusal as what it is. */
function explain(refusal: AnsweredRefusal): RefusalResponse {
  const headers = { 'content-type': 'application/json', 'x-assent-outcome': 'invalid' }
  if (refusal === 'too-large') {
    return { status: 400, headers, body: JSON.stringify(invalidRequest) }
  }
  const body = JSON.stringify({ status: 'error', message: 'too many requests' })
  return { status: 429, headers: { 'content-type': 'application/json' }, body }
}
