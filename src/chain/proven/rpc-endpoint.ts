/**
 * One JSON-RPC endpoint, of which nothing is expected: answers are bounded in time and size and checked
 * for form before anyone reads them.
 */
import { z } from 'zod'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'

export interface Endpoint {
  /** Position and host: an address may hold credentials. */
  readonly name: string
  /** @throws CHAIN_UNREACHABLE, CHAIN_TIMEOUT, CHAIN_ANSWER_INVALID */
  request<T>(method: string, params: readonly unknown[], result: z.ZodType<T>): Promise<T>
}

export interface RpcEndpointOptions {
  readonly url: string
  readonly name: string
  readonly timeoutMs: number
  /** Longest answer that is read. */
  readonly maxBytes?: number
}

/** A block with ten thousand transaction hashes, or a proof of a hundred slots, has less. */
const defaultMaxBytes = 2 * 1024 * 1024

const answerSchema = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: z.literal(1),
  result: z.unknown().optional(),
  error: z.looseObject({ code: z.number(), message: z.unknown().optional() }).nullish(),
})

/** Position and host of each: for logs, metrics and evidence. */
export function endpointNames(urls: readonly string[]): string[] {
  return urls.map((url, index) => `${index + 1}:${new URL(url).host}`)
}

export function connectEndpoint(options: RpcEndpointOptions): Endpoint {
  const { name, timeoutMs, maxBytes = defaultMaxBytes } = options
  const { href, headers } = withoutCredentials(options.url)
  return {
    name,
    async request(method, params, result) {
      const facts = { endpoint: name, method }
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
      const signal = AbortSignal.timeout(timeoutMs)
      try {
        const response = await fetch(href, {
          method: 'POST',
          headers,
          body,
          signal,
          // whoever is configured is asked, and nobody whom it names instead
          redirect: 'error',
        })
        const text = await readBounded(response, maxBytes, facts)
        if (!response.ok) throw unreachable(facts, `status ${response.status}`)
        return readResult(text, result, facts)
      } catch (cause) {
        if (isAssentError(cause)) throw cause
        if (!signal.aborted) throw unreachable(facts, 'no connection', cause)
        throw new AssentError('CHAIN_TIMEOUT', `${name} did not answer within ${timeoutMs} ms.`, {
          cause,
          facts: { ...facts, timeoutMs },
        })
      }
    },
  }
}

function readResult<T>(text: string, schema: z.ZodType<T>, facts: Record<string, unknown>): T {
  const envelope = answerSchema.safeParse(parseJson(text, facts))
  if (!envelope.success) throw invalid(facts, describeIssues(envelope.error))
  const { result, error } = envelope.data
  if (error) {
    const words = quoteWords(error.message)
    const why = `error ${error.code}${words === '' ? '' : `, ${words}`}`
    throw unreachable({ ...facts, rpcCode: error.code, words }, why)
  }
  const parsed = schema.safeParse(result)
  if (!parsed.success) throw invalid(facts, describeIssues(parsed.error).slice(0, 300))
  return parsed.data
}

/** What a node says of its own refusal: one line, short, since it is not ours. */
function quoteWords(message: unknown): string {
  if (typeof message !== 'string') return ''
  return message
    .slice(0, maxWords)
    .replace(/[^\p{L}\p{N}\p{P}\p{S} ]+/gu, ' ')
    .trim()
}

const maxWords = 200

async function readBounded(
  response: Response,
  maxBytes: number,
  facts: Record<string, unknown>,
): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    // leaving the loop cancels the body
    if (size > maxBytes) throw invalid(facts, `longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string, facts: Record<string, unknown>): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw invalid(facts, 'not JSON')
  }
}

function withoutCredentials(url: string) {
  const target = new URL(url)
  const { username, password } = target
  target.username = ''
  target.password = ''
  const basic = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (username !== '' || password !== '')
    headers.authorization = `Basic ${basic.toString('base64')}`
  return { href: target.href, headers }
}

function unreachable(facts: Record<string, unknown>, why: string, cause?: unknown): AssentError {
  const message = `${facts.endpoint} did not answer ${facts.method}: ${why}.`
  return new AssentError('CHAIN_UNREACHABLE', message, { cause, facts })
}

function invalid(facts: Record<string, unknown>, why: string): AssentError {
  const message = `${facts.endpoint} answered ${facts.method} with what is no answer: ${why}.`
  return new AssentError('CHAIN_ANSWER_INVALID', message, { facts: { ...facts, why } })
}
