/** Ingress settings: the same names in every service. */
import { z } from 'zod'

import {
  clientNetworksSchema,
  type Networks,
  networksSchema,
  openNetworks,
} from './client-address.ts'

/** Settings of a service that listens. The defaults fit a KMS. */
export const ingressShape = {
  /** Open connections of all clients. */
  connections: z.int().min(1).max(100_000).default(1024),
  /** Open connections of one client; default: an eighth of `connections`. */
  connectionsPerClient: z.int().min(1).optional(),
  /** Requests that are served at the same time. */
  requestsInFlight: z.int().min(1).max(100_000).default(256),
  /** The same for one client; default: an eighth of `requestsInFlight`. */
  requestsInFlightPerClient: z.int().min(1).optional(),
  /** Bytes of all request bodies in memory; one client may use a quarter. */
  bodyBytesInFlight: z
    .int()
    .min(2 ** 20)
    .max(2 ** 34)
    .default(2 ** 26),
  /** Load balancers and reverse proxies whose statement about the client address is accepted. */
  trustedProxies: networksSchema.default([]),
  /** Addresses that many clients share (NAT, QEMU user networking): no rate limit by address, half of every total. */
  sharedAddresses: clientNetworksSchema.default([]),
} as const

const ingressSettingsSchema = z.object(ingressShape)

/** Absent members have their defaults. */
export type IngressSettings = z.input<typeof ingressSettingsSchema>

/** Limits of one process. Functions give the limit of one client. */
export interface IngressLimits {
  /** Open connections of all clients. */
  readonly connections: number
  /** Open connections of one client. */
  readonly connectionsOf: (client: string) => number
  /** Requests that are served at the same time. */
  readonly requestsInFlight: number
  /** Requests of one client that are served at the same time. */
  readonly requestsInFlightOf: (client: string) => number
  /** Bytes of all bodies in memory. */
  readonly bodyBytes: number
  /** Bytes of the bodies of one client. */
  readonly bodyBytesOf: (client: string) => number
  /** Trusted proxies: their statement about the client address counts. */
  readonly isProxy: Networks
  /** Addresses behind which there are many clients, such as a NAT; limits by address do not apply. */
  readonly isShared: Networks
}

/**
 * @param processes number of processes on the same port. The system distributes connections to them, so each process
 * gets its share of every limit.
 * @throws ZodError for invalid settings
 */
export function openLimits(input: IngressSettings, processes = 1): IngressLimits {
  const settings = ingressSettingsSchema.parse(input)
  const isProxy = openNetworks(settings.trustedProxies)
  const isShared = openNetworks(settings.sharedAddresses)
  const part = (limit: number) => Math.ceil(limit / processes)
  const [connections, requestsInFlight, bodyBytes] = [
    part(settings.connections),
    part(settings.requestsInFlight),
    part(settings.bodyBytesInFlight),
  ]
  const shareOf = (total: number, own: number | undefined, parts: number) => {
    const alone = Math.min(total, own === undefined ? Math.ceil(total / parts) : part(own))
    const shared = Math.max(alone, Math.ceil(total / 2))
    return (client: string) => (isShared(client) || isProxy(client) ? shared : alone)
  }
  return {
    connections,
    connectionsOf: shareOf(connections, settings.connectionsPerClient, 8),
    requestsInFlight,
    requestsInFlightOf: shareOf(requestsInFlight, settings.requestsInFlightPerClient, 8),
    bodyBytes,
    bodyBytesOf: shareOf(bodyBytes, undefined, 4),
    isProxy,
    isShared,
  }
}
