import { createHash } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { checkPolicy } from '../../src/quote/policy.ts'
import type { Verdict } from '../../src/quote/verdict.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { type CaseEvidence, createCaseFixture } from '../simulator/faults/case.ts'
import { faultCatalogue } from '../simulator/faults/catalogue.ts'
import { syntheticCases } from '../synthetic.ts'
import { recipeOf } from '../synthetic-to-catalogue.ts'

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const seed = new Uint8Array(32).fill(11)
const bench = createCaseFixture(createSimulator({ at, seed }))

function judge({ quote, collateral, root, at }: CaseEvidence): Verdict {
  return verifyQuote(quote, parseCollateral(collateral), { at, root })
}

function digest({ quote, collateral, root, at }: CaseEvidence): string {
  const hash = createHash('sha256').update(quote).update(root).update(String(at))
  return hash.update(JSON.stringify(collateral)).digest('hex')
}

function malformation(evidence: CaseEvidence): unknown {
  try {
    return judge(evidence)
  } catch (error) {
    return error instanceof AssentError ? { verdict: 'malformed', code: error.code } : error
  }
}

describe.each(faultCatalogue)('$name ($about)', ({ expect: expected, build }) => {
  test(`is ${expected.verdict}`, () => {
    const evidence = build(bench)

    if (expected.verdict === 'malformed') {
      expect(malformation(evidence)).toMatchObject({
        verdict: 'malformed',
        code: expect.toBeOneOf([...expected.codes]),
      })
      return
    }
    const verdict = judge(evidence)
    if (expected.verdict === 'rejected') {
      expect(verdict).toMatchObject({
        verdict: 'rejected',
        code: expect.toBeOneOf([...expected.codes]),
      })
      return
    }
    const { status, advisoryIds, policy } = expected
    expect(verdict).toMatchObject({ verdict: 'verified', status, advisoryIds })
    if (verdict.verdict !== 'verified' || policy === undefined) return
    expect(() => checkPolicy(verdict)).toThrow(expect.objectContaining({ code: policy }))
  })
})

describe('the fault catalogue', () => {
  test('names each case once', () => {
    const names = faultCatalogue.map((entry) => entry.name)

    expect(new Set(names).size).toBe(names.length)
  })

  test('builds the same bytes from the same seed', () => {
    const again = createCaseFixture(createSimulator({ at, seed }))

    for (const entry of faultCatalogue) {
      expect(digest(entry.build(again))).toBe(digest(entry.build(bench)))
    }
  })

  test('has every synthetic case', () => {
    const made = syntheticCases.map(({ id }) => recipeOf(id).expect.verdict === 'verified')

    expect(made).toEqual(syntheticCases.map((entry) => entry.expect.verifies))
  })
})
