/** A bounded HTTP GET: it follows no redirect, limits the body, and ends when its signal says so. */
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { Readable } from 'node:stream'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'

import { createGrowingBuffer } from './growing-buffer.ts'

/** Limits of one request. */
export interface GetOptions {
  /** Ends connecting, reading the headers and reading the body. */
  readonly signal: AbortSignal
  /** Limit for the body. */
  readonly maxBytes: number
  /** PEM certificates of authorities that are trusted in addition to the public ones. */
  readonly ca?: string | undefined
  /** Replaces Node's HTTP client, for tests and proxies. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** A complete response. */
export interface HttpResponse {
  /** HTTP status code; redirects are not followed. */
  readonly status: number
  readonly headers: Headers
  /** Complete body, at most the limit of the request. */
  readonly body: Uint8Array
}

/**
 * Sends one GET request. A redirect is returned like any other response, so a server cannot send us elsewhere.
 *
 * @throws RangeError if the body is larger than `maxBytes`
 * @throws the error of the network or the reason of the signal
 */
export async function get(url: URL, options: GetOptions): Promise<HttpResponse> {
  const { signal, fetch = sendThrough(options.ca) } = options
  signal.throwIfAborted()
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
  ended.catch(() => {})
  const exchange = async (): Promise<HttpResponse> => {
    const response = await fetch(url, { signal, redirect: 'manual' })
    const { status, headers } = response
    return { status, headers, body: await readBody(response, options.maxBytes) }
  }
  // the race ends also if a client ignores the signal
  return Promise.race([exchange(), ended])
}

/**
 * Reads a body of at most `maxBytes` bytes, after decompression. Reading stops at the limit and closes the connection.
 *
 * @throws RangeError if the body is larger
 */
export async function readBody(
  { body }: Pick<Response, 'body'>,
  maxBytes: number,
): Promise<Uint8Array> {
  const collected = createGrowingBuffer(maxBytes)
  for await (const piece of body ?? []) collected.append(piece)
  return new Uint8Array(collected.bytes())
}

let lastTrusted: { readonly ca: string; readonly context: SecureContext } | undefined

/** Loading the public authorities takes about 50 ms, so the last context is kept. */
function trustedContext(ca: string): SecureContext {
  if (lastTrusted?.ca !== ca) {
    const context = createSecureContext({ ca: [...getCACertificates('default'), ca] })
    lastTrusted = { ca, context }
  }
  return lastTrusted.context
}

/** Uses `node:https`, because `fetch` cannot use other authorities for a single request. */
function sendThrough(ca: string | undefined) {
  const trusted = ca === undefined ? {} : { secureContext: trustedContext(ca) }
  return (url: URL, { signal }: { signal: AbortSignal }): Promise<Response> =>
    new Promise((resolve, reject) => {
      const request = url.protocol === 'https:' ? requestHttps : requestHttp
      const outgoing = request(url, { agent: false, signal, ...trusted }, (incoming) => {
        const headers = new Headers()
        for (const [name, value] of Object.entries(incoming.headers)) {
          if (value !== undefined) headers.set(name, String(value))
        }
        const { statusCode: status = 0 } = incoming
        const body = Readable.toWeb(incoming) as ReadableStream<Uint8Array>
        resolve({ status, headers, body } as Response)
      })
      outgoing.on('error', reject)
      outgoing.end()
    })
}
