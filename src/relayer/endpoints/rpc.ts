/** A viem client for one RPC endpoint, with limits on the time and the size of each answer. */
import { createPublicClient, http, type PublicClient } from 'viem'

import { AssentError } from '../../errors/index.ts'
import { readBody } from '../../lib/http-get.ts'

/** Limits of one endpoint. */
export interface RpcOptions {
  /** Milliseconds from the request to the last byte of the answer; default 15,000. */
  readonly timeoutMs?: number
  /** Longest answer in bytes after decompression; default 16 MiB. */
  readonly maxBytes?: number
}

/** Calls in one JSON-RPC batch; public endpoints accept at least so many. */
const batchSize = 50

/**
 * Connects to an endpoint. There are no retries, because the outbox decides when to repeat a request. Redirects are
 * errors, so only the configured host is contacted.
 */
export function connectRpc(url: string, options: RpcOptions = {}): PublicClient {
  const { timeoutMs = 15_000, maxBytes = 16 * 1024 * 1024 } = options
  return createPublicClient({
    transport: http(url, {
      batch: { batchSize },
      retryCount: 0,
      timeout: timeoutMs,
      fetchFn: (input, init) => fetchWhole(input, init, maxBytes),
    }),
    cacheTime: 0,
  })
}

/** Reads the whole body, because viem's timeout covers the headers only. */
async function fetchWhole(
  input: string | URL | Request,
  init: RequestInit | undefined,
  maxBytes: number,
): Promise<Response> {
  const response = await fetch(input, { ...init, redirect: 'error' })
  const { status, headers } = response
  const body = await readBody(response, maxBytes).catch((error: unknown) => {
    throw error instanceof RangeError ? tooLong(maxBytes) : error
  })
  // a status without a body (204) must not get one here, and is not a JSON-RPC answer
  if (body.length === 0) return new Response('', { status: status < 400 ? 502 : status })
  return new Response(Buffer.from(body), { status, headers })
}

/** An answer that is longer than the limit is an error of the endpoint, and not read further. */
function tooLong(maxBytes: number): AssentError {
  const message = `The answer of an endpoint is longer than ${maxBytes} bytes.`
  return new AssentError('CHAIN_ANSWER_INVALID', message, { facts: { maxBytes } })
}
