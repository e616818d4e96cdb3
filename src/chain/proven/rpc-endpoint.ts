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

/** Limits of one request. */
export interface RequestLimits {
  /** Ends the request when its answer is no longer needed. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds from the sending of the request to the end of its answer; default: those of the endpoint. */
  readonly timeoutMs?: number | undefined
  /**
   * The client for which the node asks. Clients take turns, and each has its own bound. Undefined: the node asks for
   * itself, and no client delays it.
   */
  readonly client?: string | undefined
}

/** One endpoint. */
export interface Endpoint {
  /** Position and host, for example `2:rpc.example.org`. The URL may contain credentials and is not shown. */
  readonly name: string
  /**
   * Sends one request and parses its result.
   *
   * @throws CHAIN_UNREACHABLE, CHAIN_TIMEOUT, CHAIN_ANSWER_INVALID; CHAIN_RATE_LIMITED if the endpoint wants fewer
   *   requests; CHAIN_NODE_OVERLOADED if the request was never sent
   */
  request<T>(
    method: string,
    params: readonly unknown[],
    result: z.ZodType<T>,
    limits?: RequestLimits,
  ): Promise<T>
}

/** Connection to an RPC endpoint. */
export interface RpcEndpointOptions {
  /** May contain credentials; never logged. */
  readonly url: string
  /** For logs, metrics and the release log. */
  readonly name: string
  /** Milliseconds for one request, its answer included. Before, it may wait as long for its turn. */
  readonly timeoutMs: number
  /** Longest answer in bytes; default 2 MiB. */
  readonly maxBytes?: number
}

/** A block with ten thousand transaction hashes, or a proof of a hundred storage slots, is smaller. */
const defaultMaxBytes = 2 * 1024 * 1024

/**
 * Answers of one endpoint that are read at once. They bound the memory that an endpoint can fill. The node has its own, so
 * that its clients never delay the blocks that it reads.
 */
const answersAtOnce = { node: 8, clients: 8, client: 4 }

/** Requests that wait for their turn. */
const mostWaiting = { clients: 1_024, client: 256 }

/**
 * A time limit is counted in this many steps. Of the time in which this process was blocked, at most one step counts, so
 * that its own work makes no endpoint late.
 */
const deadlineSteps = 20

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
  const { node, clients, client: ofClient } = answersAtOnce
  const ownQueue = createRequestQueue({ total: node, of: () => node })
  const clientQueue = createRequestQueue({ total: clients, of: () => ofClient })
  const takeTurn = async (client: string | undefined, needed: AbortSignal | undefined) => {
    const isFull =
      client !== undefined &&
      (clientQueue.waiting(client) >= mostWaiting.client ||
        clientQueue.waiting() >= mostWaiting.clients)
    const { signal, release } = openDeadline(isFull ? 0 : timeoutMs, needed)
    try {
      return await takeSlot(client === undefined ? ownQueue : clientQueue, client ?? '', signal)
    } catch (cause) {
      const facts = { endpoint: name }
      if (needed?.aborted) {
        throw new AssentError('CHAIN_TIMEOUT', `${name} was not asked in time.`, { cause, facts })
      }
      const message = `Too many requests to ${name} wait: one was not sent.`
      throw new AssentError('CHAIN_NODE_OVERLOADED', message, { cause, facts })
    } finally {
      release()
    }
  }
  return {
    name,
    async request(method, params, result, limits = {}) {
      const facts = { endpoint: name, method }
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
      const slot = await takeTurn(limits.client, limits.signal)
      // counts from here: waiting in the node's own queue is not the endpoint's fault
      const limitMs = Math.min(timeoutMs, limits.timeoutMs ?? timeoutMs)
      const { signal, release } = openDeadline(limitMs, limits.signal)
      try {
        const response = await fetch(href, {
          method: 'POST',
          headers,
          body,
          signal,
          // only the configured host is contacted
          redirect: 'error',
        })
        const text = Buffer.from(await readBody(response, maxBytes)).toString('utf8')
        if (response.status === 429) throw rateLimited(facts)
        if (!response.ok) throw unreachable(facts, `status ${response.status}`)
        return readResult(text, result, facts)
      } catch (cause) {
        if (isAssentError(cause)) throw cause
        if (cause instanceof RangeError) throw invalid(facts, `longer than ${maxBytes} bytes`)
        if (!signal.aborted) throw unreachable(facts, 'no connection', cause)
        throw new AssentError('CHAIN_TIMEOUT', `${name} did not answer within ${limitMs} ms.`, {
          cause,
          facts: { ...facts, timeoutMs: limitMs },
        })
      } finally {
        slot.leave()
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
  let steps = 0
  const step = () => ++steps === deadlineSteps && abort()
  const timer = setInterval(step, timeoutMs / deadlineSteps)
  // in a browser a timer is a number, and holds no process open
  timer.unref?.()
  if (needed?.aborted || timeoutMs === 0) abort()
  needed?.addEventListener('abort', abort, { once: true })
  const release = () => {
    clearInterval(timer)
    needed?.removeEventListener('abort', abort)
  }
  return { signal: controller.signal, release }
}

/** Waits for a free slot. @throws the reason of the signal */
function takeSlot(queue: RequestQueue, client: string, signal: AbortSignal): Promise<RequestSlot> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const slot = queue.take(client, begin)
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
  if (error?.code === limitExceeded) throw rateLimited(facts)
  if (error) {
    const words = quoteWords(error.message)
    const why = `error ${error.code}${words === '' ? '' : `, ${words}`}`
    throw unreachable({ ...facts, rpcCode: error.code, words }, why)
  }
  const parsed = schema.safeParse(result)
  if (!parsed.success) throw invalid(facts, describeIssues(parsed.error).slice(0, 300))
  return parsed.data
}

/** JSON-RPC code "limit exceeded" (EIP-1474). It does not mean that the node serves no proofs. */
const limitExceeded = -32005

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

function rateLimited(facts: Record<string, unknown>): AssentError {
  const message = `${facts.endpoint} refused ${facts.method}: too many requests.`
  return new AssentError('CHAIN_RATE_LIMITED', message, { facts })
}

function invalid(facts: Record<string, unknown>, why: string): AssentError {
  const message = `${facts.endpoint} answered ${facts.method} with an invalid answer: ${why}.`
  return new AssentError('CHAIN_ANSWER_INVALID', message, { facts: { ...facts, why } })
}
