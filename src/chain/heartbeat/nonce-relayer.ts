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
  /** Name of the token, if the file is a JSON object of several. */
  readonly tokenName?: string | undefined
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
  options: NonceRelayerOptions,
  path: string,
  init: RequestInit,
): Promise<{ readonly status: number; readonly text: string }> {
  const { url, name, timeoutMs } = options
  const token = await readToken(options)
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

const maxTokenFile = 65_536
const tokenSchema = z.string().regex(/^[\x21-\x7e]{1,512}$/)

/** An error names the file and the token's name, and nothing of its content. @throws FILE_UNREADABLE, HEARTBEAT_TOKEN_INVALID */
async function readToken({ name, tokenFile, tokenName }: NonceRelayerOptions): Promise<string> {
  const text = (await readBytes(tokenFile, maxTokenFile)).toString('utf8')
  const token = tokenName === undefined ? text.trim() : tokenIn(text, tokenName)
  if (tokenSchema.safeParse(token).success) return token as string
  const what = tokenName === undefined ? 'one token' : `a token with the name ${tokenName}`
  throw new AssentError('HEARTBEAT_TOKEN_INVALID', `${tokenFile} does not contain ${what}.`, {
    facts: { endpoint: name, file: tokenFile, tokenName: tokenName ?? null },
  })
}

function tokenIn(text: string, name: string): unknown {
  try {
    const tokens = z
      .record(z.string(), z.unknown())
      .parse(readJson(text, { depth: 1, values: 64 }).value)
    return Object.hasOwn(tokens, name) ? tokens[name] : undefined
  } catch {
    // the cause could quote the file
    return undefined
  }
}

function refused(name: string, status: number): AssentError {
  if (status === 401 || status === 403) {
    const message = `${name} refused the token (status ${status}).`
    return new AssentError('HEARTBEAT_TOKEN_INVALID', message, {
      facts: { endpoint: name, status },
    })
  }
  return new AssentError('CHAIN_UNREACHABLE', `${name} answered with status ${status}.`, {
    facts: { endpoint: name, status },
  })
}
