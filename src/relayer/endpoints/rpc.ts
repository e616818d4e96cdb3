/** One JSON-RPC endpoint as viem asks it; whatever it sends is bounded in time and size. */
import { createPublicClient, http, type PublicClient } from 'viem'

import { AssentError } from '../../errors/index.ts'

export interface RpcOptions {
  /** From the question to the last byte of the answer. */
  readonly timeoutMs?: number
  /** Longest answer that is read, uncompressed. */
  readonly maxBytes?: number
}

/** Questions in one request: public endpoints take at least so many. */
const batchSize = 50

/**
 * Retries are the outbox's business: a hidden one would only delay what it decides. Redirects are not followed: what is
 * configured is asked, and nothing that it names instead.
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

/** viem's deadline ends with the headers, so the body is read here, before they are given back. */
async function fetchWhole(
  input: string | URL | Request,
  init: RequestInit | undefined,
  maxBytes: number,
): Promise<Response> {
  const response = await fetch(input, { ...init, redirect: 'error' })
  const { status, headers } = response
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.length
    // Leaving the loop closes the connection.
    if (length > maxBytes) throw tooLong(maxBytes)
    parts.push(part)
  }
  // A status without a body cannot be given one, and is no answer.
  return new Response(Buffer.concat(parts), { status: length === 0 ? 502 : status, headers })
}

function tooLong(maxBytes: number): AssentError {
  const message = `An endpoint answers with more than ${maxBytes} bytes.`
  return new AssentError('CHAIN_ANSWER_INVALID', message, { facts: { maxBytes } })
}
