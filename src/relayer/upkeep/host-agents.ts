/** Sources of fresh quotes for renewals: the guest agent on a host, or an agent hook of the operator. */
import { z } from 'zod'

import { type HostBinding, hostReportData } from '../../chain/registries/hosts.ts'
import { AssentError } from '../../errors/index.ts'
import { fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { readBody } from '../../lib/http-get.ts'
import { bytesSchema } from '../../lib/schema.ts'
import { createAgentClient } from '../../tee/agent.ts'
import { requireReportData } from '../../tee/source.ts'

/** Required content of a quote and its permit. */
export interface QuoteRequest {
  /** Goes into the report data of the quote. */
  readonly binding: HostBinding
  /** Unix seconds until which the permit must be valid. */
  readonly deadline: number
  /** The account that sends the transaction. If it is the operator, no permit is needed. */
  readonly account: Hex
  /** The permit should sign the compact quote with this verification record; null: the quote itself. */
  readonly record: Hex | null
}

/** A new quote of a host. */
export interface FreshQuote {
  /** Raw bytes. */
  readonly quote: Uint8Array
  /** JSON of dstack's guest agent, unchanged. */
  readonly eventLog: string
  /** Signature of the permit; undefined if the relayer's account is the operator. */
  readonly signature: Hex | undefined
  /** Verification record of the compact quote that the permit signs; null: the permit signs the quote. */
  readonly record: Hex | null
}

/** Returns a quote with the requested report data. Throws TEE_… and RELAYER_AGENT_… */
export type Agent = (request: QuoteRequest) => Promise<FreshQuote>

/** Asks a guest agent on a local socket. There is no permit, so the operator must be the relayer's account. */
export function createSocketAgent(socket: string, timeoutMs = 20_000): Agent {
  const client = createAgentClient({ socket, timeoutMs })
  return async ({ binding, account, record }) => {
    if (binding.operator.toLowerCase() !== account) {
      throw new AssentError(
        'RELAYER_AGENT_OPERATOR',
        "The host of this agent socket has another operator than the relayer's account.",
        { facts: { operator: binding.operator, account } },
      )
    }
    const { quote, eventLog } = await client.attest(hostReportData(binding))
    return { quote, eventLog, signature: undefined, record }
  }
}

/** Connection to an agent hook. */
export interface HookOptions {
  /** HTTPS URL of the operator's agent hook. */
  readonly url: string
  /** Sent as a bearer token. */
  readonly token?: string
  /** Replaces Node's HTTP client, for tests. */
  readonly fetch?: typeof globalThis.fetch
  /** Milliseconds for one answer. A quote takes a host up to some seconds. */
  readonly timeoutMs?: number
}

const answerSchema = z.strictObject({
  quote: bytesSchema,
  eventLog: z.string().max(1_048_576),
  /** EIP-712 `HostRegistration` over the quote or the compact quote. */
  signature: bytesSchema.refine(({ length }) => length > 2 && length <= 4_098, '1 to 2048 bytes'),
  /** The requested record, if the permit signs the compact quote. */
  record: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/)
    .transform((text) => text.toLowerCase() as Hex)
    .nullish(),
})

const maxAnswerBytes = 2 * 1_048_576

/**
 * Asks an agent hook: `POST` with `{chainId, registry, operator, blockNumber, blockHash, reportData, deadline, record}`.
 * It answers `{quote, eventLog, signature, record}`, at most 2 MiB.
 */
export function createHookAgent(options: HookOptions): Agent {
  const host = new URL(options.url).host
  return async ({ binding, deadline, record }) => {
    const reportData = hostReportData(binding)
    const body = JSON.stringify({
      chainId: binding.chainId,
      registry: binding.registry,
      operator: binding.operator,
      blockNumber: Number(binding.block.number),
      blockHash: binding.block.hash,
      reportData: to0x(reportData),
      deadline,
      record,
    })
    const answer = readAnswer(host, await post(host, options, body))
    const quote = fromHex(answer.quote, 'quote')
    requireReportData(quote, reportData)
    if (answer.record && answer.record !== record) throw invalid(host, 'another record')
    return {
      quote,
      eventLog: answer.eventLog,
      signature: answer.signature,
      record: answer.record ?? null,
    }
  }
}

async function post(host: string, options: HookOptions, body: string): Promise<string> {
  const { url, token, fetch = globalThis.fetch, timeoutMs = 30_000 } = options
  try {
    const response = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    })
    const text = await readText(host, response)
    if (response.status === 200) return text
    throw new AssentError(
      'RELAYER_AGENT_UNAVAILABLE',
      `The agent hook ${host} answered with status ${response.status}.`,
      // the body is left out: it may contain the token
      { facts: { host, status: response.status } },
    )
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw new AssentError('RELAYER_AGENT_UNAVAILABLE', `The agent hook ${host} does not answer.`, {
      cause,
      facts: { host },
    })
  }
}

async function readText(host: string, response: Response): Promise<string> {
  try {
    return Buffer.from(await readBody(response, maxAnswerBytes)).toString('utf8')
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw invalid(host, `an answer longer than ${maxAnswerBytes} bytes`)
  }
}

function readAnswer(host: string, text: string): z.output<typeof answerSchema> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw invalid(host, 'text that is not JSON')
  }
  const parsed = answerSchema.safeParse(json)
  if (!parsed.success) throw invalid(host, describeIssues(parsed.error))
  return parsed.data
}

function invalid(host: string, found: string): AssentError {
  return new AssentError('RELAYER_AGENT_INVALID', `The agent hook ${host} returned ${found}.`, {
    facts: { host, found },
  })
}
