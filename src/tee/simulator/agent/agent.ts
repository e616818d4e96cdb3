/**
 * The dstack guest agent of a simulated CVM: guest API v0 and v1 with the answers of the real agent.
 *
 * It accepts JSON and query strings; the real agent also accepts protobuf.
 */
import { Hono } from 'hono'

import type { SimulatedCvm } from '../cvm.ts'
import { listen } from '../listen.ts'
import type { Guest, GuestRelease } from './guest.ts'
import type { CertificateIssuer } from './issue.ts'
import { serveSurface } from './transport.ts'
import { guestMethodsV0, workerMethodsV0 } from './v0.ts'
import { guestMethodsV1, workerMethodsV1 } from './v1.ts'

export type { GuestRelease } from './guest.ts'
export type { AgentCertificateRequest, CertificateIssuer } from './issue.ts'

/** Address and CVM of the simulated agent. */
export interface AgentSettings {
  /** Release of dstack; default `0.6`. 0.5 has no API v1 and lets the app emit events. */
  readonly release?: GuestRelease
  /** Signs certificates of `GetTlsKey` and `IssueCert`. Without it these methods fail. */
  readonly issuer?: CertificateIssuer
}

/** A running simulated agent. */
export interface AgentServer {
  /** Path of the Unix socket. */
  readonly socket: string
  /** Closes the socket and removes its file. */
  close(): Promise<void>
}

/** Listens on a Unix socket. @param socket path that does not exist yet @throws ADDRESS_IN_USE, ADDRESS_UNUSABLE */
export async function serveAgent(
  cvm: SimulatedCvm,
  socket: string,
  settings: AgentSettings = {},
): Promise<AgentServer> {
  const { close } = await listen(createAgent(cvm, settings), { socket })
  return { socket, close }
}

/** The API on the socket inside the CVM, for the app only: `/v1`, `/v0`, and v0 without a version. */
export function createAgent(cvm: SimulatedCvm, settings: AgentSettings = {}): Hono {
  const guest = toGuest(cvm, settings)
  const unknownStatus = unknownStatusOf(guest)
  const v0 = serveSurface({ methods: guestMethodsV0(guest), unknownStatus })
  const app = new Hono()
  if (guest.release !== '0.5') {
    app.route('/v1', serveSurface({ methods: guestMethodsV1(guest), unknownStatus }))
    app.route('/v0', v0)
  }
  return app.route('/', v0)
}

/** The API on the CVM's public port: `/prpc/v1`, `/prpc/v0`, and v0 without a version. */
export function createWorker(cvm: SimulatedCvm, settings: AgentSettings = {}): Hono {
  const guest = toGuest(cvm, settings)
  const unknownStatus = unknownStatusOf(guest)
  const v0 = serveSurface({
    methods: workerMethodsV0(guest),
    unknownStatus,
    optionalPrefix: 'Worker.',
  })
  const app = new Hono()
  if (guest.release !== '0.5') {
    app.route('/prpc/v1', serveSurface({ methods: workerMethodsV1(guest), unknownStatus }))
    app.route('/prpc/v0', v0)
  }
  return app.route('/prpc', v0)
}

function toGuest(cvm: SimulatedCvm, { release = '0.6', issuer }: AgentSettings): Guest {
  return { cvm, issuer, release }
}

function unknownStatusOf({ release }: Guest): 400 | 404 {
  return release === '0.5' ? 400 : 404
}
