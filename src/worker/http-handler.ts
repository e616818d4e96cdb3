/** The app's handler as an HTTP server on this machine. */
import { maxRequestBytes } from '../chain/registries/requests.ts'
import { AssentError } from '../errors/index.ts'
import { concatBytes } from '../lib/bytes.ts'
import type { Handler } from './answer-request.ts'

/** Status with which a handler refuses an input: it will never answer it. */
const refusedStatus = 422

/**
 * Sends each input to a URL of this machine: `POST` with the input as body, headers `assent-request-id` and
 * `assent-requester`. Status 200 with the result as body, or 422: the input is refused. Any other answer is a failure that is
 * tried again.
 *
 * @param url `http://` on loopback
 * @example createHttpHandler('http://127.0.0.1:8000/answer')
 */
export function createHttpHandler(url: string): Handler {
  return async ({ id, requester, body, signal }) => {
    const response = await fetch(url, {
      method: 'POST',
      body: body as Uint8Array<ArrayBuffer>,
      headers: {
        'content-type': 'application/octet-stream',
        'assent-request-id': id,
        'assent-requester': requester,
      },
      redirect: 'error',
      signal,
    })
    if (response.status === refusedStatus) {
      await response.body?.cancel()
      throw new AssentError('WORKER_INPUT_REFUSED', 'The app refuses this input.')
    }
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel()
      throw new AssentError('WORKER_HANDLER_FAILED', 'The handler answered with another status.', {
        facts: { found: response.status, expected: `200 or ${refusedStatus}` },
      })
    }
    return readBody(response.body)
  }
}

/** Stops at the piece that makes it longer than a result may be. */
async function readBody(body: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  let collected: Uint8Array = new Uint8Array()
  for await (const piece of body) {
    collected = concatBytes(collected, piece)
    if (collected.length <= maxRequestBytes) continue
    throw new AssentError('WORKER_HANDLER_FAILED', 'The result of the handler is too long.', {
      facts: { expected: `at most ${maxRequestBytes} bytes` },
    })
  }
  return collected
}
