/** One native quote verification beside `@phala/dcap-qvl`, in the same run on the same quote. */
import { createRequire } from 'node:module'

import { readVector, readVectorJson, vectorsFolder } from '../../scripts/vectors.ts'
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
const PEER = '@phala/dcap-qvl 0.3.9'

export function rows(): Promise<BenchRow[]> {
  const sample = readSample()
  const cache = createCollateralCache()
  const peer =
    sample.root === 'intel'
      ? QuoteVerifier.newProd()
      : QuoteVerifier.newWithRootCa(Buffer.from(sample.root))
  const peerQuote = Buffer.from(sample.quote)

  const [cold, cached, theirs] = medians([
    () => requireVerified(verifyQuote(sample.quote, sample.collateral, sample)),
    () => requireVerified(verifyQuote(sample.quote, sample.collateral, { ...sample, cache })),
    () => peer.verify(peerQuote, sample.collateral, sample.at),
  ]) as [number, number, number]

  const row = { section: 'verifier', unit: 'ms', peer: PEER, peerValue: theirs }
  return Promise.resolve([
    { ...row, name: 'quote.cold-ms', value: cold, aim: 1.3 },
    { ...row, name: 'quote.cached-ms', value: cached, aim: 0.15 },
  ])
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

/** Milliseconds per call; rounds are interleaved, so that a busy machine slows all alike. */
function medians(calls: (() => unknown)[]): number[] {
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
