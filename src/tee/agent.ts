/**
 * Client of dstack's guest agent: JSON over HTTP on a Unix socket.
 *
 * The agent is part of the CVM, but its answers are checked like any input. A quote with other report data than
 * requested is an error.
 */
import { request } from 'node:http'

import { z } from 'zod'

import { AssentError, isAssentError } from '../errors/index.ts'
import { fromHex, requireLength, toHex } from '../lib/bytes.ts'
import { collectPieces } from '../lib/collect-pieces.ts'
import { describeIssues } from '../lib/config.ts'
import { type QuoteSource, type RawAttestation, requireReportData } from './source.ts'

/** Connection to the guest agent. */
export interface AgentOptions {
  /** Path of the Unix socket. */
  readonly socket: string
  /** For one request; default 10,000. A TDX quote takes tens of milliseconds, or seconds on a busy host. */
  readonly timeoutMs?: number
}

/** A request for a derived key of the app. */
export interface KeyRequest {
  /** Identifies the key inside the app. */
  readonly path: string
  /** Part of the message that the app key signs about the key. */
  readonly purpose: string
  /** Default: `secp256k1`. */
  readonly algorithm?: 'secp256k1' | 'ed25519'
}

/** A key of the app with the signatures that lead to the root key of the KMS. */
export interface DerivedKey {
  /** Private key, 32 bytes. */
  readonly key: Uint8Array
  /** The app key's signature over the public key, the KMS root's signature over the app key. */
  readonly signatureChain: readonly [Uint8Array, Uint8Array]
}

/** Facts about the CVM, as the agent reports them. They are not proven; use a quote for that. */
export interface AgentInfo {
  /** 20 bytes. */
  readonly appId: Uint8Array
  /** 20 bytes. */
  readonly instanceId: Uint8Array
  /** 32 bytes. */
  readonly composeHash: Uint8Array
  /** 32 bytes. */
  readonly osImageHash: Uint8Array
  /** 32 bytes. */
  readonly mrAggregated: Uint8Array
  /** JSON text. */
  readonly keyProviderInfo: string
  /** JSON text, as the host gave it. */
  readonly vmConfig: string
}

/** Client of dstack's guest agent (guest API v0, over a Unix socket). */
export interface AgentClient extends QuoteSource {
  /** A VersionedAttestation with this report data (64 bytes). @throws TEE_* */
  attestation(reportData: Uint8Array): Promise<Uint8Array>
  /** @throws TEE_* */
  info(): Promise<AgentInfo>
  /** @throws TEE_* */
  getKey(key: KeyRequest): Promise<DerivedKey>
}

/** Socket paths of current and older dstack images, in the order to try them. */
export const agentSockets = ['/var/run/dstack/dstack.sock', '/var/run/dstack.sock'] as const

const maxAnswerBytes = 16 * 1024 * 1024

const hex = z.string().regex(/^(?:0x)?(?:[0-9a-fA-F]{2})*$/, 'bytes as hexadecimal')
const bytes = hex.transform((text) => fromHex(text, 'answer'))
const bytesOf = (length: number) =>
  bytes.refine((value) => value.length === length, `${length} bytes`)
const signature = bytesOf(65)

// newer agents send more fields, so unknown ones are ignored
const quoteAnswer = z.object({
  quote: bytes,
  event_log: z.string(),
  report_data: bytes,
  vm_config: z.string().optional(),
})
const attestAnswer = z.object({ attestation: bytes })
const keyAnswer = z.object({ key: bytesOf(32), signature_chain: z.tuple([signature, signature]) })
const infoAnswer = z.object({
  app_id: bytesOf(20),
  instance_id: bytes.refine(
    (value) => value.length === 0 || value.length === 20,
    'nothing or 20 bytes',
  ),
  compose_hash: bytesOf(32),
  os_image_hash: bytes,
  mr_aggregated: bytesOf(32),
  key_provider_info: z.string(),
  vm_config: z.string(),
})

/**
 * @example
 * const agent = createAgentClient({ socket: agentSockets[0] })
 * const { quote } = await agent.attest(reportData)
 */
export function createAgentClient({ socket, timeoutMs = 10_000 }: AgentOptions): AgentClient {
  const call = async <S extends z.ZodType>(method: string, body: object, answer: S) =>
    readAnswer(method, answer, await post(socket, method, body, timeoutMs))

  return {
    async attest(reportData): Promise<RawAttestation> {
      requireLength(reportData, 'report data', 64)
      const answer = await call('GetQuote', { report_data: toHex(reportData) }, quoteAnswer)
      requireReportData(answer.quote, reportData)
      return {
        quote: answer.quote,
        eventLog: answer.event_log,
        vmConfig: answer.vm_config ?? '',
      }
    },
    async attestation(reportData) {
      requireLength(reportData, 'report data', 64)
      const answer = await call('Attest', { report_data: toHex(reportData) }, attestAnswer)
      return answer.attestation
    },
    async info() {
      const answer = await call('Info', {}, infoAnswer)
      return {
        appId: answer.app_id,
        instanceId: answer.instance_id,
        composeHash: answer.compose_hash,
        osImageHash: answer.os_image_hash,
        mrAggregated: answer.mr_aggregated,
        keyProviderInfo: answer.key_provider_info,
        vmConfig: answer.vm_config,
      }
    },
    async getKey({ path, purpose, algorithm = 'secp256k1' }) {
      const answer = await call('GetKey', { path, purpose, algorithm }, keyAnswer)
      return { key: answer.key, signatureChain: answer.signature_chain }
    },
  }
}

interface HttpAnswer {
  readonly status: number
  readonly body: string
}

function readAnswer<S extends z.ZodType>(
  method: string,
  schema: S,
  { status, body }: HttpAnswer,
): z.output<S> {
  const json = parseJson(method, status, body)
  if (status !== 200) throw refusal(method, status, json)
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new AssentError('TEE_ANSWER_INVALID', `${method}: ${describeIssues(parsed.error)}`, {
    facts: { method },
  })
}

function parseJson(method: string, status: number, body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    // the body may contain a key, so it is not part of the error
    throw new AssentError('TEE_ANSWER_INVALID', `The agent's answer to ${method} is not JSON.`, {
      facts: { method, status },
    })
  }
}

function refusal(method: string, status: number, json: unknown): AssentError {
  const reason = z.object({ error: z.string() }).safeParse(json)
  const words = reason.success ? reason.data.error.slice(0, 500) : 'no reason given'
  return new AssentError('TEE_REFUSED', `The agent refused ${method}: ${words}`, {
    facts: { method, status },
  })
}

/** One connection per request, without keep-alive. */
function post(
  socket: string,
  method: string,
  body: object,
  timeoutMs: number,
): Promise<HttpAnswer> {
  const payload = JSON.stringify(body)
  const headers = {
    host: 'dstack',
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(payload),
  }
  const signal = AbortSignal.timeout(timeoutMs)
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(connectionError(socket, method, error, signal))
    const call = request(
      { socketPath: socket, path: `/${method}`, method: 'POST', headers, agent: false, signal },
      (response) => {
        const body = collectPieces(response, maxAnswerBytes, () => call.destroy(tooLarge(method)))
        response.on('error', fail)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: body().toString('utf8'),
          }),
        )
      },
    )
    call.on('error', fail)
    call.end(payload)
  })
}

function tooLarge(method: string): AssentError {
  return new AssentError('TEE_ANSWER_INVALID', `The agent's answer to ${method} has no end.`, {
    facts: { method, limit: maxAnswerBytes },
  })
}

function connectionError(
  socket: string,
  method: string,
  error: unknown,
  signal: AbortSignal,
): AssentError {
  if (isAssentError(error)) return error
  const facts = { socket, method }
  return signal.aborted
    ? new AssentError('TEE_TIMEOUT', `The agent did not answer ${method} in time.`, { facts })
    : new AssentError('TEE_UNAVAILABLE', `The agent at ${socket} cannot be reached.`, {
        facts,
        cause: error,
      })
}
