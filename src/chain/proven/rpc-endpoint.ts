/**
 * An untrusted JSON-RPC endpoint: answers have limits for time and size, and their form is checked.
 *
 * The relayer uses viem clients instead (src/relayer/endpoints/rpc.ts), because it calls contracts and sends
 * transactions. The KMS needs five methods; without viem every byte of an answer goes through one schema.
 */
import { z } from 'zod'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'
import { readBody } from '../../lib/http-get.ts'
import {
  createRequestQueue,
  type RequestQueue,
  type RequestSlot,
} from '../../lib/ingress/request-queue.ts'

/** One endpoint. */
export interface Endpoint {
  /** Position and host, for example `2:rpc.example.org`. The URL may contain credentials and is not shown. */
  readonly name: string
  /**
   * Sends one request and parses its result.
   *
   * @param signal ends the request when its answer is no longer needed
   * @throws CHAIN_UNREACHABLE, CHAIN_TIMEOUT, CHAIN_ANSWER_INVALID
   */
  request<T>(
    method: string,
    params: readonly unknown[],
    result: z.ZodType<T>,
    signal?: AbortSignal,
  ): Promise<T>
}

/** Connection to an RPC endpoint. */
export interface RpcEndpointOptions {
  /** May contain credentials; never logged. */
  readonly url: string
  /** For logs, metrics and the release log. */
  readonly name: string
  /** Milliseconds for one request, its answer included. */
  readonly timeoutMs: number
  /** Longest answer in bytes; default 2 MiB. */
  readonly maxBytes?: number
}

/** A block with ten thousand transaction hashes, or a proof of a hundred storage slots, is smaller. */
const defaultMaxBytes = 2 * 1024 * 1024

/** Answers of one endpoint that are read at once. They bound the memory that an endpoint can fill. */
const answersAtOnce = 16

const answerSchema = z.looseObject({
  jsonrpc: z.literal('2.0'),
  id: z.literal(1),
  result: z.unknown().optional(),
  error: z.looseObject({ code: z.number(), message: z.unknown().optional() }).nullish(),
})

/** Names of endpoints (position and host), for logs, metrics and the release log. */
export function endpointNames(urls: readonly string[]): string[] {
  return urls.map((url, index) => `${index + 1}:${new URL(url).host}`)
}

/**
 * Connects to an endpoint; nothing is sent yet.
 *
 * @example
 * const endpoint = connectEndpoint({ url, name: '1:rpc.example.org', timeoutMs: 5_000 })
 * const chainId = await endpoint.request('eth_chainId', [], quantitySchema)
 */
export function connectEndpoint(options: RpcEndpointOptions): Endpoint {
  const { name, timeoutMs, maxBytes = defaultMaxBytes } = options
  const { href, headers } = withoutCredentials(options.url)
  const queue = createRequestQueue({ total: answersAtOnce, of: () => answersAtOnce })
  return {
    name,
    async request(method, params, result, needed) {
      const facts = { endpoint: name, method }
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
      const { signal, release } = openDeadline(timeoutMs, needed)
      let slot: RequestSlot | undefined
      try {
        slot = await takeSlot(queue, signal)
        const response = await fetch(href, {
          method: 'POST',
          headers,
          body,
          signal,
          // only the configured host is contacted
          redirect: 'error',
        })
        const text = Buffer.from(await readBody(response, maxBytes)).toString('utf8')
        if (!response.ok) throw unreachable(facts, `status ${response.status}`)
        return readResult(text, result, facts)
      } catch (cause) {
        if (isAssentError(cause)) throw cause
        if (cause instanceof RangeError) throw invalid(facts, `longer than ${maxBytes} bytes`)
        if (!signal.aborted) throw unreachable(facts, 'no connection', cause)
        throw new AssentError('CHAIN_TIMEOUT', `${name} did not answer within ${timeoutMs} ms.`, {
          cause,
          facts: { ...facts, timeoutMs },
        })
      } finally {
        slot?.leave()
        release()
      }
    },
  }
}

/**
 * Aborted after some time, or with another signal. A signal of `AbortSignal.timeout` would keep the request and its answer in
 * memory until the time is over, also when the answer came long before.
 */
function openDeadline(timeoutMs: number, needed: AbortSignal | undefined) {
  const controller = new AbortController()
  const abort = () => controller.abort()
  const timer = setTimeout(abort, timeoutMs)
  // in a browser a timer is a number, and holds no process open
  timer.unref?.()
  if (needed?.aborted) abort()
  needed?.addEventListener('abort', abort, { once: true })
  const release = () => {
    clearTimeout(timer)
    needed?.removeEventListener('abort', abort)
  }
  return { signal: controller.signal, release }
}

/** Waits for a free slot. @throws the reason of the signal */
function takeSlot(queue: RequestQueue, signal: AbortSignal): Promise<RequestSlot> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const slot = queue.take('', begin)
    const leave = () => {
      slot.leave()
      reject(signal.reason)
    }
    signal.addEventListener('abort', leave, { once: true })
    begun.then(() => {
      signal.removeEventListener('abort', leave)
      resolve(slot)
    })
  })
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

/** The node's own error text, as one short line, because it is untrusted. */
function quoteWords(message: unknown): string {
  if (typeof message !== 'string') return ''
  return message
    .slice(0, maxWords)
    .replace(/[^\p{L}\p{N}\p{P}\p{S} ]+/gu, ' ')
    .trim()
}

const maxWords = 200

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
  const message = `${facts.endpoint} answered ${facts.method} with an invalid answer: ${why}.`
  return new AssentError('CHAIN_ANSWER_INVALID', message, { facts: { ...facts, why } })
}
