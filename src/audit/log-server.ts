/**
 * Client of the release log of a KMS node over HTTP. Heads are signed and entries are sealed, so the TLS certificate is not
 * checked.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

import { AssentError } from '../errors/index.ts'
import { collectPieces } from '../lib/collect-pieces.ts'

/** The rest of a segment from an offset on. */
export interface SegmentPart {
  /** Bytes of the whole segment up to its last seal. */
  readonly size: number
  /** Bytes from this offset on follow. */
  readonly from: number
  readonly content: AsyncIterable<Uint8Array>
}

/** The log of one node. */
export interface LogServer {
  /** The signed answer to `/log/head`. @throws KMS_UNREACHABLE */
  head(nonce: string): Promise<string>
  /**
   * A segment from an offset on; an old node sends it from its start.
   *
   * @returns undefined if the node has no such segment, or does not show entries
   * @throws KMS_UNREACHABLE, KMS_ANSWER_INVALID if the segment is empty, or shorter than the offset
   */
  segment(number: number, from: number): Promise<SegmentPart | undefined>
}

/** Milliseconds for a head, and for the headers of a segment. */
const answerMs = 15_000
/** A node that sends more slowly is given up: milliseconds for each piece of 64 KiB, and at least. */
const pieceMs = 2_000
/** Bytes. A signed answer with the heads of 65 logs has about 30 KB. */
const maxHead = 2 ** 17
/** Bytes. A node starts a new segment after 64 MiB. */
export const maxSegmentBytes = 2 ** 29

/** @param url `https://host:port` of the node */
export function openLogServer(url: string): LogServer {
  return {
    async head(nonce) {
      const answer = await get(url, `/log/head?nonce=${nonce}`)
      if (answer.statusCode !== 200) throw refused(url, answer)
      return await textOf(url, answer)
    },
    async segment(number, from) {
      const range: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-` }
      const answer = await get(url, `/log/segments/${number}`, range)
      const { statusCode: status } = answer
      if (status === 200) {
        const size = bytesAhead(url, answer)
        if (size === 0) throw empty(url, number)
        return partOf(url, answer, 0, size)
      }
      if (status === 206) return partOf(url, answer, from, from + bytesAhead(url, answer))
      answer.destroy()
      if (status === 404) return undefined
      if (status === 416) return unsatisfied(url, answer, number, from)
      throw refused(url, answer)
    },
  }
}

function get(
  url: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<IncomingMessage> {
  const target = new URL(path, url)
  const request = target.protocol === 'http:' ? requestHttp : requestHttps
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(unreachable(url, 'did not answer', cause))
    const options = { rejectUnauthorized: false, agent: false, headers }
    const outgoing = request(target, options, (incoming) => {
      clearTimeout(timer)
      resolve(incoming)
    })
    const timer = setTimeout(() => outgoing.destroy(new Error('no answer in time')), answerMs)
    outgoing.on('error', fail)
    outgoing.on('close', () => clearTimeout(timer))
    outgoing.end()
  })
}

async function textOf(url: string, incoming: IncomingMessage): Promise<string> {
  const timer = setTimeout(() => incoming.destroy(new Error('no answer in time')), answerMs)
  const body = collectPieces(incoming, maxHead, () =>
    incoming.destroy(new RangeError(`an answer of over ${maxHead} bytes`)),
  )
  try {
    await new Promise((resolve, reject) => incoming.on('end', resolve).on('error', reject))
    return body().toString('utf8')
  } catch (cause) {
    throw unreachable(url, 'did not answer completely', cause)
  } finally {
    clearTimeout(timer)
  }
}

/** The length of the body, which the node must state. */
function bytesAhead(url: string, answer: IncomingMessage): number {
  const length = answer.headers['content-length'] ?? ''
  if (/^[0-9]{1,10}$/.test(length) && Number(length) <= maxSegmentBytes) return Number(length)
  answer.destroy()
  throw unreachable(url, `did not state a size of at most ${maxSegmentBytes} bytes`)
}

function partOf(url: string, answer: IncomingMessage, from: number, size: number): SegmentPart {
  return { size, from, content: readBody(url, answer, size - from) }
}

/** A body that ends early is an outage. A fixed pace bounds the whole: 64 KiB in two seconds. */
async function* readBody(
  url: string,
  answer: IncomingMessage,
  length: number,
): AsyncGenerator<Uint8Array> {
  const allowed = answerMs + (length / 2 ** 16) * pieceMs
  const timer = setTimeout(() => answer.destroy(new Error('too slow')), allowed)
  let read = 0
  try {
    for await (const piece of answer) {
      read += piece.length
      yield piece
    }
    if (read !== length) throw new Error(`${read} of ${length} bytes`)
  } catch (cause) {
    throw unreachable(url, 'did not send a whole segment', cause)
  } finally {
    clearTimeout(timer)
    answer.destroy()
  }
}

/** Each segment has a header. */
function empty(url: string, segment: number): AssentError {
  const message = `The node sent an empty segment of its log (segment ${segment}).`
  return new AssentError('KMS_ANSWER_INVALID', message, { facts: { url, segment } })
}

/** Nothing follows the offset (RFC 9110 §14.4): the copy is complete, or longer than the segment. */
function unsatisfied(
  url: string,
  { headers }: IncomingMessage,
  number: number,
  from: number,
): SegmentPart {
  const size = Number(/^bytes \*\/([0-9]{1,10})$/.exec(headers['content-range'] ?? '')?.[1])
  if (size === from) return { size, from, content: (async function* () {})() }
  throw new AssentError(
    'KMS_ANSWER_INVALID',
    `The node sent less of its log than was copied (segment ${number}).`,
    {
      facts: { url, segment: number, copied: from, found: Number.isNaN(size) ? null : size },
    },
  )
}

function refused(url: string, answer: IncomingMessage): AssentError {
  answer.destroy()
  return unreachable(url, `answered with status ${answer.statusCode}`)
}

function unreachable(url: string, what: string, cause?: unknown): AssentError {
  return new AssentError('KMS_UNREACHABLE', `The KMS node ${what}.`, { cause, facts: { url } })
}
