/** Intake: the HTTP API that accepts and verifies quotes, and reports what became of them. */
import { keccak_256 } from '@noble/hashes/sha3.js'
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { streamSSE } from 'hono/streaming'
import { z } from 'zod'

import { AssentError, type ErrorCode } from '../../errors/index.ts'
import { fromHex, to0x } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { describeIssues, namesOfIssues } from '../../lib/config.ts'
import type { Logger } from '../../lib/log.ts'
import { createRateLimit, type Rate } from '../../lib/rate-limit.ts'
import type { Database } from '../database/database.ts'
import { type QuorumReader, requireTarget } from '../endpoints/quorum.ts'
import { isQuoteTarget, type QuoteTarget, type Targets } from '../outbox/intent-targets.ts'
import { requireIntent } from '../outbox/intents.ts'
import type { LastError } from '../outbox/outbox.ts'
import { authenticate, type Operator } from './operators.ts'
import { followProgress, readLastEventId, readProgress } from './progress.ts'
import { acceptQuote, readQuote } from './quotes.ts'

/** Result of the off-chain verification of a quote, before any gas is spent on it. */
export type QuoteCheckResult =
  | {
      readonly ok: true
      /** The bytes that the attestation key signed. */
      readonly signedBytes: Uint8Array
      /** Device id of the host: SHA-256 of the PPID. */
      readonly deviceId: Uint8Array
      /** Unix seconds: the collateral of the quote ends then. */
      readonly expiresAt: number
      /** Stored and returned facts: TCB status, advisories, dates. */
      readonly facts: Record<string, unknown>
    }
  | { readonly ok: false; readonly reasons: readonly LastError[] }

/** A quote to verify, and the registry it is for. */
export interface SubmittedQuote {
  /** Decides which authority must come with the quote. */
  readonly purpose: Purpose
  /** Raw bytes. */
  readonly quote: Uint8Array
  /** JSON of dstack's guest agent, unchanged. */
  readonly eventLog: string
}

/** Verifies a quote. Throws QUOTE_… for malformed input, PCCS_UNAVAILABLE if there is no collateral. */
export type VerifySubmission = (evidence: SubmittedQuote) => Promise<QuoteCheckResult>

/** Everything that the HTTP API needs. */
export interface IntakeOptions {
  readonly db: Database
  readonly chainId: number
  /** Reads of the chain that permits need. */
  readonly reader: Pick<QuorumReader, 'agree'>
  /** Purposes without a target are refused. */
  readonly targets: Targets
  /** Verifies quote and permit before anything is stored. */
  readonly verifySubmission: VerifySubmission
  /** Clients with their tokens. */
  readonly operators: readonly Operator[]
  /** Requests of one operator. */
  readonly rateLimit: Rate
  readonly clock: Clock
  readonly log: Logger
  /** Ends the event streams. */
  readonly signal: AbortSignal
  /** Called when a quote was accepted, so that the outbox is polled immediately. */
  readonly onAccepted?: () => void
  /** For metrics: the purpose, and the outcome or error code. */
  readonly onRequest?: (purpose: string, outcome: string) => void
  /** Adds routes below `/v1`, with the same authentication and limits. */
  readonly extend?: (app: Api) => void
}

/**
 * What a quote is submitted for, which decides the registry and its rules:
 *
 * - `host`: a host proof in `Hosts`;
 * - `kms-node`: a host proof in `Hosts` too, but only for a host and a KMS measurement that `KmsAuth` approved;
 * - `root-key`: a pair of root keys in `RootKeys`.
 */
export const purposes = ['host', 'kms-node', 'root-key'] as const
/** One of {@link purposes}. */
export type Purpose = (typeof purposes)[number]

/** Longest request in bytes. A quote has about 5 KB and an event log 20 KB, written as hex and JSON. */
export const maxBodyBytes = 512 * 1024
const maxQuoteBytes = 64 * 1024

const quoteRequest = z.strictObject({
  purpose: z.enum(purposes),
  quote: z
    .string()
    .min(2)
    .max(2 + 2 * maxQuoteBytes),
  eventLog: z.string().max(maxBodyBytes),
  /** The permit; its form depends on the purpose. */
  permit: z.unknown(),
})

/** The HTTP app; each request below `/v1` has an authenticated operator. */
export type Api = Hono<{ Variables: { operator: Operator } }>

/** Creates the HTTP API: `POST /v1/quotes`, and the state and events of quotes and intents. */
export function createIntake(options: IntakeOptions): Api {
  const { db, log, operators, clock } = options
  const waitFor = createRateLimit({ ...options.rateLimit, now: () => clock() * 1_000 })
  const app: Api = new Hono()

  app.onError((error, c) => {
    const known = toAssentError(error)
    const status = statusOf(known.code)
    if (status >= 500) log.error({ err: error }, 'a request failed')
    const wait = known.facts.retryAfter
    if (typeof wait === 'number') c.header('retry-after', String(wait))
    return c.json({ error: known.toJSON() }, status)
  })

  app.use('/v1/*', async (c, next) => {
    const operator = authenticate(operators, c.req.header('authorization'))
    const retryAfter = waitFor(operator.name)
    if (retryAfter > 0) {
      throw new AssentError('RELAYER_RATE_LIMITED', `Wait ${retryAfter} seconds.`, {
        facts: { operator: operator.name, retryAfter },
      })
    }
    c.set('operator', operator)
    await next()
  })

  app.use('/v1/*', bodyLimit({ maxSize: maxBodyBytes, onError: tooLarge }))

  app.post('/v1/quotes', async (c) => {
    const body = parseBody(await c.req.text())
    const accepted = await accept(options, body, c.get('operator'))
    return c.json(await readQuote(db, accepted.id), accepted.isNew ? 202 : 200)
  })

  app.get('/v1/quotes/:id', async (c) => c.json(await readQuote(db, c.req.param('id'))))

  app.get('/v1/quotes/:id/events', async (c) => {
    const { id } = await readQuote(db, c.req.param('id'))
    return streamIntent(c, options, id)
  })
  app.get('/v1/intents/:id', async (c) => c.json(await requireIntent(db, c.req.param('id'))))
  app.get('/v1/intents/:id/events', async (c) => {
    const { id } = await requireIntent(db, c.req.param('id'))
    return streamIntent(c, options, id)
  })
  options.extend?.(app)

  return app
}

function tooLarge(): never {
  throw new AssentError('INPUT_TOO_LARGE', `The request is longer than ${maxBodyBytes} bytes.`, {
    facts: { limit: maxBodyBytes },
  })
}

/** @throws INPUT_INVALID */
function parseBody(text: string): z.output<typeof quoteRequest> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw new AssentError('INPUT_INVALID', 'The request is not JSON.')
  }
  const parsed = quoteRequest.safeParse(json)
  if (parsed.success) return parsed.data
  throw new AssentError('INPUT_INVALID', `Request: ${describeIssues(parsed.error)}`, {
    facts: { fields: namesOfIssues(parsed.error) },
  })
}

/**
 * Verifies a quote off-chain, then stores it with the intent that submits it. A quote that the chain would refuse costs
 * no gas.
 */
async function accept(
  options: IntakeOptions,
  body: z.output<typeof quoteRequest>,
  operator: Operator,
): Promise<{ id: string; isNew: boolean }> {
  const { purpose, eventLog } = body
  const target = requireQuoteTarget(options.targets, purpose)
  const quote = fromHex(body.quote, 'quote')
  const permit = target.parsePermit(body.permit, quote)

  const result = await options.verifySubmission({ purpose, quote, eventLog })
  if (!result.ok) {
    options.onRequest?.(purpose, 'refused')
    throw refusal(result.reasons)
  }
  await target.requirePermit?.(permit, quote, options)

  const accepted = await acceptQuote(options.db, {
    chainId: options.chainId,
    purpose,
    // not the hash of the whole quote: its ECDSA signature is malleable and the rest is not signed
    digest: to0x(keccak_256(result.signedBytes)),
    operator: operator.name,
    eventLog,
    verdict: result.facts,
    expiresAt: Math.min(result.expiresAt, permit.deadline ?? result.expiresAt),
    payload: { quote: to0x(quote), deviceId: to0x(result.deviceId), permit: permit.value },
    at: options.clock(),
  })
  options.onRequest?.(purpose, accepted.isNew ? 'accepted' : 'repeated')
  options.log.info(
    { quote: accepted.id, purpose, operator: operator.name, ...accepted },
    'quote accepted',
  )
  options.onAccepted?.()
  return accepted
}

/** @throws RELAYER_PURPOSE_UNSERVED */
function requireQuoteTarget(targets: Targets, purpose: Purpose): QuoteTarget {
  const target = requireTarget(targets, purpose)
  if (isQuoteTarget(target)) return target
  throw new AssentError(
    'RELAYER_PURPOSE_UNSERVED',
    `This purpose does not accept quotes: ${purpose}.`,
    {
      facts: { purpose },
    },
  )
}

function refusal(reasons: readonly LastError[]): AssentError {
  const sentences = reasons.map(({ message }) => message).join(' ')
  return new AssentError('RELAYER_QUOTE_REFUSED', `The quote is not accepted: ${sentences}`, {
    facts: { reasons },
  })
}

/* EVENTS */

const followEveryMs = 250

/** Server-sent events of one intent. A client that reconnects with `Last-Event-ID` continues after that event. */
async function streamIntent(c: Context, { db, signal }: IntakeOptions, id: string) {
  const last = readLastEventId(c.req.header('last-event-id'))
  const source = readProgress(db, id)
  // status 204 tells an EventSource that has read the last event not to reconnect
  const isOver =
    last > 0 && (await source.isSettled()) && (await source.eventsAfter(last)).length === 0
  if (isOver) return c.body(null, 204)

  return streamSSE(c, async (stream) => {
    const goesOn = async () => {
      await stream.sleep(followEveryMs)
      return !signal.aborted && !stream.aborted
    }
    for await (const event of followProgress(source, last, goesOn)) {
      const data = JSON.stringify({ at: event.at, state: event.state, ...event.facts })
      await stream.writeSSE({ id: String(event.id), event: event.state, data })
    }
  })
}

/* ERRORS */

function toAssentError(error: unknown): AssentError {
  if (error instanceof AssentError) return error
  return new AssentError('UNEXPECTED', 'The relayer failed on this request.', { cause: error })
}

const statuses: Partial<Record<ErrorCode, 401 | 404 | 413 | 422 | 429 | 503>> = {
  RELAYER_UNAUTHORIZED: 401,
  RELAYER_QUOTE_UNKNOWN: 404,
  RELAYER_INTENT_UNKNOWN: 404,
  RELAYER_NONCE_UNKNOWN: 404,
  INPUT_TOO_LARGE: 413,
  RELAYER_PURPOSE_UNSERVED: 422,
  RELAYER_QUOTE_REFUSED: 422,
  RELAYER_PROOF_UNKNOWN: 422,
  RELAYER_RATE_LIMITED: 429,
  PCCS_UNAVAILABLE: 503,
  RELAYER_CHAIN_UNREACHABLE: 503,
  RELAYER_CHAIN_DISAGREES: 503,
  CHAIN_UNREACHABLE: 503,
}

/**
 * HTTP status of an error: 4xx if the caller can change something, 503 for an outage, 500 for everything unexpected.
 */
function statusOf(code: ErrorCode) {
  const isInput = /^(INPUT_|HEX_|LENGTH_|QUOTE_|EVENT_LOG_)/.test(code)
  return statuses[code] ?? (isInput ? 400 : 500)
}
