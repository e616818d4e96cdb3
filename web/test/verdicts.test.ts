/** The verifier of quotes gives the same verdicts in a browser as in Node: synthetic quotes, and recorded ones if present. */
import { join } from 'node:path'

import { chromium } from 'playwright-core'
import { build } from 'vite'
import { describe, expect, test } from 'vitest'

import { readVector, readVectorJson, vectorsFolder } from '../../scripts/vectors/vectors.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { createCaseFixture } from '../../test/simulator/faults/case.ts'
import { faultCatalogue } from '../../test/simulator/faults/catalogue.ts'
import config from '../vite.config.ts'
import { findChromium } from './browser.ts'
import { outcomeOf, type VerdictCase } from './outcome.ts'

const program = findChromium()
if (program === undefined) {
  console.warn('\n*** CHROMIUM ABSENT: verdicts in a browser are SKIPPED. ***\n')
}

const at = Date.parse('2026-08-20T12:00:00Z') / 1000

function syntheticCases(): VerdictCase[] {
  const bench = createCaseFixture(createSimulator({ at, seed: new Uint8Array(32).fill(11) }))
  return faultCatalogue.map((entry) => {
    const evidence = entry.build(bench)
    return {
      name: entry.name,
      quote: toHex(evidence.quote),
      collateral: evidence.collateral,
      root: toHex(evidence.root),
      at: evidence.at,
    }
  })
}

interface RecordedQuote {
  readonly file: string
  readonly checks: readonly {
    readonly bundle: string | null
    readonly verifyAtUnix: number | null
  }[]
}

/** Real quotes with the collateral of two dates, and one of them long after its end. */
function recordedCases(): VerdictCase[] {
  if (vectorsFolder === undefined) return []
  const quotes = readVectorJson<readonly RecordedQuote[]>('dcap/vectors.json')
  return quotes.flatMap(({ file, checks }) =>
    checks.flatMap(({ bundle: collateral, verifyAtUnix }) =>
      collateral === null || verifyAtUnix === null
        ? []
        : [verifyAtUnix, verifyAtUnix + 400 * 86_400].map((time) => ({
            name: `${file} at ${time}`,
            quote: toHex(readVector(`dcap/${file}`)),
            collateral: readVectorJson(`dcap/${collateral}`),
            root: 'intel',
            at: time,
          })),
    ),
  )
}

/** The verifier as one script. */
async function bundle(): Promise<string> {
  const result = await build({
    ...config,
    configFile: false,
    root: import.meta.dirname,
    logLevel: 'silent',
    build: {
      ...config.build,
      write: false,
      lib: {
        entry: join(import.meta.dirname, 'verdict-entry.ts'),
        formats: ['iife'],
        name: 'verdicts',
      },
    },
  })
  const [first] = [result].flat()
  if (first === undefined || !('output' in first)) throw new Error('nothing was built')
  return first.output[0].code
}

describe.skipIf(program === undefined)('quotes in a browser', () => {
  test('have the same verdicts as in Node', { timeout: 240_000 }, async () => {
    const cases = [...syntheticCases(), ...recordedCases()]
    const browser = await chromium.launch({
      executablePath: program as string,
      args: ['--no-sandbox'],
    })
    try {
      const page = await browser.newPage()
      await page.addScriptTag({ content: await bundle() })
      const different: string[] = []
      const outcomes = new Set<string>()
      for (const each of cases) {
        const root =
          each.root === 'intel' ? 'intel' : Uint8Array.from(Buffer.from(each.root, 'hex'))
        const expected = outcomeOf(
          () =>
            verifyQuote(
              Uint8Array.from(Buffer.from(each.quote, 'hex')),
              parseCollateral(each.collateral),
              { at: each.at, root },
            ),
          isAssentError,
        )
        const found = await page.evaluate(
          (one) => (globalThis as unknown as { judge(one: unknown): string }).judge(one),
          each,
        )
        outcomes.add(expected.slice(0, 60))
        if (found !== expected) different.push(`${each.name}: ${found.slice(0, 200)}`)
      }
      expect(different).toEqual([])
      // the cases really have different outcomes
      expect(outcomes.size).toBeGreaterThan(20)
      console.log(`${cases.length} quotes have the same verdict in Chromium and in Node`)
    } finally {
      await browser.close()
    }
  })
})
