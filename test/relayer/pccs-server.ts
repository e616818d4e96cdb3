/**
 * A caching service of collateral over real HTTP: Intel's paths, headers and errors, a simulator's
 * documents, and whatever a bad service does.
 */
import type { AddressInfo } from 'node:net'

import { serve } from '@hono/node-server'
import { Hono } from 'hono'

import type { Clock } from '../../src/lib/clock.ts'
import {
  earlyEvaluationNumber,
  issueQeIdentity,
  issueTcbInfo,
  standardEvaluationNumber,
  type TcbInfoOptions,
  toIso,
} from '../../src/tee/simulator/collateral.ts'
import { toPemChain } from '../../src/tee/simulator/der.ts'
import { sign } from '../../src/tee/simulator/key.ts'
import { issueRevocations } from '../../src/tee/simulator/pki.ts'
import type { Simulator } from '../../src/tee/simulator/simulator.ts'

export type PccsFault =
  | 'down'
  | 'unknown'
  | 'gone'
  | 'throttled'
  | 'outdated'
  | 'tampered'
  | 'truncated'
  | 'headerless'
  | 'another-platform'
  | 'another-authority'
  | 'html'
  | 'endless'
  | 'from-the-future'

export interface PccsOptions {
  readonly simulator: Simulator
  readonly clock: Clock
  /** Intel's own service has the list of evaluation numbers and no root list; a caching one the reverse. */
  readonly kind?: 'pcs' | 'pccs' | 'complete'
  /** An authority of its own, for `another-authority`. */
  readonly impostor?: Simulator
  /** Seconds between two issues of the same document; Intel signs it again every day. */
  readonly issueEvery?: number
}

export interface PccsServer {
  readonly url: string
  fault: PccsFault | undefined
  /** Evaluation numbers of the two sets, and when the early one becomes the standard. */
  numbers: { standard: number; early: number }
  recoveryAt: number
  /** Contents of the two TCB infos. */
  standard: TcbInfoOptions
  early: TcbInfoOptions
  revoked: Uint8Array[]
  /** Paths in the order in which they were asked. */
  readonly asked: string[]
  stop(): Promise<void>
}

const day = 86_400

export async function startPccs(options: PccsOptions): Promise<PccsServer> {
  const app = new Hono()
  const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 })
  await new Promise<void>((resolve) => server.once('listening', () => resolve()))
  const state: PccsServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: undefined,
    numbers: { standard: standardEvaluationNumber, early: earlyEvaluationNumber },
    recoveryAt: options.clock() - 300 * day,
    standard: {},
    early: {},
    revoked: [],
    asked: [],
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        if ('closeAllConnections' in server) server.closeAllConnections()
      }),
  }
  install(app, options, state)
  return state
}

function install(app: Hono, options: PccsOptions, state: PccsServer): void {
  const { simulator, clock, kind = 'pccs', issueEvery = day } = options
  const authority = () =>
    (state.fault === 'another-authority' ? options.impostor : undefined)?.pki ?? simulator.pki
  /** The newest issue, as of now; an outdated service still has the one of 40 days ago. */
  const dates = (validFor: number) => {
    const at = clock()
    const shift =
      state.fault === 'outdated' ? -40 * day : state.fault === 'from-the-future' ? day : 0
    const issuedAt = Math.floor(at / issueEvery) * issueEvery + shift
    return { issuedAt, validFor }
  }
  const period = (validFor: number) => {
    const { issuedAt } = dates(validFor)
    return { thisUpdate: issuedAt, nextUpdate: issuedAt + validFor }
  }
  const chain = () =>
    encodeURIComponent(
      toPemChain([authority().tcbSigning.certificate, authority().root.certificate]),
    )

  app.use(async (c, next) => {
    state.asked.push(c.req.path)
    switch (state.fault) {
      case 'down':
        return c.text('upstream failed', 502)
      case 'unknown':
        c.header('Error-Code', 'NotFound')
        return c.text('No cache data for this platform.', 404)
      case 'gone':
        return c.text('', 410)
      case 'throttled':
        c.header('Retry-After', '60')
        return c.text('', 429)
      case 'html':
        return c.html('<html>captive portal</html>')
      case 'endless':
        return c.body('x'.repeat(2_000_000))
    }
    await next()
    if (state.fault === 'headerless') {
      const names = [...c.res.headers.keys()].filter((name) => name.endsWith('issuer-chain'))
      for (const name of names) c.res.headers.delete(name)
    }
    if (state.fault === 'truncated') {
      const body = new Uint8Array(await c.res.arrayBuffer())
      c.res = new Response(body.slice(0, body.length - 20), c.res)
    }
  })

  /** A byte changed after signing, as a service that edits what it caches would. */
  const tamper = (text: string) =>
    state.fault === 'tampered' ? text.replace('UpToDate', 'OutOfDate') : text
  const signed = (name: string, { text, signature }: { text: string; signature: string }) =>
    `{"${name}":${tamper(text)},"signature":"${signature}"}`

  app.get('/tdx/certification/v4/tcb', (c) => {
    const isEarly = c.req.query('update') === 'early'
    const asked = c.req.query('fmspc') ?? ''
    if (!/^[0-9a-fA-F]{12}$/.test(asked)) return c.text('Invalid request parameters.', 400)
    const content = isEarly ? state.early : state.standard
    c.header('TCB-Info-Issuer-Chain', chain())
    return c.body(
      signed(
        'tcbInfo',
        issueTcbInfo(authority().tcbSigning, {
          ...dates(30 * day),
          evaluationNumber: isEarly ? state.numbers.early : state.numbers.standard,
          fmspc: state.fault === 'another-platform' ? 'B00000000000' : asked.toUpperCase(),
          ...content,
        }),
      ),
    )
  })

  app.get('/tdx/certification/v4/qe/identity', (c) => {
    const isEarly = c.req.query('update') === 'early'
    c.header('SGX-Enclave-Identity-Issuer-Chain', chain())
    return c.body(
      signed(
        'enclaveIdentity',
        issueQeIdentity(authority().tcbSigning, {
          ...dates(30 * day),
          evaluationNumber: isEarly ? state.numbers.early : state.numbers.standard,
        }),
      ),
    )
  })

  app.get('/sgx/certification/v4/pckcrl', (c) => {
    const ca = c.req.query('ca') === 'processor' ? 'processor' : 'platform'
    const issuer = authority().pckCa(ca)
    const issuers = [issuer.certificate, authority().root.certificate]
    c.header('SGX-PCK-CRL-Issuer-Chain', encodeURIComponent(toPemChain(issuers)))
    return c.body(
      issueRevocations(issuer, { ...period(30 * day), revoked: state.revoked }) as never,
    )
  })

  app.get('/sgx/certification/v4/rootcacrl', (c) => {
    if (kind === 'pcs') return c.notFound()
    const list = issueRevocations(authority().root, period(365 * day))
    return c.text(Buffer.from(list).toString('hex'))
  })

  // Where the certificates' distribution points lead: no part of the API.
  app.get('/IntelSGXRootCA.der', (c) =>
    c.body(issueRevocations(authority().root, period(365 * day)) as never),
  )

  app.get('/tdx/certification/v4/tcbevaluationdatanumbers', (c) => {
    if (kind === 'pccs') return c.notFound()
    const { issuedAt } = dates(30 * day)
    const list = {
      id: 'TDX',
      version: 1,
      issueDate: toIso(issuedAt),
      nextUpdate: toIso(issuedAt + 30 * day),
      tcbEvalNumbers: [
        [state.numbers.early, state.recoveryAt],
        [state.numbers.standard, state.recoveryAt - 200 * day],
      ].map(([number, at]) => ({
        tcbEvaluationDataNumber: number,
        tcbRecoveryEventDate: toIso(at as number),
        tcbDate: toIso(at as number),
      })),
    }
    const text = JSON.stringify(list)
    const signature = Buffer.from(
      sign(authority().tcbSigning.key, new TextEncoder().encode(text)),
    ).toString('hex')
    c.header('TCB-Evaluation-Data-Numbers-Issuer-Chain', chain())
    return c.body(`{"tcbEvaluationDataNumbers":${text},"signature":"${signature}"}`)
  })
}

export const intelService = 'https://api.trustedservices.intel.com'

/** Sends requests to Intel's two hosts to `server`. */
export function insteadOfIntel(server: PccsServer): typeof fetch {
  return (input, init) => {
    const url = new URL(String(input))
    if (!url.hostname.endsWith('.trustedservices.intel.com')) return fetch(input, init)
    return fetch(new URL(url.pathname + url.search, server.url), init)
  }
}
