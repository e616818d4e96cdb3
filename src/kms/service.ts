/** The KMS as a TLS server: routes, verification of callers, limits, health, metrics, start and stop. */
import { constants, createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'

import { getRequestListener } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { Registry } from 'prom-client'

import type { BootAuthorizer } from '../chain/boot/boot.ts'
import { refuseClockBehind } from '../chain/heartbeat/clock-floor.ts'
import { toHex } from '../lib/bytes.ts'
import { clientAddressOf, type ListenOptions, openIngress } from '../lib/ingress/ingress.ts'
import { type IngressLimits, type IngressSettings, openLimits } from '../lib/ingress/settings.ts'
import type { Logger } from '../lib/log.ts'
import { createReadiness, type Readiness } from '../lib/readiness.ts'
import type { QuoteSource } from '../tee/source.ts'
import type { AuthorizeBoot } from './authorization/authorize.ts'
import { createSelfAuthorizer, type SelfAuthorizer } from './authorization/self-authorization.ts'
import { type AttestationRules, verifyQuote } from './authorization/verify-attestation.ts'
import { readCertificate, toPem } from './certificates/certificate.ts'
import { type Credentials, issueCredentials } from './certificates/credentials.ts'
import {
  readAttestation,
  readBoundQuote,
  requireBound,
  requireSelfIssued,
} from './certificates/ratls.ts'
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
  isCountedByQuote,
  limitResponse,
  maxBodyBytes,
  type Rates,
} from './rpc/caller-limits.ts'
import { type Caller, requireGateway } from './rpc/context.ts'
import { withVerdictContext } from './rpc/error-context.ts'
import type { BootstrapResponse } from './rpc/kms_pb.ts'
import { type FailedCall, mountPrpc, type ObservedCall } from './rpc/prpc.ts'
import { isOutage, outcomeOf } from './rpc/request-outcome.ts'
import { kmsMethods } from './rpc/routes.ts'

/** Everything that a KMS needs; `main.ts` builds it from the settings. */
export interface KmsOptions {
  /** Root keys. The caller overwrites them after `stop`. */
  readonly keys: KmsSecrets
  /** Host name or address in the server certificate. */
  readonly domain: string
  /** Names of other nodes with the same root keys. No app gets a certificate for them. Default: none. */
  readonly reservedNames?: readonly string[]
  /** Reads decisions from the chain. */
  readonly chain: BootAuthorizer
  /** Replaces `chain.authorize`. */
  readonly authorizeBoot?: AuthorizeBoot
  /** Rules for quotes of callers. */
  readonly rules: AttestationRules
  /** Gives quotes of this KMS. */
  readonly source: QuoteSource
  /** `required`: every release first asks the chain if this node may serve. `insecure-off`: for tests and demos. */
  readonly selfAuthorization: 'required' | 'insecure-off'
  /** Accepts the gateway id `any`, with which guests accept every peer as the gateway. */
  readonly insecureAllowAnyGateway: boolean
  /** Every decision is written here before it is sent. */
  readonly releaseLog: NodeLog | 'insecure-off'
  /** `public`: anyone may read entries. Default `private`: head and digests only. */
  readonly logEntries?: 'public' | 'private'
  /** Default: issued at start. Workers get those of their node. */
  readonly credentials?: Credentials
  /** Text for `/metrics`; default: the metrics of this process. */
  readonly metricsText?: (own: Registry) => Promise<string>
  /** Public root keys and the quote over them, for `GetMeta`; only the node that created the root keys has them. */
  readonly bootstrapInfo?: Pick<BootstrapResponse, 'caPubkey' | 'k256Pubkey' | 'attestation'>
  /** Service log. It never contains keys, quotes or tokens. */
  readonly log: Logger
  /** Limits for connections and requests. */
  readonly limits: KmsLimits
  /** A monotonic clock in milliseconds; replaced in tests only. */
  readonly now?: () => number
}

/** Limits of one node. A worker gets its share of each. */
export interface KmsLimits extends IngressSettings {
  /** For one address, or for one guest with a verified quote. */
  readonly requestsPerMinute: number
  /** Processes on the same port; each gets its share of every limit. Default 1. */
  readonly workers?: number
}

/** Routes, limits and certificates of a KMS that does not listen yet. */
export interface Kms {
  /** HTTP routes; a test can call them without a port. */
  readonly app: Hono
  /** Request rates by address and by caller. */
  readonly rates: Rates
  /** Limits for connections, before a request is parsed. */
  readonly ingressLimits: IngressLimits
  /** Options for `https.createServer`: mutual TLS, client certificate optional. */
  readonly tls: ServerOptions
  /** DER. */
  readonly rootCertificate: Uint8Array
  /** Root CA key, SubjectPublicKeyInfo in DER: the identity of the KMS. */
  readonly caPublicKey: Uint8Array
  /** Root key for app keys, compressed secp256k1. */
  readonly k256PublicKey: Uint8Array
  /** Metrics of this process. */
  readonly metrics: KmsMetrics
  /** Writes decisions into the release log. */
  readonly recorder: DecisionRecorder
}

/** A KMS that listens. */
export interface RunningKms extends Kms {
  /** `https://host:port` */
  readonly url: string
  /** Waits up to 10 s for running requests, then closes all connections. */
  stop(): Promise<void>
}

/** Version in `GetMeta` and in the release log. */
export const version = '0.1.0'
const stopAfterMs = 10_000
/** `/metrics` is collected at most once in this time, because anyone can request it. */
const metricsCacheMs = 500
/** Time between two writes of the counts of denials without a quote. */
const denialCountsMs = 60_000
/** Handshakes that one client may make for each request of its rate. */
const handshakesPerRequest = 5
/** A client certificate is verified again on its connection after this time. */
const verifiedMs = 60_000

/**
 * Creates the service without a port: credentials, methods, limits, metrics and release log.
 *
 * @throws TEE_* if this KMS cannot get a quote
 * @example
 * const { app } = await createKms(options)
 * const answer = await app.request('/prpc/KMS.GetMeta?json')
 */
export async function createKms(options: KmsOptions): Promise<Kms> {
  const { keys, chain } = options
  const rules = { ...options.rules, clock: refuseClockBehind(options.rules.clock, chain) }
  const credentials =
    options.credentials ?? (await issueCredentials({ ...options, clock: rules.clock }))
  const metrics = createKmsMetrics()
  chain.watch?.(metrics.recordChainEvent)
  const authorizeBoot = options.authorizeBoot ?? chain.authorize
  const { recorder, lastFailure } = openRecorder(options, metrics)
  const self =
    options.selfAuthorization === 'required'
      ? createSelfAuthorizer(options.source, rules, authorizeBoot)
      : 'insecure-off'
  const { requestsPerMinute, workers = 1 } = options.limits
  const ingressLimits = openLimits(options.limits, workers)
  const rates = createRates(requestsPerMinute, ingressLimits, workers)
  const methods = createMethods(options, {
    rules,
    credentials,
    authorizeBoot,
    self,
    recorder,
    rates,
    metrics,
  })
  const health = createReadiness({
    check: () => requireReady(options, self, recorder, lastFailure),
  })
  const app = createApp(options, metrics, health)
  const callers = createCallerVerifier(rules, options.now ?? (() => performance.now()), metrics)
  app.use('/prpc/*', limitAttestedCallers(callers, rates, metrics))
  mountPrpc(app, {
    prefix: 'KMS',
    methods,
    caller: callers.identify,
    onFailure: (call) => recordDenial(recorder, call),
    observe: (call) => logCall(options.log, metrics, call),
  })
  if (options.releaseLog !== 'insecure-off') {
    mountLog(app, options.releaseLog, options.logEntries ?? 'private')
  }
  return {
    app,
    rates,
    ingressLimits,
    tls: tlsOptions(credentials),
    rootCertificate: credentials.rootCertificate,
    caPublicKey: encodeSpki(keys.ca),
    k256PublicKey: k256PublicKey(keys.k256),
    metrics,
    recorder,
  }
}

/** Parts of a KMS that the methods use. */
interface KmsParts {
  readonly rules: AttestationRules
  readonly credentials: Credentials
  readonly authorizeBoot: AuthorizeBoot
  readonly self: SelfAuthorizer | 'insecure-off'
  readonly recorder: DecisionRecorder
  readonly rates: Rates
  readonly metrics: KmsMetrics
}

function createMethods(
  { keys, chain, domain, reservedNames = [], ...options }: KmsOptions,
  { rules, credentials, authorizeBoot, self, recorder, rates, metrics }: KmsParts,
): ReturnType<typeof kmsMethods> {
  const { rootCertificate, tempCertificate } = credentials
  return kmsMethods({
    keys,
    rules,
    chain,
    insecureAllowAnyGateway: options.insecureAllowAnyGateway,
    kmsNames: [domain, ...reservedNames],
    appKeys: createAppKeyring(keys),
    rootPem: toPem(rootCertificate),
    rootCertificate,
    tempCertificate,
    authorizeBoot,
    chainFacts: chain.facts,
    newestEpoch: async (appId, beforeRequest) => chain.newestEpoch?.(appId, beforeRequest),
    ofChainRequest: rates.ofChainRequest,
    self,
    bootstrapInfo: options.bootstrapInfo,
    recorder,
    onAllowedBoot: ({ block }) => metrics.setBlock(block),
    clock: rules.clock,
  })
}

/**
 * Serves over TLS until `stop`.
 *
 * @throws TEE_*, and the system's error if the port is in use
 */
export async function startKms(options: KmsOptions & ListenOptions): Promise<RunningKms> {
  const kms = await createKms(options)
  const server = createServer(kms.tls)
  const ingress = openIngress(server, getRequestListener(kms.app.fetch), {
    limits: kms.ingressLimits,
    proxied: 'proxy-protocol',
    maxBodyBytes,
    waitFor: kms.rates.ofAddress,
    handshakesPerMinute: handshakesPerRequest * options.limits.requestsPerMinute,
    explain: limitResponse,
    observe: (refusal, client) => {
      kms.metrics.countLimited(refusal)
      options.log.debug({ refusal, client }, 'request limited')
    },
  })
  // a failed handshake concerns only its client
  server.on('tlsClientError', (error) => options.log.debug({ err: error }, 'TLS handshake failed'))
  const url = `https://${await ingress.listen(options)}`
  options.log.info({ url, caPublicKey: toHex(kms.caPublicKey) }, 'KMS serves')
  const countsTimer = setInterval(
    () => void writeDenialCounts(kms.recorder, options.log),
    denialCountsMs,
  ).unref()
  return {
    ...kms,
    url,
    stop: async () => {
      clearInterval(countsTimer)
      await ingress.stop(stopAfterMs)
      options.log.info('KMS stopped')
      await writeDenialCounts(kms.recorder, options.log)
    },
  }
}

/**
 * Writes the counted denials of callers without a quote into the release log. A failure is reported and not thrown: it
 * concerns no waiting request.
 */
async function writeDenialCounts(recorder: DecisionRecorder, log: Logger): Promise<void> {
  try {
    await recorder.writeDenialCounts()
  } catch (error) {
    log.error({ err: error }, 'the counts of denials could not be logged')
  }
}

function createApp(
  options: KmsOptions,
  metrics: KmsMetrics,
  health: () => Promise<Readiness>,
): Hono {
  const { log, metricsText = (own: Registry) => own.metrics() } = options
  const cachedMetrics = cacheFor(metricsCacheMs, () => metricsText(metrics.registry))
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
    context.body(await cachedMetrics(), 200, {
      'content-type': metrics.registry.contentType,
    }),
  )
  app.notFound((context) => context.json({ error: 'not found' }, 404))
  app.onError((error, context) => {
    log.error({ err: error }, 'a request failed unexpectedly')
    return context.json({ error: 'internal error' }, 400, { 'x-assent-error': 'UNEXPECTED' })
  })
  return app
}

/**
 * Readiness: throws the reason if no key could be released now.
 *
 * @throws KMS_SELF_DENIED, KMS_GATEWAY_ANY, KMS_LOG_*, CHAIN_*, PCCS_*, TEE_*
 */
async function requireReady(
  options: KmsOptions,
  self: SelfAuthorizer | 'insecure-off',
  recorder: DecisionRecorder,
  lastFailure: () => unknown,
): Promise<void> {
  recorder.requireReleasable()
  const ownBoot = self === 'insecure-off' ? undefined : await self.authorize()
  if (options.authorizeBoot === undefined) {
    const { gatewayAppId } = await options.chain.facts()
    requireGateway(options, gatewayAppId)
  }
  // after a failed append, an entry is written to find out if the disk works again
  if (ownBoot && lastFailure() !== undefined) await recorder.recordSelf(ownBoot)
  if (lastFailure() !== undefined) throw lastFailure()
}

/** Shares one result among all calls within this time. */
function cacheFor<T>(ms: number, find: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly found: Promise<T> } | undefined
  return () => {
    const at = performance.now()
    if (last === undefined || at - last.at > ms) last = { at, found: find() }
    return last.found
  }
}

/** Rate limit of callers with a client certificate: the ingress let them pass without counting. */
function limitAttestedCallers(callers: CallerVerifier, rates: Rates, metrics: KmsMetrics) {
  /** A failure is answered by the method; here it only counts. */
  const verify = async (context: Context, isNew: boolean) => {
    try {
      return (await callers.identify(context)).verifiedAttestation
    } catch (error) {
      const incoming = incomingOf(context)
      if (isNew && incoming && !isOutage(error)) {
        rates.countFailedVerification(clientAddressOf(incoming).client)
      }
      return undefined
    }
  }
  return createMiddleware(async (context, next) => {
    const incoming = incomingOf(context)
    if (incoming === undefined || !isCountedByQuote(incoming)) return next()
    const { client } = clientAddressOf(incoming)
    const isNew = !callers.isKnown(incoming)
    // seconds to wait; 0: allowed
    const waitForVerification = isNew ? rates.ofVerification(client) : 0
    const seconds = waitForVerification || rates.ofCaller(client, await verify(context, isNew))
    if (seconds === 0) return next()
    metrics.countLimited('too-often')
    const { body, status, headers } = limitResponse('too-often')
    return context.body(body, status as 429, { ...headers, 'retry-after': String(seconds) })
  })
}

/** The recorder, and the error of the last append if it failed. */
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

/** Records denials. Outages and invalid requests are not decisions. */
async function recordDenial(
  recorder: DecisionRecorder,
  { method, caller, error }: FailedCall<Caller>,
): Promise<void> {
  if (outcomeOf(error) !== 'denied') return
  await recorder.recordDenial({ method, error, boot: caller?.boot })
}

/** TLS 1.3 only, with an optional client certificate: its quote decides, so TLS must not reject it. */
function tlsOptions(credentials: Credentials): ServerOptions {
  return {
    key: credentials.serverKey,
    cert: credentials.serverCertificate,
    ca: toPem(credentials.tempCertificate),
    requestCert: true,
    // certificates are checked in `createCallerVerifier`: clients may sign their own, and an invalid one gets an answer
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    // a session ticket would contain the client certificate with its quote; sessions are never resumed
    secureOptions: constants.SSL_OP_NO_TICKET,
    keepAliveTimeout: 5_000,
  }
}

type PendingVerification = Promise<Caller['verifiedAttestation']>

interface KnownVerification {
  readonly verification: PendingVerification
  /** Milliseconds of the monotonic clock. */
  readonly verifiedAt: number
}

interface CallerVerifier {
  /** @throws the reason why the certificate is not valid, or an outage */
  identify(context: Context): Promise<Caller>
  /** Tells if the certificate of this connection was verified within the last minute, successfully or not. */
  isKnown(incoming: IncomingMessage): boolean
}

/**
 * Verifies the certificate of a connection, and again after a minute: an open connection must not outlive a revocation.
 *
 * @param now counts that minute, in milliseconds; monotonic, because the host can set every other clock
 */
function createCallerVerifier(
  rules: AttestationRules,
  now: () => number,
  metrics: KmsMetrics,
): CallerVerifier {
  const known = new WeakMap<object, KnownVerification>()
  const currentVerification = (socket: object) => {
    const current = known.get(socket)
    const isRecent = current && now() - current.verifiedAt <= verifiedMs
    return isRecent ? current.verification : undefined
  }
  const verify = (socket: TLSSocket): PendingVerification => {
    const current = currentVerification(socket)
    if (current) return current
    const verification = verifyCaller(socket, rules)
    known.set(socket, { verification, verifiedAt: now() })
    // the next request on this connection tries again after an outage
    verification.catch((error: unknown) => {
      if (isOutage(error)) known.delete(socket)
    })
    return verification
  }
  const identify = async (context: Context): Promise<Caller> => {
    const socket = socketOf(context)
    const verifiedAttestation = socket && (await verify(socket))
    const caller = { ...addressOf(context), verifiedAttestation, notes: {} }
    if (verifiedAttestation === undefined) return caller
    const { attestation, verdict } = verifiedAttestation
    metrics.setCollateralExpiry(verdict.expiresAt)
    const quoteDigest = createHash('sha256').update(attestation.quote).digest('hex')
    return { ...caller, notes: { quoteDigest } }
  }
  // the rate limit and the method use the same verification
  const identified = new WeakMap<object, Promise<Caller>>()
  return {
    identify: (context) => {
      const request = incomingOf(context) ?? context
      const caller = identified.get(request) ?? identify(context)
      identified.set(request, caller)
      return caller
    },
    isKnown: ({ socket }) => currentVerification(socket) !== undefined,
  }
}

async function verifyCaller(socket: TLSSocket, rules: AttestationRules): PendingVerification {
  const peer = socket.getPeerX509Certificate()
  if (peer === undefined) return undefined
  const der = new Uint8Array(peer.raw)
  if (!socket.authorized) requireSelfIssued(der, rules.clock(), String(socket.authorizationError))
  return withVerdictContext('invalid quote', async () => {
    const certificate = readCertificate(der)
    const quote = readBoundQuote(certificate)
    if (quote === undefined) return undefined
    const verdict = await verifyQuote(quote, rules)
    // only the holder of a genuine quote makes the KMS decode an event log
    const attestation = readAttestation(certificate)
    if (attestation === undefined) return undefined
    requireBound(attestation, certificate.spki)
    return { verdict, attestation }
  })
}

function incomingOf(context: Context): IncomingMessage | undefined {
  return (context.env as { incoming?: IncomingMessage } | undefined)?.incoming
}

function socketOf(context: Context): TLSSocket | undefined {
  const socket = incomingOf(context)?.socket
  return socket && 'getPeerX509Certificate' in socket ? (socket as TLSSocket) : undefined
}

function addressOf(context: Context): Pick<Caller, 'address' | 'client'> {
  const incoming = incomingOf(context)
  if (incoming === undefined) return { address: 'in-process', client: 'in-process' }
  const { address, client } = clientAddressOf(incoming)
  return { address, client }
}

/** One log line per request: an outage is an error, a denial a warning. */
function logCall(log: Logger, metrics: KmsMetrics, call: ObservedCall<Caller>): void {
  const { method, seconds, error, caller } = call
  const outcome = metrics.observe({ method, seconds, error })
  const ms = Math.round(seconds * 1000)
  const line = { method, outcome, ms, peer: caller?.address, ...caller?.notes }
  if (error === undefined) log.info(line, 'answered')
  else if (outcome === 'outage') log.error({ ...line, err: error }, 'outage')
  else if (outcome === 'denied') log.warn({ ...line, err: error }, 'denied')
  else log.info({ ...line, err: error }, 'invalid request')
}
