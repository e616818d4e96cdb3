/** The KMS as one TLS server: its certificates, who its callers are, start and stop. */
import { constants, createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'

import { getRequestListener } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { Registry } from 'prom-client'

import type { BootAuthorizer } from '../chain/boot.ts'
import { toHex } from '../lib/bytes.ts'
import { clientAddressOf, type ListenOptions, openIngress } from '../lib/ingress/ingress.ts'
import { type IngressLimits, type IngressSettings, openLimits } from '../lib/ingress/settings.ts'
import type { Logger } from '../lib/log.ts'
import { createReadiness, type Readiness } from '../lib/readiness.ts'
import type { QuoteSource } from '../tee/source.ts'
import type { AuthorizeBoot } from './authorization/authorize.ts'
import { createSelfAuthorizer, type SelfAuthorizer } from './authorization/self-authorization.ts'
import { type EvidenceRules, verifyAttestation } from './authorization/verify-attestation.ts'
import { toPem } from './certificates/certificate.ts'
import { type Credentials, issueCredentials } from './certificates/credentials.ts'
import { readBoundAttestation, requireSelfIssued } from './certificates/ratls.ts'
import { createAppKeyring } from './keys/app-keys.ts'
import { encodeSpki, k256PublicKey } from './keys/derive.ts'
import type { KmsSecrets } from './keys/key-store.ts'
import type { NodeLog } from './log/node-log.ts'
import {
  createDecisionRecorder,
  type DecisionRecorder,
  insecureNoRecorder,
} from './log/record-decision.ts'
import { mountLog } from './log/routes.ts'
import { createKmsMetrics, type KmsMetrics } from './metrics.ts'
import {
  createRates,
  explain,
  isCountedByQuote,
  longestBodyOf,
  type Rates,
} from './rpc/caller-limits.ts'
import type { Caller } from './rpc/context.ts'
import { withVerdictContext } from './rpc/error-context.ts'
import type { BootstrapResponse } from './rpc/kms_pb.ts'
import { type FailedCall, mountPrpc, type ObservedCall } from './rpc/prpc.ts'
import { outcomeOf } from './rpc/request-outcome.ts'
import { kmsMethods } from './rpc/routes.ts'

export interface KmsOptions {
  readonly keys: KmsSecrets
  /** Name in the server's certificate. */
  readonly domain: string
  readonly chain: BootAuthorizer
  /** Asked instead of `chain`. */
  readonly ask?: AuthorizeBoot
  readonly rules: EvidenceRules
  /** Where this KMS's own quotes come from. */
  readonly source: QuoteSource
  readonly selfAuthorization: 'required' | 'insecure-off'
  readonly insecureAllowAnyGateway: boolean
  /** Where every decision is written down before it leaves. */
  readonly releaseLog: NodeLog | 'insecure-off'
  /** Whether anyone may read the log's entries, or only its head and digests. */
  readonly logEntries?: 'public' | 'closed'
  /** Made anew where there are none. */
  readonly credentials?: Credentials
  /** What `/metrics` shows; this process's own metrics where nothing is stated. */
  readonly exposition?: (own: Registry) => Promise<string>
  readonly bootstrapInfo?: Pick<BootstrapResponse, 'caPubkey' | 'k256Pubkey' | 'attestation'>
  readonly log: Logger
  readonly limits: KmsLimits
}

export interface KmsLimits extends IngressSettings {
  /** Of one address, or of one guest whose quote was verified. */
  readonly requestsPerMinute: number
  /** Processes that share the port, each with its part of every limit; 1 if absent. */
  readonly workers?: number
}

export interface Kms {
  readonly app: Hono
  readonly rates: Rates
  readonly ingressLimits: IngressLimits
  readonly tls: ServerOptions
  readonly rootCertificate: Uint8Array
  /** SubjectPublicKeyInfo of the root CA: the KMS's identity. */
  readonly caPublicKey: Uint8Array
  readonly k256PublicKey: Uint8Array
  readonly metrics: KmsMetrics
  readonly recorder: DecisionRecorder
}

export interface RunningKms extends Kms {
  readonly url: string
  /** Lets running requests finish, then closes every connection. */
  stop(): Promise<void>
}

export const version = '0.1.0'
const stopAfterMs = 10_000
/** Scrapers come every few seconds; others cause no work. */
const metricsWorthMs = 500
/** How often denials that are only counted are written down. */
const settleMs = 60_000
/** How long a verified certificate counts on its own connection. */
const proofSeconds = 60

/** Makes the service without a port. @throws what keeps it from attesting itself */
export async function createKms(options: KmsOptions): Promise<Kms> {
  const { keys, rules, chain } = options
  const credentials =
    options.credentials ?? (await issueCredentials({ ...options, clock: rules.clock }))
  const { rootCertificate, tempCertificate } = credentials
  const metrics = createKmsMetrics()
  chain.watch?.(metrics.recordChainEvent)
  const ask = options.ask ?? chain.authorize
  const { recorder, lastFailure } = openRecorder(options, metrics)
  const appKeys = createAppKeyring(keys)
  const self =
    options.selfAuthorization === 'required'
      ? createSelfAuthorizer(options.source, rules, ask)
      : 'insecure-off'
  const methods = kmsMethods({
    ...options,
    appKeys,
    rootPem: toPem(rootCertificate),
    rootCertificate,
    tempCertificate,
    ask,
    facts: chain.facts,
    newestEpoch: async (appId) => chain.newestEpoch?.(appId),
    self,
    bootstrapInfo: options.bootstrapInfo,
    recorder,
    approved: ({ block }) => metrics.setBlock(block),
    clock: rules.clock,
  })
  const { limits } = options
  const { requestsPerMinute, workers = 1 } = limits
  const ingressLimits = openLimits(limits, workers)
  const rates = createRates(Math.ceil(requestsPerMinute / workers), ingressLimits)
  const health = createReadiness({
    check: () => requireReady(options, self, recorder, lastFailure),
  })
  const app = createApp(options, metrics, health)
  const callers = createCallerVerifier(rules, metrics)
  app.use('/prpc/*', limitAttestedCallers(callers, rates, metrics))
  mountPrpc(app, {
    prefix: 'KMS',
    methods,
    caller: callers,
    failing: (call) => refuse(recorder, call),
    observe: (call) => report(options.log, metrics, call),
  })
  if (options.releaseLog !== 'insecure-off') {
    mountLog(app, options.releaseLog, options.logEntries ?? 'closed')
  }
  return {
    app,
    rates,
    ingressLimits,
    tls: tlsOptions(credentials),
    rootCertificate,
    caPublicKey: encodeSpki(keys.ca),
    k256PublicKey: k256PublicKey(keys.k256),
    metrics,
    recorder,
  }
}

/** Serves until `stop`. */
export async function startKms(options: KmsOptions & ListenOptions): Promise<RunningKms> {
  const kms = await createKms(options)
  const server = createServer(kms.tls)
  const ingress = openIngress(server, getRequestListener(kms.app.fetch), {
    limits: kms.ingressLimits,
    proxied: 'proxy-protocol',
    longestBody: longestBodyOf,
    waitFor: kms.rates.ofAddress,
    explain,
    observe: (refusal, client) => {
      kms.metrics.countRefusal(refusal)
      options.log.debug({ refusal, client }, 'request limited')
    },
  })
  // a peer's broken handshake is its own affair
  server.on('tlsClientError', (error) => options.log.debug({ err: error }, 'TLS handshake failed'))
  const url = `https://${await ingress.listen(options)}`
  options.log.info({ url, caPublicKey: toHex(kms.caPublicKey) }, 'KMS serves')
  const settling = setInterval(() => void settle(kms.recorder, options.log), settleMs).unref()
  return {
    ...kms,
    url,
    stop: async () => {
      clearInterval(settling)
      await ingress.stop(stopAfterMs)
      options.log.info('KMS stopped')
      await settle(kms.recorder, options.log)
    },
  }
}

async function settle(recorder: DecisionRecorder, log: Logger): Promise<void> {
  try {
    await recorder.settle()
  } catch (error) {
    log.error({ err: error }, 'the number of denials could not be written down')
  }
}

function createApp(
  options: KmsOptions,
  metrics: KmsMetrics,
  health: () => Promise<Readiness>,
): Hono {
  const { log, exposition = (own: Registry) => own.metrics() } = options
  const metricsText = cacheFor(metricsWorthMs, () => exposition(metrics.registry))
  const app = new Hono()
  app.use(async (context, next) => {
    context.header('x-app-version', version)
    context.header('cache-control', 'no-store')
    await next()
  })
  app.get('/health', async (context) => {
    const { status, text } = await health()
    return context.text(text, status)
  })
  app.get('/metrics', async (context) =>
    context.body(await metricsText(), 200, {
      'content-type': metrics.registry.contentType,
    }),
  )
  app.notFound((context) => context.json({ error: 'not found' }, 404))
  app.onError((error, context) => {
    log.error({ err: error }, 'a request failed in a way that nobody foresaw')
    return context.json({ error: 'internal error' }, 400, { 'x-assent-error': 'UNEXPECTED' })
  })
  return app
}

/** Whatever keeps every release from being made. @throws KMS_SELF_DENIED, KMS_LOG_*, CHAIN_*, PCCS_*, TEE_* */
async function requireReady(
  { chain, ask }: KmsOptions,
  self: SelfAuthorizer | 'insecure-off',
  recorder: DecisionRecorder,
  lastFailure: () => unknown,
): Promise<void> {
  recorder.requireReleasable()
  const standing = self === 'insecure-off' ? undefined : await self.authorize()
  if (standing === undefined && ask === undefined) await chain.facts()
  // the disk may have room again: writing is how to find out
  if (standing && lastFailure() !== undefined) await recorder.recordSelf(standing)
  if (lastFailure() !== undefined) throw lastFailure()
}

/** One answer for all who ask within that time. */
function cacheFor<T>(ms: number, find: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly found: Promise<T> } | undefined
  return () => {
    const at = performance.now()
    if (last === undefined || at - last.at > ms) last = { at, found: find() }
    return last.found
  }
}

/** Those that the door let pass because they bring a certificate. */
function limitAttestedCallers(callers: CallerVerifier, rates: Rates, metrics: KmsMetrics) {
  return createMiddleware(async (context, next) => {
    const incoming = incomingOf(context)
    if (incoming === undefined || !isCountedByQuote(incoming)) return next()
    const { client } = clientAddressOf(incoming)
    const caller = await callers(context).catch(() => undefined)
    const seconds = rates.ofCaller(client, caller?.proven)
    if (seconds === 0) return next()
    metrics.countRefusal('too-often')
    const { body, status, headers } = explain('too-often')
    return context.body(body, status as 429, { ...headers, 'retry-after': String(seconds) })
  })
}

/** With the recorder, what the last entry failed with, if it did. */
function openRecorder({ releaseLog, rules }: KmsOptions, metrics: KmsMetrics) {
  if (releaseLog === 'insecure-off') {
    return { recorder: insecureNoRecorder, lastFailure: () => undefined }
  }
  metrics.watchLog(() => releaseLog.status())
  let failure: unknown
  const append: NodeLog['append'] = async (entry, evidence) => {
    try {
      await releaseLog.append(entry, evidence)
      failure = undefined
    } catch (error) {
      failure = error
      throw error
    }
  }
  const sink = { append, requireReleasable: releaseLog.requireReleasable }
  return { recorder: createDecisionRecorder(sink, rules.clock), lastFailure: () => failure }
}

/** A denial is a decision too; what could not be decided, or was no proper request, is none. */
async function refuse(recorder: DecisionRecorder, { method, caller, error }: FailedCall<Caller>) {
  if (outcomeOf(error) === 'denied') await recorder.refuse({ method, error, boot: caller?.boot })
}

function tlsOptions(credentials: Credentials): ServerOptions {
  return {
    key: credentials.serverKey,
    cert: credentials.serverCertificate,
    ca: toPem(credentials.tempCertificate),
    requestCert: true,
    // a client may vouch for itself, and a wrong certificate gets an answer that says so: see `createCallerVerifier`
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    // a ticket would carry the guest's certificate with its quote, and nothing is resumed
    secureOptions: constants.SSL_OP_NO_TICKET,
    keepAliveTimeout: 5_000,
  }
}

type PendingVerification = Promise<Caller['proven']>

interface KnownProof {
  readonly proof: PendingVerification
  readonly provedAt: number
}

type CallerVerifier = (context: Context) => Promise<Caller>

/** Verifies a connection's certificate, and again after a while, so that no connection outlives a revocation. */
function createCallerVerifier(rules: EvidenceRules, metrics: KmsMetrics): CallerVerifier {
  const known = new WeakMap<TLSSocket, KnownProof>()
  const prove = (socket: TLSSocket): PendingVerification => {
    const current = known.get(socket)
    if (current && rules.clock() - current.provedAt <= proofSeconds) return current.proof
    const proof = verifyCaller(socket, rules)
    known.set(socket, { proof, provedAt: rules.clock() })
    // an outage must not stick to the connection
    proof.catch(() => known.delete(socket))
    return proof
  }
  const identify = async (context: Context): Promise<Caller> => {
    const socket = socketOf(context)
    const proven = socket && (await prove(socket))
    const caller = { address: addressOf(context), proven, notes: {} }
    if (proven === undefined) return caller
    metrics.setCollateralExpiry(proven.verdict.expiresAt)
    const quoteDigest = createHash('sha256').update(proven.attestation.quote).digest('hex')
    return { ...caller, notes: { quoteDigest } }
  }
  // counting a request and answering it are about the same caller
  const identified = new WeakMap<object, Promise<Caller>>()
  return (context) => {
    const request = incomingOf(context) ?? context
    const caller = identified.get(request) ?? identify(context)
    identified.set(request, caller)
    return caller
  }
}

async function verifyCaller(socket: TLSSocket, rules: EvidenceRules): PendingVerification {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  const der = new Uint8Array(certificate.raw)
  if (!socket.authorized) requireSelfIssued(der, rules.clock(), String(socket.authorizationError))
  return withVerdictContext('invalid quote', async () => {
    const { attestation } = readBoundAttestation(der)
    return attestation && verifyAttestation(attestation, rules)
  })
}

function incomingOf(context: Context): IncomingMessage | undefined {
  return (context.env as { incoming?: IncomingMessage } | undefined)?.incoming
}

function socketOf(context: Context): TLSSocket | undefined {
  const socket = incomingOf(context)?.socket
  return socket && 'getPeerX509Certificate' in socket ? (socket as TLSSocket) : undefined
}

function addressOf(context: Context): string {
  const incoming = incomingOf(context)
  return incoming === undefined ? 'in-process' : clientAddressOf(incoming).address
}

/** One line a request; an outage is an error of ours, a denial is news about the peer. */
function report(log: Logger, metrics: KmsMetrics, call: ObservedCall<Caller>): void {
  const { method, seconds, error, caller } = call
  const outcome = metrics.observe({ method, seconds, error })
  const ms = Math.round(seconds * 1000)
  const line = { method, outcome, ms, peer: caller?.address, ...caller?.notes }
  if (error === undefined) log.info(line, 'answered')
  else if (outcome === 'outage') log.error({ ...line, err: error }, 'could not decide')
  else if (outcome === 'denied') log.warn({ ...line, err: error }, 'denied')
  else log.info({ ...line, err: error }, 'bad request')
}
