/** How much a caller of the KMS may send and how often it may ask. */
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'

import { toHex } from '../../lib/bytes.ts'
import type { AnsweredRefusal, RefusalResponse } from '../../lib/ingress/ingress.ts'
import type { IngressLimits } from '../../lib/ingress/settings.ts'
import { createRateLimit } from '../../lib/rate-limit.ts'
import { quoteOf } from '../../quote/attestation.ts'
import type { VerifiedAttestation } from '../authorization/verify-attestation.ts'

const small = 4 * 1024
/** A description of a machine has a few kilobytes. */
const withConfig = 256 * 1024
/** A quote of at most 64 KiB and event logs, which JSON writes as hexadecimal digits. */
const withEvidence = 2 * 1024 * 1024

const longestBodies = new Map([
  ['GetAppKey', withConfig],
  ['GetKmsKey', withConfig],
  ['SignCert', withEvidence],
])

/** Longest body of a request, in bytes: only RPC methods that are posted take one. */
export function longestBodyOf(incoming: IncomingMessage): number {
  if (incoming.method !== 'POST') return 0
  const [path = ''] = (incoming.url ?? '').split('?', 1)
  return longestBodies.get(path.replace(/^.*[/.]/, '')) ?? small
}

const tooMany = { status: 429, code: 'KMS_OVERLOADED', error: 'too many requests' }
const explanations = {
  'too-often': tooMany,
  'in-flight': tooMany,
  'body-bytes': tooMany,
  // dstack answers every error with 400
  'too-large': { status: 400, code: 'INPUT_TOO_LARGE', error: 'The request is too large.' },
} as const

export function explain(refusal: AnsweredRefusal): RefusalResponse {
  const { status, code, error } = explanations[refusal]
  const headers = { 'content-type': 'application/json', 'x-assent-error': code }
  return { status, headers, body: JSON.stringify({ error }) }
}

/**
 * Rates. A caller without a certificate is counted by its address. One whose certificate shows a genuine quote is
 * counted by itself, so that nobody behind the same address uses up its share; a certificate that shows none is
 * counted by address again. Verifying comes first: it costs less than the handshake before it.
 */
export interface Rates {
  /** Seconds to wait; 0 lets the request pass. */
  ofAddress(client: string, incoming: IncomingMessage): number
  ofCaller(client: string, proven: VerifiedAttestation | undefined): number
}

/** All guests of a machine together may ask so many times as often as one. */
const guestsOfMachine = 8

export function createRates(perMinute: number, { isShared }: IngressLimits): Rates {
  const byAddress = createRateLimit({ perMinute })
  const byGuest = createRateLimit({ perMinute })
  const byMachine = createRateLimit({ perMinute: perMinute * guestsOfMachine })
  const ofAddress = (client: string) => (isShared(client) ? 0 : byAddress(client))
  return {
    ofAddress: (client, incoming) => (isJudgedLater(incoming) ? 0 : ofAddress(client)),
    ofCaller: (client, proven) => {
      if (proven === undefined) return ofAddress(client)
      const machine = toHex(proven.verdict.ppid)
      return Math.max(byMachine(machine), byGuest(`${machine} ${guestOf(proven)}`))
    },
  }
}

/** Whether `ofCaller` will count it: a call of a method with a certificate. */
export function isJudgedLater({ url = '', socket }: IncomingMessage): boolean {
  if (!url.startsWith('/prpc/')) return false
  return socket instanceof TLSSocket && socket.getPeerX509Certificate() !== undefined
}

/** MRCONFIGID, which names the app: the host sets it before the guest starts, and the guest cannot change it. */
function guestOf({ attestation }: VerifiedAttestation): string {
  return toHex(quoteOf(attestation).report.mrConfigId)
}
