/**
 * Limits on TLS handshakes of one client: how many at the same time, and how many in a minute.
 *
 * The server checks every signature in the client's certificate chain during the handshake, also if it trusts none of
 * them. A chain of large RSA keys costs the server 50 times as much as an honest handshake, and its sender nothing. So a
 * handshake with a long chain, and one that fails after much data, counts for many.
 */
import type { TLSSocket } from 'node:tls'

import { createRateLimit } from '../rate-limit.ts'

/** TLS handshakes cost CPU time before a client is known, so they have limits of their own. */
export interface HandshakeLimits {
  /** Handshakes of one client at the same time. */
  readonly atOnce: (client: string) => number
  /** Handshakes of one client in a minute. */
  readonly perMinute: number
  /** Clients without a limit per minute, for example addresses that many clients share. */
  readonly isExempt: (client: string) => boolean
}

/** Handshakes for which an expensive one counts. */
const expensive = 300
/** Certificates of an honest chain: the leaf and the temporary CA. */
const longestChain = 2
/** Bytes that a client sends in a handshake without a certificate chain. */
const smallHandshake = 8 * 1024

/** Counts handshakes of each client. */
export interface Handshakes {
  /** @returns undefined if this client must wait; otherwise a handshake that must be ended once */
  begin(client: string): Handshake | undefined
}

/** One running handshake. */
export interface Handshake {
  /** @param socket after success; undefined if the handshake failed @param bytes that the client sent */
  end(socket: TLSSocket | undefined, bytes: number): void
}

/**
 * Creates the counters. A handshake that fails after much data counts like many, so that one client cannot spend the
 * CPU time of all.
 */
export function createHandshakes({ atOnce, perMinute, isExempt }: HandshakeLimits): Handshakes {
  const running = new Map<string, number>()
  const rate = createRateLimit({ perMinute, burst: Math.min(perMinute, 2 * expensive) })
  return {
    begin: (client) => {
      const own = running.get(client) ?? 0
      if (own >= atOnce(client)) return undefined
      if (!isExempt(client) && rate(client) > 0) return undefined
      running.set(client, own + 1)
      let isEnded = false
      return {
        end: (socket, bytes) => {
          if (isEnded) return
          isEnded = true
          const left = (running.get(client) ?? 1) - 1
          if (left > 0) running.set(client, left)
          else running.delete(client)
          const isExpensive = socket === undefined ? bytes > smallHandshake : hasLongChain(socket)
          if (isExpensive) rate(client, expensive)
        },
      }
    },
  }
}

function hasLongChain(socket: TLSSocket): boolean {
  let certificate = socket.getPeerX509Certificate()
  for (let length = 0; certificate !== undefined; length++) {
    if (length === longestChain) return true
    certificate = certificate.issuerCertificate
  }
  return false
}
