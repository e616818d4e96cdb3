/** A witness over HTTPS. What it says is signed, so its certificate is not looked at. */
import { request } from 'node:https'

import { AssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'
import type { Peer } from './witness.ts'

const timeoutMs = 10_000
const maxAnswer = 2 ** 20

export function createPeer(url: string): Peer {
  return {
    url,
    head: async (nonce) => (await get(url, `/log/head?nonce=${nonce}`)).toString('utf8'),
    digests: async (from) => {
      const text = (await get(url, `/log/digests?from=${from}`)).toString('utf8')
      const bytes = fromHex(text, 'digests')
      if (bytes.length % 32 !== 0) throw silent(url, 'a part of a digest')
      return bytes
    },
  }
}

function get(url: string, path: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(silent(url, 'no answer', cause))
    const options = { rejectUnauthorized: false, agent: false, timeout: timeoutMs }
    const outgoing = request(new URL(path, url), options, (incoming) => {
      const chunks: Buffer[] = []
      let size = 0
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxAnswer) outgoing.destroy(new Error('too large'))
        chunks.push(chunk)
      })
      incoming.on('error', fail)
      incoming.on('end', () => {
        if (incoming.statusCode === 200) resolve(Buffer.concat(chunks))
        else fail(new Error(`status ${incoming.statusCode}`))
      })
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`nothing within ${timeoutMs} ms`)))
    outgoing.on('error', fail)
    outgoing.end()
  })
}

function silent(url: string, what: string, cause?: unknown): AssentError {
  return new AssentError('KMS_UNREACHABLE', `The witness gave ${what}.`, { cause, facts: { url } })
}
