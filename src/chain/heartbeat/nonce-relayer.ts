/** Connects to a relayer that posts nonces: `POST /v1/heartbeat` and `GET /v1/heartbeat/{nonce}`. It is not trusted. */
import { z } from 'zod'

import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { readBytes } from '../../lib/files.ts'
import { readBody } from '../../lib/http-get.ts'
import { readJson } from '../../lib/json.ts'
import { bytes32Schema } from '../../lib/schema.ts'
import type { NonceRelayer } from './heartbeat.ts'
import { maxDepth, maxLater } from './tree.ts'

/** Connection to a relayer. */
export interface NonceRelayerOptions {
  /** Base of its API, without `/v1`. */
  readonly url: string
  /** For metrics and errors: position and host. */
  readonly name: string
  /** The account that posts its values. */
  readonly poster: Hex
  /** File with the token of an operator of the relayer. */
  readonly tokenFile: string
  /** For one whole exchange. */
  readonly timeoutMs: number
}

/** A proof with as many words as the schema allows has about 36,000 bytes. */
const maxBytes = 65_536

const proofSchema = z.strictObject({
  path: z.array(bytes32Schema).max(maxDepth),
  previous: bytes32Schema,
  later: z.array(bytes32Schema).max(maxLater),
})

/**
 * Connects to a relayer. Nothing is sent yet; the token is read from its file for each request, so that it can be replaced.
 *
 * @example connectNonceRelayer({ url: 'https://relayer.example', name: '1:relayer.example', poster, tokenFile, timeoutMs: 10_000 })
 */
export function connectNonceRelayer(options: NonceRelayerOptions): NonceRelayer {
  const { name, poster } = options
  return {
    name,
    poster,
    send: async (nonce) => {
      const body = JSON.stringify({ nonce })
      const { status } = await exchange(options, '/v1/heartbeat', { method: 'POST', body })
      if (status !== 200 && status !== 202) throw refused(name, status)
    },
    prove: async (nonce) => {
      const { status, text } = await exchange(options, `/v1/heartbeat/${nonce}`, {})
      if (status === 404) return undefined
      if (status !== 200) throw refused(name, status)
      try {
        return proofSchema.parse(readJson(text, { depth: 2, values: maxLater + 64 }).value)
      } catch (cause) {
        const message = `${name} answered with something that is not a proof of a nonce.`
        throw new AssentError('CHAIN_ANSWER_INVALID', message, { cause, facts: { endpoint: name } })
      }
    },
  }
}

async function exchange(
  { url, name, tokenFile, timeoutMs }: NonceRelayerOptions,
  path: string,
  init: RequestInit,
): Promise<{ readonly status: number; readonly text: string }> {
  const token = (await readBytes(tokenFile)).toString('utf8').trim()
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      signal,
      // only the configured host gets the token
      redirect: 'error',
    })
    const text = Buffer.from(await readBody(response, maxBytes)).toString('utf8')
    return { status: response.status, text }
  } catch (cause) {
    if (isAssentError(cause)) throw cause
    const facts = { endpoint: name }
    if (signal.aborted) {
      const message = `${name} did not answer within ${timeoutMs} ms.`
      throw new AssentError('CHAIN_TIMEOUT', message, { cause, facts: { ...facts, timeoutMs } })
    }
    if (cause instanceof RangeError) {
      const message = `${name} answered with more than ${maxBytes} bytes.`
      throw new AssentError('CHAIN_ANSWER_INVALID', message, { facts })
    }
    throw new AssentError('CHAIN_UNREACHABLE', `${name} did not answer.`, { cause, facts })
  }
}

function refused(name: string, status: number): AssentError {
  return new AssentError('CHAIN_UNREACHABLE', `${name} answered with status ${status}.`, {
    facts: { endpoint: name, status },
  })
}
