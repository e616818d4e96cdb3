/**
 * The auth webhook: tells KMS nodes of dstack if a boot is allowed by Assent's contracts.
 *
 * dstack's protocol has no authentication here, so the webhook must run where only the KMS can reach it.
 */
import { createServer } from 'node:http'

import { getRequestListener } from '@hono/node-server'
import { type Context, Hono } from 'hono'

import type { BootAuthorizer, BootQuestion } from '../chain/boot/boot.ts'
import { AssentError, isAssentError } from '../errors/index.ts'
import { toHex } from '../lib/bytes.ts'
import { type AnsweredRefusal, openIngress, type RefusalResponse } from '../lib/ingress/ingress.ts'
import { type IngressSettings, openLimits } from '../lib/ingress/settings.ts'
import type { Logger } from '../lib/log.ts'
import { createRateLimit } from '../lib/rate-limit.ts'
import { createReadiness } from '../lib/readiness.ts'
import { type AuthMetrics, createAuthMetrics } from './metrics.ts'
import { parseBootRequest } from './request.ts'

/** Dependencies of the auth webhook. */
export interface AuthOptions {
  /** Reads decisions from the chain. */
  readonly chain: BootAuthorizer
  /** Shown in `GET /`, without its path, which may contain credentials. */
  readonly rpcUrl?: string
  /**
   * HTTP status of an outage. dstack's own server answers 200, which a KMS reads as a denial. With 503 a dstack KMS
   * fails with an error instead. Both fail closed.
   */
  readonly outageStatus: 200 | 503
  /** Whether a request that does not name its TEE in any known form counts as one of a TD. */
  readonly acceptMissingTeeVariant: boolean
  /** Limit for one client address. */
  readonly requestsPerMinute: number
  /** Ingress limits; defaults if absent. */
  readonly limits?: IngressSettings
  /** Gets each request and its decision. */
  readonly log: Logger
}

/** An auth webhook that listens. */
export interface RunningAuth {
  /** `http://host:port` */
  readonly url: string
  /** Metrics of this process. */
  readonly metrics: AuthMetrics
  /** Waits up to 5 s for running requests, then closes all connections. */
  stop(): Promise<void>
}

const supportedVariant = 'dstack-tdx'
const unavailable = 'authorization backend unavailable'
/** Bytes, as in dstack's own server: older KMS nodes send an event log. */
const maxBody = 1024 * 1024
const stopAfterMs = 5_000

/**
 * Serves until `stop`.
 *
 * @throws the system's error if the port is in use
 */
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
    maxBodyBytes: ({ method }) => (method === 'POST' ? maxBody : 0),
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

/** The webhook without a port: `/bootAuth/app`, `/bootAuth/kms`, `/`, `/health`, `/metrics`. */
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
  app.post('/bootAuth/app', (context) => answerQuestion(context, 'isAppAllowed', options, metrics))
  app.post('/bootAuth/kms', (context) => answerQuestion(context, 'isKmsAllowed', options, metrics))
  app.notFound((context) => context.json({ status: 'error', message: 'not found' }, 404))
  app.onError((error, context) => {
    options.log.error({ err: error }, 'a request failed unexpectedly')
    return context.json({ status: 'error', message: unavailable }, 500)
  })
  return app
}

/** Answers one question. Outages and denials are different answers, log lines and metrics. */
async function answerQuestion(
  context: Context,
  question: BootQuestion,
  options: AuthOptions,
  metrics: AuthMetrics,
): Promise<Response> {
  const { log } = options
  const subject = question === 'isAppAllowed' ? 'app' : 'kms'
  try {
    const decision = await evaluate(await context.req.text(), question, options, metrics)
    const outcome = decision.isAllowed ? 'allowed' : 'denied'
    metrics.count(subject, outcome)
    context.header('x-assent-outcome', outcome)
    return context.json(decision, 200)
  } catch (error) {
    if (isAssentError(error, 'INPUT_INVALID')) {
      metrics.count(subject, 'invalid')
      log.info({ subject, outcome: 'invalid', err: error }, 'invalid boot request')
      return refuseInput(context)
    }
    const outage = toOutage(error)
    metrics.count(subject, 'outage')
    metrics.countOutage(outage.code)
    log.error({ subject, outcome: 'outage', err: outage }, 'outage')
    context.header('x-assent-outcome', 'outage')
    context.header('x-assent-error', outage.code)
    const body = { isAllowed: false, gatewayAppId: '', reason: unavailable }
    return context.json(body, options.outageStatus)
  }
}

/** dstack's answer. */
interface WebhookResponse {
  readonly isAllowed: boolean
  readonly reason: string
  readonly gatewayAppId: string
}

/** @throws INPUT_INVALID, CHAIN_* */
async function evaluate(
  body: string,
  question: BootQuestion,
  options: AuthOptions,
  metrics: AuthMetrics,
): Promise<WebhookResponse> {
  const { chain, log } = options
  const { teeVariant, boot } = parseBootRequest(body)
  const fields = { question, appId: toHex(boot.appId), composeHash: toHex(boot.composeHash) }
  if (!acceptsVariant(teeVariant, options)) {
    const reason = 'TEE variant is not supported'
    log.warn({ ...fields, outcome: 'denied', reason, teeVariant }, 'boot denied')
    return { isAllowed: false, reason, gatewayAppId: '' }
  }
  const { allowed, reason, gatewayAppId, block } = await chain.authorize(question, boot)
  metrics.setBlock(block)
  const line = { ...fields, reason, block: String(block.number) }
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

/** `GET /`: facts about contract and chain, in dstack's form. */
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

/** A refusal of the ingress limits, in dstack's form. */
function explain(refusal: AnsweredRefusal): RefusalResponse {
  const headers = { 'content-type': 'application/json', 'x-assent-outcome': 'invalid' }
  if (refusal === 'too-large' || refusal === 'target') {
    return { status: 400, headers, body: JSON.stringify(invalidRequest) }
  }
  const body = JSON.stringify({ status: 'error', message: 'too many requests' })
  return { status: 429, headers: { 'content-type': 'application/json' }, body }
}
