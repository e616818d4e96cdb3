/** Client of a witness over HTTPS. Its answers are signed, so the TLS certificate is not checked. */
import { request } from 'node:https'

import { AssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'
import { collectPieces } from '../../lib/collect-pieces.ts'
import type { WitnessClient } from './witness.ts'
import { digestsPerAnswer } from './writer.ts'

/** For a complete answer: a witness that sends byte by byte gets no more time. */
const timeoutMs = 10_000
/** Bytes. A signed answer with the heads of 65 logs has about 30 KB. */
const maxHead = 2 ** 17
const maxDigests = digestsPerAnswer * 64

/**
 * @param url `https://host:port` of the replica
 * @param deadlineMs for each complete answer
 * @throws KMS_UNREACHABLE from both methods
 */
export function createWitnessClient(url: string, deadlineMs = timeoutMs): WitnessClient {
  const ask = (path: string, limit: number, signal?: AbortSignal) => {
    const deadline = AbortSignal.timeout(deadlineMs)
    return get(url, path, limit, signal ? AbortSignal.any([signal, deadline]) : deadline)
  }
  return {
    url,
    head: (nonce, signal) => ask(`/log/head?nonce=${nonce}`, maxHead, signal),
    digests: async (from, signal) => {
      const text = await ask(`/log/digests?from=${from}`, maxDigests, signal)
      const bytes = fromHex(text, 'digests')
      if (bytes.length % 32 !== 0) throw unreachable(url, 'returned an incomplete digest')
      return bytes
    },
  }
}

function get(url: string, path: string, limit: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(unreachable(url, 'did not answer', cause))
    const options = { rejectUnauthorized: false, agent: false, signal }
    const outgoing = request(new URL(path, url), options, (incoming) => {
      const body = collectPieces(incoming, limit, () =>
        outgoing.destroy(new RangeError(`an answer of over ${limit} bytes`)),
      )
      incoming.on('error', fail)
      incoming.on('end', () => {
        if (incoming.statusCode === 200) resolve(body().toString('utf8'))
        else fail(new Error(`status ${incoming.statusCode}`))
      })
    })
    outgoing.on('error', fail)
    outgoing.end()
  })
}

function unreachable(url: string, what: string, cause?: unknown): AssentError {
  return new AssentError('KMS_UNREACHABLE', `The witness ${what}.`, { cause, facts: { url } })
}
