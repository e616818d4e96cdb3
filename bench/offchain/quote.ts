/**
 * One native quote verification beside `@phala/dcap-qvl`, in the same run on the same quote.
 *
 * A new verification checks ten ECDSA signatures, a cached one checks one. So the bare signature checks of this machine
 * are measured too: no verification can be faster than them.
 */
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { createRequire } from 'node:module'

import { readVector, readVectorJson, vectorsFolder } from '../../scripts/vectors/vectors.ts'
import type { TrustAnchor } from '../../src/quote/certificates/trust-anchor.ts'
import { type Collateral, parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { createCollateralCache } from '../../src/quote/verify-cache.ts'
import { syntheticCase, syntheticRoot, syntheticTime } from '../../test/synthetic.ts'
import type { BenchRow } from '../result-row.ts'

/** CommonJS, and its types miss the verifier's constructor. */
const { QuoteVerifier } = createRequire(import.meta.url)('@phala/dcap-qvl') as {
  QuoteVerifier: Record<'newProd' | 'newWithRootCa', (root?: Buffer) => PeerVerifier>
}

interface PeerVerifier {
  verify(quote: Buffer, collateral: unknown, nowSeconds: number): { status: string }
}

interface Sample {
  readonly quote: Uint8Array
  readonly collateral: Collateral
  readonly at: number
  readonly root: TrustAnchor
}

const ROUNDS = 300
/** Calls before the first measured one, so that all code is compiled. */
const WARM_UP = 200
/** CPU times are sums over a batch, because the clock of `process.cpuUsage` is coarse. */
const BATCHES = 12
const BATCH = 50
/** Signatures that a new verification checks: three certificates of each chain, two CRLs, two documents, QE, quote. */
const SIGNATURES = 10
const PEER = '@phala/dcap-qvl 0.3.9'

export function rows(): Promise<BenchRow[]> {
  const sample = readSample()
  const cache = createCollateralCache()
  const peer =
    sample.root === 'intel'
      ? QuoteVerifier.newProd()
      : QuoteVerifier.newWithRootCa(Buffer.from(sample.root))
  const peerQuote = Buffer.from(sample.quote)

  const verifyCold = () => requireVerified(verifyQuote(sample.quote, sample.collateral, sample))
  const verifyCached = () =>
    requireVerified(verifyQuote(sample.quote, sample.collateral, { ...sample, cache }))
  const verifySignature = createSignatureCheck()
  const verifySignatures = () => {
    for (let index = 0; index < SIGNATURES; index++) verifySignature()
  }
  const verifyPeer = () => peer.verify(peerQuote, sample.collateral, sample.at)

  const ours = [verifyCold, verifyCached, verifySignatures, verifySignature]
  const [cold, cached, ten, one, theirs] = medians([...ours, verifyPeer]) as Figures
  const [cpuCold, cpuCached, cpuTen, cpuOne, cpuTheirs] = [...ours, verifyPeer].map(
    leastCpuTime,
  ) as Figures

  const row = { section: 'verifier', unit: 'ms', peer: PEER, peerValue: theirs }
  const cpu = { ...row, peerValue: cpuTheirs }
  const floor = { section: 'verifier', unit: 'ms', aim: null, peer: null, peerValue: null }
  return Promise.resolve([
    { ...row, name: 'quote.cold-ms', value: cold, aim: 1.3 },
    { ...floor, name: 'quote.cold-floor-ms', value: ten },
    { ...row, name: 'quote.cached-ms', value: cached, aim: 0.15 },
    { ...floor, name: 'quote.cached-floor-ms', value: one },
    { ...cpu, name: 'quote.cold-cpu-ms', value: cpuCold, aim: 1.3 },
    { ...floor, name: 'quote.cold-cpu-floor-ms', value: cpuTen },
    { ...cpu, name: 'quote.cached-cpu-ms', value: cpuCached, aim: 0.15 },
    { ...floor, name: 'quote.cached-cpu-floor-ms', value: cpuOne },
  ])
}

type Figures = [number, number, number, number, number]

/** One bare check of an ECDSA P-256 signature over as many bytes as a certificate has. */
function createSignatureCheck(): () => void {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const message = Buffer.alloc(600, 7)
  const signature = sign('sha256', message, privateKey)
  return () => {
    if (!verify('sha256', message, publicKey, signature)) throw new Error('not verified')
  }
}

/** A real quote with Intel's collateral; a synthetic one where none is at hand. */
function readSample(): Sample {
  if (vectorsFolder === undefined) {
    return { ...syntheticCase('valid_v4_td10'), at: syntheticTime, root: syntheticRoot }
  }
  const folder = 'dstack/external/near-mpc'
  return {
    quote: readVector(`${folder}/quote.bin`),
    collateral: parseCollateral(readVectorJson(`${folder}/collateral.json`)),
    at: Date.UTC(2026, 7, 20) / 1000,
    root: 'intel',
  }
}

function requireVerified({ verdict }: { verdict: string }): void {
  if (verdict !== 'verified') throw new Error('The sample must verify, or the time means nothing.')
}

/** Wall milliseconds per call. The rounds are interleaved, so that a busy machine slows all calls alike. */
function medians(calls: (() => unknown)[]): number[] {
  for (let round = 0; round < WARM_UP; round++) for (const call of calls) call()
  const times = calls.map((): number[] => [])
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, call] of calls.entries()) {
      const start = process.hrtime.bigint()
      call()
      times[index]?.push(Number(process.hrtime.bigint() - start) / 1e6)
    }
  }
  return times.map(
    (series) => series.sort((a, b) => a - b)[Math.floor(series.length / 2)] as number,
  )
}

/** CPU milliseconds per call: the least of several batches, which a busy machine changes least. */
function leastCpuTime(call: () => unknown): number {
  const batches = Array.from({ length: BATCHES }, () => {
    const start = process.cpuUsage()
    for (let round = 0; round < BATCH; round++) call()
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1_000 / BATCH
  })
  return Math.min(...batches)
}
