/** The limits of a server as its settings state them; the same names in every service. */
import { z } from 'zod'

import {
  clientNetworksSchema,
  type Networks,
  networksSchema,
  openNetworks,
} from './client-address.ts'

/** Settings of a service that listens; defaults fit a KMS. */
export const ingressShape = {
  connections: z.int().min(1).max(100_000).default(1024),
  /** Of one client; an eighth of all if absent. */
  connectionsPerClient: z.int().min(1).optional(),
  requestsInFlight: z.int().min(1).max(100_000).default(256),
  /** Of one client; an eighth of all if absent. */
  requestsInFlightPerClient: z.int().min(1).optional(),
  /** Bytes of all request bodies that are held at the same time; one client may hold a quarter. */
  bodyBytesInFlight: z
    .int()
    .min(2 ** 20)
    .max(2 ** 34)
    .default(2 ** 26),
  /** Balancers and reverse proxies: they say whose connection or request they pass on. */
  trustedProxies: networksSchema.default([]),
  /** Addresses that many callers share (NAT, QEMU user networking): no rate limit by address, half of every total. */
  sharedAddresses: clientNetworksSchema.default([]),
} as const

const ingressSettingsSchema = z.object(ingressShape)

/** What is absent has its default. */
export type IngressSettings = z.input<typeof ingressSettingsSchema>

export interface IngressLimits {
  readonly connections: number
  readonly connectionsOf: (client: string) => number
  readonly requestsInFlight: number
  readonly requestsInFlightOf: (client: string) => number
  readonly bodyBytes: number
  readonly bodyBytesOf: (client: string) => number
  readonly isProxy: Networks
  readonly isShared: Networks
}

/** @param processes how many serve: the system deals connections out, so each has its part of every limit */
export function openLimits(stated: IngressSettings, processes = 1): IngressLimits {
  const settings = ingressSettingsSchema.parse(stated)
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
