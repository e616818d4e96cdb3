/** A third opinion: `@phala/dcap-qvl` 0.3.9 on every quote there is, its known disagreements listed by name. */
import { createRequire } from 'node:module'
import path from 'node:path'

import { describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { createCaseFixture } from '../simulator/faults/case.ts'
import { faultCatalogue } from '../simulator/faults/catalogue.ts'
import { syntheticCases, syntheticRoot, syntheticTime } from '../synthetic.ts'
import { recipeOf } from '../synthetic-to-catalogue.ts'
import { describeRecorded, readVector, readVectorJson } from '../vectors.ts'
import {
  type DifferenceKind,
  peerDifferences,
  recordedDifferences,
  syntheticDifferences,
} from './peer-differences.ts'
import type { RecordedQuote } from './recorded.ts'

/** CommonJS, and its types miss these constructors. */
const { QuoteVerifier } = createRequire(import.meta.url)('@phala/dcap-qvl') as {
  QuoteVerifier: Record<'newProd' | 'newWithRootCa', (root?: Buffer) => PeerVerifier>
}

interface PeerVerifier {
  verify(
    quote: Buffer,
    collateral: unknown,
    nowSeconds: number,
  ): { status: string; advisory_ids: string[] }
}

interface Evidence {
  readonly quote: Uint8Array
  readonly collateral: object
  readonly at: number
  /** absent: Intel's */
  readonly root?: Uint8Array
}

/** Status and advisories, or `refused`. */
function ours({ quote, collateral, at, root }: Evidence): string {
  try {
    const verdict = verifyQuote(quote, parseCollateral(collateral), { at, root: root ?? 'intel' })
    if (verdict.verdict === 'rejected') return 'refused'
    return [verdict.status, ...verdict.advisoryIds].join(' ')
  } catch (error) {
    if (error instanceof AssentError) return 'refused'
    throw error
  }
}

function theirs({ quote, collateral, at, root }: Evidence): string {
  const verifier = root ? QuoteVerifier.newWithRootCa(Buffer.from(root)) : QuoteVerifier.newProd()
  try {
    const { status, advisory_ids } = verifier.verify(Buffer.from(quote), collateral, at)
    return [status, ...advisory_ids].join(' ')
  } catch {
    return 'refused'
  }
}

function difference(evidence: Evidence): DifferenceKind | 'same' {
  const [own, other] = [ours(evidence), theirs(evidence)]
  if (own === other) return 'same'
  if (own === 'refused') return 'accepts'
  return other === 'refused' ? 'rejects' : 'rates'
}

const known = new Map<string, DifferenceKind>(
  peerDifferences.flatMap(({ cases }) =>
    Object.entries(cases).flatMap(([kind, names]) =>
      names.map((name) => [name, kind as DifferenceKind] as const),
    ),
  ),
)

describe('dcap-qvl on the fault catalogue of the simulator', () => {
  const at = Date.parse('2026-08-20T12:00:00Z') / 1000
  const bench = createCaseFixture(createSimulator({ at, seed: new Uint8Array(32).fill(11) }))

  test.each(faultCatalogue.map((entry) => [entry.name, entry] as const))(
    'gives the listed verdict for %s',
    (name, entry) => {
      expect(difference(entry.build(bench))).toBe(known.get(name) ?? 'same')
    },
  )

  test('has each difference listed once, with an existing case', () => {
    const listed = peerDifferences.flatMap(({ cases }) => Object.values(cases).flat())
    const names = new Set(faultCatalogue.map(({ name }) => name))

    expect(listed.filter((name) => !names.has(name))).toEqual([])
    expect(listed.length).toBe(known.size)
  })
})

describe('dcap-qvl on the synthetic quotes', () => {
  test.each(syntheticCases.map((entry) => [entry.id, entry] as const))(
    'gives the listed verdict for %s',
    (id, entry) => {
      const { quote, collateral } = entry
      const expected = syntheticDifferences[id] ?? known.get(recipeOf(id).name) ?? 'same'

      expect(difference({ quote, collateral, at: syntheticTime, root: syntheticRoot })).toBe(
        expected,
      )
    },
  )
})

describeRecorded('dcap-qvl on recorded quotes', () => {
  const recorded = readVectorJson<RecordedQuote[]>('dcap/vectors.json')

  test.each(recorded.map((entry) => [entry.id, entry] as const))(
    'gives the same verdict for %s',
    (_, entry) => {
      const quote = readVector(`dcap/${entry.file}`)
      for (const { bundle, verifyAtUnix: at } of entry.checks) {
        if (bundle === null) continue
        const collateral = readVectorJson<object>(`dcap/${bundle}`)

        expect(difference({ quote, collateral, at }), bundle).toBe(
          recordedDifferences[path.basename(bundle)] ?? 'same',
        )
      }
    },
  )
})
