/**
 * The release log over HTTP: head and digests are public, entries only if the operator allows it.
 *
 * Heads and digests reveal the number of decisions and nothing about apps. Entries contain apps, devices, instances and
 * times, so the operator decides if they are public.
 */
import type { Context, Hono } from 'hono'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import type { NodeLog } from './node-log.ts'
import type { SealedSegment } from './segment.ts'
import { nonceSchema } from './witness-response.ts'

/**
 * Adds `/log/head`, `/log/digests` and, if entries are public, `/log/segments/:number`. Errors of callers have status
 * 400 and their code in `x-assent-error`.
 */
export function mountLog(app: Hono, log: NodeLog, entries: 'public' | 'private'): void {
  app.get('/log/head', (context) =>
    reply(context, async () => {
      const nonce = nonceSchema.safeParse(context.req.query('nonce') ?? '')
      if (!nonce.success) throw invalid('nonce must be 32 to 128 hexadecimal digits')
      return context.body(await log.answer(nonce.data), 200, { 'content-type': 'application/json' })
    }),
  )
  app.get('/log/digests', (context) =>
    reply(context, async () =>
      context.text(toHex(await log.digests(readNumber(context.req.query('from'))))),
    ),
  )
  if (entries === 'public') {
    app.get('/log/segments/:number', (context) => reply(context, () => sendSegment(context, log)))
  }
}

/** Read from the disk at once. A slow reader holds one part in memory, not a whole segment. */
const partBytes = 2 ** 16

async function sendSegment(context: Context, log: NodeLog): Promise<Response> {
  const segment = await log.segment(readNumber(context.req.param('number')))
  if (segment === undefined) return context.json({ error: 'not found' }, 404)
  const { size } = segment
  const from = readStart(context.req.header('range'))
  if (from > 0 && from >= size) {
    return context.body(null, 416, { 'content-range': `bytes */${size}` })
  }
  const headers = {
    'content-type': 'application/x-ndjson',
    // a file that is deleted meanwhile breaks the connection, and the reader sees that bytes are missing
    'content-length': String(size - from),
  }
  if (from === 0) return context.body(streamOf(segment, from), 200, headers)
  const range = `bytes ${from}-${size - 1}/${size}`
  return context.body(streamOf(segment, from), 206, { ...headers, 'content-range': range })
}

/** A copy is continued with `bytes=N-` (RFC 9110 §14.2). Other ranges are ignored, as the RFC allows. */
function readStart(range: string | undefined): number {
  const [, digits] = /^bytes=([0-9]{1,15})-$/.exec(range ?? '') ?? []
  return digits === undefined ? 0 : Number(digits)
}

/** Reads the next part only when the last one was taken. Ingress limits close readers that are too slow. */
function streamOf({ size, read }: SealedSegment, from: number): ReadableStream<Uint8Array> {
  let offset = from
  return new ReadableStream(
    {
      pull: async (controller) => {
        if (offset === size) return controller.close()
        const part = await read(offset, partBytes)
        if (part.length === 0) throw new Error('The segment is shorter than its size.')
        offset += part.length
        controller.enqueue(part)
      },
    },
    { highWaterMark: 0 },
  )
}

async function reply(context: Context, run: () => Promise<Response>): Promise<Response> {
  try {
    return await run()
  } catch (error) {
    if (!isAssentError(error)) throw error
    return context.json({ error: error.message }, 400, { 'x-assent-error': error.code })
  }
}

function readNumber(text: string | undefined): number {
  if (text !== undefined && /^(0|[1-9][0-9]{0,14})$/.test(text)) return Number(text)
  throw invalid('a decimal number is required')
}

function invalid(what: string): AssentError {
  return new AssentError('KMS_REQUEST_INVALID', `invalid request: ${what}`)
}
