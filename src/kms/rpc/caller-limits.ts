/** Limits per caller of the KMS: body size and request rate. */
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'

import { toHex } from '../../lib/bytes.ts'
import type { AnsweredRefusal, RefusalResponse } from '../../lib/ingress/ingress.ts'
import type { IngressLimits } from '../../lib/ingress/settings.ts'
import { createRateLimit } from '../../lib/rate-limit.ts'
import { quoteOf } from '../../quote/attestation.ts'
import type { VerifiedAttestation } from '../authorization/verify-attestation.ts'

/** Bytes. Most requests have an app id and a few numbers. */
const small = 4 * 1024
/** Bytes. A VM configuration has a few kilobytes. */
const withConfig = 256 * 1024
/** Bytes. A quote of at most 64 KiB and an event log; JSON writes both as hexadecimal digits. */
const withEvidence = 1024 * 1024

const longestBodies = new Map([
  ['GetAppKey', withConfig],
  ['CertifyInstance', withConfig],
  ['GetKmsKey', withConfig],
  ['SignCert', withEvidence],
])

/** Longest body of a request in bytes. Only POST has a body; an unknown method gets the smallest limit. */
export function maxBodyBytes(incoming: IncomingMessage): number {
  if (incoming.method !== 'POST') return 0
  const [path = ''] = (incoming.url ?? '').split('?', 1)
  const [, method = ''] = /^\/prpc\/+(?:\w+\.)*(\w+)$/.exec(path) ?? []
  return longestBodies.get(method) ?? small
}

const tooMany = { status: 429, code: 'KMS_OVERLOADED', error: 'too many requests' }
const explanations = {
  'too-often': tooMany,
  'in-flight': tooMany,
  'body-bytes': tooMany,
  // dstack answers every error with 400
  target: { status: 400, code: 'KMS_REQUEST_INVALID', error: 'invalid request target' },
  'too-large': { status: 400, code: 'INPUT_TOO_LARGE', error: 'The request is too large.' },
} as const

/** A refusal of the ingress limits, in dstack's JSON form. The code is in a header, as for all errors of the KMS. */
export function limitResponse(refusal: AnsweredRefusal): RefusalResponse {
  const { status, code, error } = explanations[refusal]
  const headers = { 'content-type': 'application/json', 'x-assent-error': code }
  return { status, headers, body: JSON.stringify({ error }) }
}

/**
 * Request rates. A caller without a certificate is counted by its address. A caller with a verified quote is counted
 * for itself, so that no other caller behind the same address uses its share. A certificate without a valid quote is
 * counted by address again. The quote is verified before the request is counted, once for each connection. After too
 * many failed verifications of one address, no further certificate from there is verified for a while.
 */
export interface Rates {
  /** Before the body is read. Returns seconds to wait; 0 lets the request pass. */
  ofAddress(client: string, incoming: IncomingMessage): number
  /** Before the certificate of a new connection is verified. Returns seconds to wait; 0 lets it be verified. */
  ofVerification(client: string): number
  /** Counts a certificate that was verified and is not valid. */
  countFailedVerification(client: string): void
  /** Before a caller without a quote makes the KMS ask an RPC endpoint. Returns seconds to wait; 0 lets it ask. */
  ofChainRequest(client: string): number
  /** After the certificate was verified. Returns seconds to wait; 0 lets the request pass. */
  ofCaller(client: string, verified: VerifiedAttestation | undefined): number
}

/** All guests of one host together have this many times the rate of one guest. */
const guestsPerHost = 8

/** Requests to RPC endpoints in one minute for all callers without a quote. One client gets a quarter. */
const chainRequestsPerMinute = 120

/**
 * @param requestsPerMinute requests of one client; shared addresses have no limit by address
 * @param workers processes that share the limits of the node
 */
export function createRates(
  requestsPerMinute: number,
  { isShared }: IngressLimits,
  workers: number,
): Rates {
  const perMinute = Math.ceil(requestsPerMinute / workers)
  const chainRequests = createRateLimit({ perMinute: chainRequestsPerMinute / workers })
  const chainRequestsOf = createRateLimit({ perMinute: chainRequestsPerMinute / 4 / workers })
  const byAddress = createRateLimit({ perMinute })
  const byGuest = createRateLimit({ perMinute })
  const byHost = createRateLimit({ perMinute: perMinute * guestsPerHost })
  const failures = createRateLimit({ perMinute })
  const ofAddress = (client: string) => (isShared(client) ? 0 : byAddress(client))
  return {
    ofAddress: (client, incoming) => (isCountedByQuote(incoming) ? 0 : ofAddress(client)),
    ofVerification: (client) => (isShared(client) ? 0 : failures.secondsUntilNext(client)),
    countFailedVerification: (client) => {
      if (!isShared(client)) failures(client)
    },
    ofChainRequest: (client) =>
      (isShared(client) ? 0 : chainRequestsOf(client)) || chainRequests(''),
    ofCaller: (client, verified) => {
      if (verified === undefined) return ofAddress(client)
      const host = toHex(verified.verdict.ppid)
      return Math.max(byHost(host), byGuest(`${host} ${guestOf(verified)}`))
    },
  }
}

/** Tells if `ofCaller` counts the request, and not `ofAddress`: an RPC call with a client certificate. */
export function isCountedByQuote({ url = '', socket }: IncomingMessage): boolean {
  if (!url.startsWith('/prpc/')) return false
  return socket instanceof TLSSocket && socket.getPeerX509Certificate() !== undefined
}

/** MRCONFIGID identifies the app: the host sets it before the guest starts, and the guest cannot change it. */
function guestOf({ attestation }: VerifiedAttestation): string {
  return toHex(quoteOf(attestation).report.mrConfigId)
}
