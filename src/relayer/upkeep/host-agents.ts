/** Whom the keeper asks for a fresh quote: the dstack agent of a machine, or a hook of its operator. */
import { z } from 'zod'

import { type HostBinding, hostReportData } from '../../chain/hosts.ts'
import { AssentError } from '../../errors/index.ts'
import { fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { bytesSchema } from '../../lib/schema.ts'
import { createAgentClient } from '../../tee/agent.ts'
import { requireReportData } from '../../tee/source.ts'

export interface QuoteRequest {
  readonly binding: HostBinding
  /** Unix seconds until which the permit must last. */
  readonly deadline: number
  /** Sent by this account: where it is the operator itself, no permit is needed. */
  readonly account: Hex
  /** Permit is wanted for the short form that names this record; null: for the quote itself. */
  readonly record: Hex | null
}

export interface FreshQuote {
  readonly quote: Uint8Array
  readonly eventLog: string
  /** Undefined where the relayer's own account is the operator. */
  readonly signature: Hex | undefined
  /** What the permit is about. */
  readonly record: Hex | null
}

/** Throws TEE_… and RELAYER_AGENT_…; a quote over other report data never comes out. */
export type Agent = (request: QuoteRequest) => Promise<FreshQuote>

/** The agent's socket; its machine is one of the relayer's own, so there is nobody to sign. */
export function createSocketAgent(socket: string, timeoutMs = 20_000): Agent {
  const client = createAgentClient({ socket, timeoutMs })
  return async ({ binding, account, record }) => {
    if (binding.operator.toLowerCase() !== account) {
      throw new AssentError(
        'RELAYER_AGENT_OPERATOR',
        'The machine of a socket belongs to another operator than this relayer.',
        { facts: { operator: binding.operator, account } },
      )
    }
    const { quote, eventLog } = await client.attest(hostReportData(binding))
    return { quote, eventLog, signature: undefined, record }
  }
}

export interface HookOptions {
  readonly url: string
  /** Sent as a bearer token. */
  readonly token?: string
  readonly fetch?: typeof globalThis.fetch
  readonly timeoutMs?: number
}

const answerSchema = z.strictObject({
  quote: bytesSchema,
  eventLog: z.string().max(1_048_576),
  /** Of `HostRegistration`, over the quote or over its short form. */
  signature: bytesSchema.refine(({ length }) => length > 2 && length <= 4_098, '1 to 2048 bytes'),
  /** The record that was asked for, if the permit is about the short form. */
  record: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/)
    .transform((text) => text.toLowerCase() as Hex)
    .nullish(),
})

const maxAnswerBytes = 2 * 1_048_576

/**
 * `POST` to the operator's hook with `{chainId, registry, operator, blockNumber, blockHash, reportData,
 * deadline, record}`; it answers `{quote, eventLog, signature, record}`.
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
      `${host} gave status ${response.status}.`,
      // what it says may repeat the token
      { facts: { host, status: response.status } },
    )
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw new AssentError('RELAYER_AGENT_UNAVAILABLE', `${host} does not answer.`, {
      cause,
      facts: { host },
    })
  }
}

async function readText(host: string, response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.length
    if (length > maxAnswerBytes) throw invalid(host, 'an answer without end')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function readAnswer(host: string, text: string): z.output<typeof answerSchema> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw invalid(host, 'no JSON')
  }
  const parsed = answerSchema.safeParse(json)
  if (!parsed.success) throw invalid(host, describeIssues(parsed.error))
  return parsed.data
}

function invalid(host: string, found: string): AssentError {
  return new AssentError('RELAYER_AGENT_INVALID', `${host} gave ${found}.`, {
    facts: { host, found },
  })
}
