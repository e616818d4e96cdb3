/** One HTTP GET that no server can stretch: no redirect, a bounded body, and all of it before the signal. */
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { Readable } from 'node:stream'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'

export interface GetOptions {
  /** Ends the whole exchange: connecting, headers and body. */
  readonly signal: AbortSignal
  readonly maxBytes: number
  /** Certificates (PEM) that are trusted beside the public authorities. */
  readonly ca?: string | undefined
  /** Sends instead of Node's own client. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array
}

/**
 * Asks `url` once. A redirect is an answer like any other: its target is not asked.
 *
 * @throws RangeError for a body above `maxBytes`, and whatever the network or the signal ends with
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
  // a client that does not listen to the signal cannot hold up its caller either
  return Promise.race([exchange(), ended])
}

async function readBody({ body }: Response, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of body ?? []) {
    length += part.length
    if (length > maxBytes) throw new RangeError(`The answer has more than ${maxBytes} bytes.`)
    parts.push(part)
  }
  return new Uint8Array(Buffer.concat(parts))
}

let lastTrusted: { readonly ca: string; readonly context: SecureContext } | undefined

/** Reading all public authorities takes some 50 ms, so it is done once. */
function trustIn(ca: string): SecureContext {
  if (lastTrusted?.ca !== ca) {
    const context = createSecureContext({ ca: [...getCACertificates('default'), ca] })
    lastTrusted = { ca, context }
  }
  return lastTrusted.context
}

/** Node's own client takes certificates for one request, which `fetch` does not. */
function sendThrough(ca: string | undefined) {
  const trusted = ca === undefined ? {} : { secureContext: trustIn(ca) }
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
