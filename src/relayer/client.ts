/** Client of a relayer's HTTP API: submits quotes, follows them, and reads health and metrics. */
import { z } from 'zod'

import { AssentError, type ErrorCode, errorCatalogue } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { describeIssues } from '../lib/config.ts'
import { readBody } from '../lib/http-get.ts'
import { escapeText } from '../lib/printable.ts'
import { isRemoteHttp } from '../lib/schema.ts'
import type { Purpose } from './intake/intake.ts'

/** Connection to a relayer. */
export interface RelayerClientOptions {
  readonly url: string
  /** Token of an operator. `/health` and `/metrics` need none. */
  readonly token?: string | undefined
  /** Milliseconds for one request; default 30,000. */
  readonly timeoutMs?: number
}

/** A quote of a host with the operator's permit. */
export interface HostSubmission {
  readonly purpose: Exclude<Purpose, 'root-key'>
  readonly quote: Hex
  /** JSON of dstack's guest agent. */
  readonly eventLog: string
  readonly permit: {
    readonly operator: string
    readonly blockNumber: number
    /** Unix seconds. */
    readonly deadline: number
    readonly signature: Hex
  }
}

const maxAnswerBytes = 4 * 1024 * 1024

const statusSchema = z.object({
  id: z.string().regex(/^[0-9a-zA-Z-]{1,64}$/),
  /** State of the intent, or of its nonce while it is sent; `final` and `abandoned` are the ends. */
  state: z.string().regex(/^[a-z-]{1,32}$/),
  transaction: z
    .string()
    .regex(/^0x[0-9a-f]{64}$/)
    .nullable(),
  lastError: z.object({ code: z.string(), message: z.string() }).nullable(),
})

/** The state of a submitted quote. */
export type SubmittedStatus = z.output<typeof statusSchema>

const errorSchema = z.object({
  error: z.object({ code: z.string(), message: z.string() }),
})

/**
 * Submits a quote. The same quote again is the same submission.
 *
 * @throws RELAYER_REFUSED, RELAYER_UNREACHABLE, RELAYER_ANSWER_INVALID
 */
export function submitHostQuote(
  options: RelayerClientOptions,
  submission: HostSubmission,
): Promise<SubmittedStatus> {
  return ask(options, '/v1/quotes', statusSchema, submission)
}

/** @throws RELAYER_REFUSED, RELAYER_UNREACHABLE, RELAYER_ANSWER_INVALID */
export function readSubmission(
  options: RelayerClientOptions,
  id: string,
): Promise<SubmittedStatus> {
  return ask(options, `/v1/quotes/${encodeURIComponent(id)}`, statusSchema)
}

/** An answer to GET, whatever its status. @throws RELAYER_UNREACHABLE */
export async function readPage(
  options: RelayerClientOptions,
  path: '/health' | '/metrics',
): Promise<{ readonly status: number; readonly text: string }> {
  return exchange(options, path)
}

async function ask<S extends z.ZodType>(
  options: RelayerClientOptions,
  path: string,
  schema: S,
  body?: object,
): Promise<z.output<S>> {
  const { status, text } = await exchange(options, path, body)
  const json = parse(text)
  if (status !== 200 && status !== 202) throw refusal(status, json)
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new AssentError('RELAYER_ANSWER_INVALID', `The relayer: ${describeIssues(parsed.error)}`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A service that cannot answer now has refused nothing. */
function refusal(status: number, json: unknown): AssentError {
  const { data } = errorSchema.safeParse(json)
  const reason = data === undefined ? 'no reason' : `${data.error.code}: ${data.error.message}`
  const facts = { status, code: data?.error.code ?? null }
  const words = escapeText(reason.slice(0, 500))
  return status >= 500 || status === 429
    ? new AssentError('RELAYER_UNREACHABLE', `The relayer cannot answer now: ${words}`, { facts })
    : new AssentError('RELAYER_REFUSED', `The relayer refused: ${words}`, {
        facts,
        ...hintOf(data?.error.code),
      })
}

/** The next step of the code of the relayer. It can be a newer version, with codes that this one does not know. */
function hintOf(code: string | undefined): { readonly hint?: string } {
  if (code === undefined || !Object.hasOwn(errorCatalogue, code)) return {}
  return { hint: errorCatalogue[code as ErrorCode].fix }
}

async function exchange(
  { url, token, timeoutMs = 30_000 }: RelayerClientOptions,
  path: string,
  body?: object,
): Promise<{ status: number; text: string }> {
  if (token !== undefined && isRemoteHttp(url)) {
    throw new AssentError('CONFIG_INVALID', 'A token is sent to another machine over https only.', {
      facts: { host: new URL(url).host },
    })
  }
  try {
    const response = await fetch(new URL(path, url), {
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    })
    const text = Buffer.from(await readBody(response, maxAnswerBytes)).toString('utf8')
    return { status: response.status, text }
  } catch (cause) {
    // the path of a URL can contain a key
    const { host } = new URL(url)
    throw new AssentError('RELAYER_UNREACHABLE', `The relayer ${host} does not answer.`, {
      cause,
      facts: { host },
    })
  }
}
