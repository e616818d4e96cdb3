/** Fuzzing targets: quotes and event logs. */
import { isDeepStrictEqual } from 'node:util'

import { concatBytes, equalBytes, toHex, utf8ToBytes } from '../../../src/lib/bytes.ts'
import { parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import { parseCcel } from '../../../src/quote/measurements/ccel.ts'
import { parseEventLog, replayRtmr3 } from '../../../src/quote/measurements/event-log.ts'
import { parseQuote, type Quote } from '../../../src/quote/parse.ts'
import { verifyQuote } from '../../../src/quote/verify.ts'
import { toPemChain } from '../../../src/tee/simulator/der.ts'
import { ccelOf, ccelRecord } from '../ccel.ts'
import { mutateBytes, mutateJson } from '../mutate.ts'
import { at, bench, evidence, ex, lower, simulator, target, u16, u32, v4, v5 } from './material.ts'

/** Encodes a quote from its fields. The PEM chain can end with or without line feed and NUL, which are not signed. */
function encodeQuote(quote: Quote, pemEnd: string): Uint8Array {
  const pem = utf8ToBytes(toPemChain(quote.pckChain).slice(0, -1) + pemEnd)
  const certification = concatBytes(
    ...[
      quote.qeReport.bytes,
      quote.qeReportSignature,
      u16(quote.qeAuthData.length),
      quote.qeAuthData,
    ],
    ...[u16(5), u32(pem.length), pem],
  )
  const auth = concatBytes(
    ...[quote.signature, quote.attestationKey, u16(6), u32(certification.length), certification],
  )
  return concatBytes(quote.signedBytes, u32(auth.length), auth)
}

const quoteForms = (quote: Quote) => ['', '\n', '\0', '\n\0'].map((end) => encodeQuote(quote, end))

const quotes = target<Uint8Array, Quote>({
  name: 'quote',
  seeds: [v4, v5, ex],
  mutate: mutateBytes,
  parse: parseQuote,
  doubt: (quote, input) =>
    quoteForms(quote).some((form) => equalBytes(form, input.subarray(0, quote.length)))
      ? undefined
      : 'does not encode to the same bytes',
})

const verified = target<Uint8Array, ReturnType<typeof verifyQuote>>({
  name: 'verified quote',
  weight: 0.2,
  seeds: [v4, v5],
  mutate: mutateBytes,
  parse: (quote) =>
    verifyQuote(quote, parseCollateral(bench.collateral), { at, root: simulator.rootCertificate }),
  doubt: (verdict, input) => {
    if (verdict.verdict === 'rejected') return undefined
    const genuine = [v4, v5].map(parseQuote).flatMap(quoteForms)
    const { length } = verdict.quote
    return genuine.some((form) => equalBytes(form, input.subarray(0, length)))
      ? undefined
      : 'verified, and is none of the quotes that were signed'
  },
})

const eventLogs = target<string, ReturnType<typeof parseEventLog>>({
  name: 'event log',
  seeds: [evidence.eventLog],
  mutate: mutateJson,
  parse: parseEventLog,
  doubt: (events, input) => {
    const read = JSON.parse(input) as Record<string, unknown>[]
    const isSame = events.every((event, index) => {
      const { imr, event_type, event: name, event_payload, digest } = read[index] ?? {}
      const isStripped = event.imr === 3 || digest === '' || toHex(event.digest) === lower(digest)
      return (
        isStripped &&
        isDeepStrictEqual([event.imr, event.eventType, event.event], [imr, event_type, name]) &&
        toHex(event.payload) === lower(event_payload)
      )
    })
    if (!isSame || events.length !== read.length) return 'another reader reads other events'
    return replayRtmr3(events).length === 48 ? undefined : 'does not replay'
  },
})

const firmwareLogs = target<Uint8Array, ReturnType<typeof parseCcel>>({
  name: 'firmware event log (CCEL)',
  seeds: [
    ccelOf([
      ccelRecord(),
      ccelRecord({ register: 2, payload: new Uint8Array(40) }),
      ccelRecord({ register: 4 }),
    ]),
  ],
  mutate: mutateBytes,
  parse: parseCcel,
  doubt: (events, input) => {
    // some events are skipped, so the parsed parts must occur in the input in their order
    const parts = events.flatMap(({ imr, eventType, digest, payload }) => [
      ccelRecord({ register: imr + 1, eventType, digests: [] }).slice(0, 8),
      digest,
      payload,
    ])
    let from = 0
    for (const part of parts) {
      const found = Buffer.from(input).indexOf(part, from)
      if (found === -1) return 'has an event that does not stand there'
      from = found + part.length
    }
    return undefined
  },
})

export const quoteTargets = [quotes, verified, eventLogs, firmwareLogs]
