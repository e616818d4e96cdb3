/** The claims about a boot in the guest agent's answer to GetQuote, before the quote is verified. */
import { hash } from 'node:crypto'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import { parseCertificate } from '../certificates/certificate.ts'
import { parseQuote, type Quote } from '../parse.ts'
import {
  type EventView,
  parseEventLog,
  replayRtmr3,
  requireRtmr3,
  runtimeEvents,
} from './event-log.ts'
import { mrAggregated, mrSystem, parseVmConfig, readAppInfo } from './measure.ts'

/** Everything that a KMS asks the chain about, except the TCB status. Lengths as in `BootInfo`. */
export interface ClaimedBoot {
  readonly quote: Quote
  readonly appId: Uint8Array
  readonly composeHash: Uint8Array
  readonly deviceId: Uint8Array
  readonly mrAggregated: Uint8Array
  /** At boot time, when no key provider is known yet. */
  readonly mrSystem: Uint8Array
  /** undefined: the answer has no VM configuration. */
  readonly osImageHash: Uint8Array | undefined
}

const answerSchema = z.looseObject({
  quote: z.string().max(200_000),
  event_log: z.union([z.string(), z.array(z.unknown())]),
  vm_config: z.string().optional(),
})

/** Whether a JSON object is such an answer and not a manifest. */
export function isQuoteAnswer(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'quote' in value && 'event_log' in value
}

/**
 * Reads an answer of GetQuote. The event log is replayed against the quote. The signature of the quote is not verified, so
 * anybody can have written it.
 *
 * @param view `boot` for what an app shows when it asks for its keys, `full` for what a KMS node shows
 * @throws INPUT_INVALID, HEX_INVALID, QUOTE_*, EVENT_LOG_*, APP_INFO_INCOMPLETE, VM_CONFIG_MALFORMED
 */
export function readClaimedBoot(answer: unknown, view: EventView = 'boot'): ClaimedBoot {
  const parsed = answerSchema.safeParse(answer)
  if (!parsed.success) {
    throw new AssentError('INPUT_INVALID', `GetQuote: ${describeIssues(parsed.error)}`)
  }
  const { quote: hex, event_log: log, vm_config: vmConfig } = parsed.data
  const quote = parseQuote(fromHex(hex, 'quote'))
  const events = parseEventLog(log)
  requireRtmr3(events, quote.report.rtmrs[3])
  const { appId, composeHash } = readAppInfo(events, view)
  return {
    quote,
    appId,
    composeHash,
    deviceId: deviceOf(quote),
    mrAggregated: mrAggregated(quote.report, replayRtmr3(runtimeEvents(events, view))),
    mrSystem: mrSystem(quote.report, new Uint8Array()),
    osImageHash:
      vmConfig === undefined || vmConfig === '' ? undefined : parseVmConfig(vmConfig).osImageHash,
  }
}

function deviceOf({ pckChain: [leaf] }: Quote): Uint8Array {
  const sgx = leaf === undefined ? undefined : parseCertificate(leaf, 'PCK certificate').sgx
  if (sgx !== undefined) return new Uint8Array(hash('sha256', sgx.ppid, 'buffer'))
  throw new AssentError('INPUT_INVALID', 'GetQuote: the quote has no PCK certificate.')
}
