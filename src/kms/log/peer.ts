/** A witness over HTTPS. What it says is signed, so its certificate is not looked at. */
import { request } from 'node:https'

import { AssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'
import type { WitnessClient } from './witness.ts'
import { digestsPerAnswer } from './writer.ts'

/** For a whole answer, however it comes: bytes that drip do not extend it. */
const timeoutMs = 10_000
/** A signed answer about 65 logs is 30 KB. */
const maxHead = 2 ** 17
const maxDigests = digestsPerAnswer * 64

/** @param deadlineMs for each whole answer */
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
      if (bytes.length % 32 !== 0) throw silent(url, 'a part of a digest')
      return bytes
    },
  }
}

function get(url: string, path: string, limit: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(silent(url, 'no answer', cause))
    const options = { rejectUnauthorized: false, agent: false, signal }
    const outgoing = request(new URL(path, url), options, (incoming) => {
      const chunks: Buffer[] = []
      let size = 0
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > limit) outgoing.destroy(new RangeError(`an answer of over ${limit} bytes`))
        else chunks.push(chunk)
      })
      incoming.on('error', fail)
      incoming.on('end', () => {
        if (incoming.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'))
        else fail(new Error(`status ${incoming.statusCode}`))
      })
    })
    outgoing.on('error', fail)
    outgoing.end()
  })
}

function silent(url: string, what: string, cause?: unknown): AssentError {
  return new AssentError('KMS_UNREACHABLE', `The witness gave ${what}.`, { cause, facts: { url } })
}
