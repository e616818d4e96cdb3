/**
 * Solidity = TypeScript: decision, status, advisories, dates, expiry, launch and current TCB, platform, TD report and
 * reason, on every vector, every fault of the simulator and on seeded forgeries.
 */
import { readFileSync } from 'node:fs'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { inputs, keepFailure, seed } from '../../scripts/test-effort.ts'
import {
  contractQuoteFields,
  contractStatuses,
  contractVerdicts,
} from '../../src/chain/verifier/verdicts.ts'
import {
  createOnchainVerifier,
  type OnchainVerifier,
} from '../../src/chain/verifier/verify-onchain.ts'
import {
  type InProcessChain,
  startInProcessChain,
} from '../../src/commands/quote/in-process-chain.ts'
import { createPckCa } from '../../src/tee/simulator/pki.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { mutateBytes } from '../fuzz/mutate.ts'
import { createRandom } from '../fuzz/random.ts'
import type { RecordedQuote } from '../quote/recorded.ts'
import { createCaseFixture } from '../simulator/faults/case.ts'
import { faultCatalogue } from '../simulator/faults/catalogue.ts'
import { syntheticCases, syntheticRoot, syntheticTime } from '../synthetic.ts'
import { recipeOf } from '../synthetic-to-catalogue.ts'
import { describeRecorded, readVector, readVectorJson } from '../vectors.ts'
import { type Answer, askBoth, differenceOf, isExplained, type ParityEvidence } from './parity.ts'
import { twoCertificatesOfOneKey } from './parity-differences.ts'
import { forgeries } from './parity-inputs.ts'

let chain: InProcessChain
let onchain: OnchainVerifier

beforeAll(async () => {
  chain = await startInProcessChain()
  onchain = await createOnchainVerifier(chain)
})
afterAll(() => chain.close())

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const bench = createCaseFixture(createSimulator({ at, seed: new Uint8Array(32).fill(11) }))

interface Named {
  readonly name: string
  readonly evidence: ParityEvidence
}

/** Differences that no rule explains, and how many evidences were believed by both. */
async function compare(
  cases: Iterable<Named>,
): Promise<{ unexplained: string[]; verified: number }> {
  const unexplained: string[] = []
  let verified = 0
  for (const { name, evidence } of cases) {
    const answers = await askBoth(onchain, evidence)
    const difference = differenceOf(answers)
    if (difference === undefined) verified += answers.typescript.verdict === 'verified' ? 1 : 0
    else if (!isExplained(answers)) {
      unexplained.push(`${name}: ${difference}`)
      keepFailure(`parity-${seed}-${unexplained.length}`, {
        name,
        difference,
        evidence: text(evidence),
      })
    }
  }
  return { unexplained, verified }
}

function text({ quote, root, ...rest }: ParityEvidence) {
  return {
    ...rest,
    quote: Buffer.from(quote).toString('hex'),
    root: Buffer.from(root).toString('hex'),
  }
}

test.each([
  ['types/Report.sol', 'Verdict', contractVerdicts],
  ['types/Report.sol', 'TcbStatus', contractStatuses],
  ['quote/parsing/QuoteParser.sol', 'QuoteField', contractQuoteFields],
])(
  '%s: the members of %s have the same names in the same order in Solidity and TypeScript',
  (file, name, known) => {
    const source = readFileSync(new URL(`../../contracts/${file}`, import.meta.url), 'utf8')
    const [, body = ''] = new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(source) ?? []
    const members = body
      .replaceAll(/\/\/.*$/gm, '')
      .split(',')
      .map((member) => member.trim())

    expect(members).toEqual(known)
  },
)

test('both verifiers give the same answer for every synthetic quote', {
  timeout: 120_000,
}, async () => {
  const { unexplained, verified } = await compare(
    syntheticCases.map(({ id, quote, collateral }) => ({
      name: id,
      evidence: { quote, collateral, root: syntheticRoot, at: syntheticTime },
    })),
  )

  expect(unexplained).toEqual([])
  expect(verified).toBe(syntheticCases.filter((entry) => entry.expect.verifies).length)
})

test('both verifiers give the same answer for every fault of the simulator', {
  timeout: 120_000,
}, async () => {
  const { unexplained, verified } = await compare(
    faultCatalogue.map(({ name, build }) => ({ name, evidence: build(bench) })),
  )

  expect(unexplained.map((difference) => difference.split(':')[0])).toEqual(twoCertificatesOfOneKey)
  expect(verified).toBe(
    faultCatalogue.filter(
      ({ name, expect: { verdict } }) =>
        verdict === 'verified' && !twoCertificatesOfOneKey.includes(name),
    ).length,
  )
})

test.each(syntheticCases.map((entry) => [entry.id, entry] as const))(
  'both verifiers give the same answer for quotes of class %s from the simulator',
  async (id, { quote, collateral }) => {
    const given = await askBoth(onchain, {
      quote,
      collateral,
      root: syntheticRoot,
      at: syntheticTime,
    })
    const made = await askBoth(onchain, recipeOf(id).build(bench))

    expect(outline(made.typescript)).toEqual(outline(given.typescript))
    expect(outline(made.solidity)).toEqual(outline(given.solidity))
  },
)

/** What an answer says about its class: the other facts are of one platform. */
function outline(answer: Answer) {
  if (answer.verdict !== 'verified') return { verdict: answer.verdict, code: answer.code }
  const { status, launch, current, version, bodyType } = answer.proven
  return { verdict: answer.verdict, status, launch, current, version, bodyType }
}

test('the contract accepts certificates of a re-issued CA after the new CA certificate is uploaded', async () => {
  const { platform, simulator } = bench
  const { pki } = simulator
  const again = createPckCa(pki.seed, pki.root, 'platform', { notBefore: at - 86_400 })
  const pckChain = [platform.pck, again.certificate, pki.root.certificate]
  const evidence = {
    quote: platform.quote({ pckChain }),
    collateral: bench.collateral,
    root: simulator.rootCertificate,
    at,
  }
  const held = { ...evidence, collateral: simulator.collateral({ pckCrlChain: pckChain.slice(1) }) }

  expect(await askBoth(onchain, evidence)).toMatchObject({
    typescript: { verdict: 'verified' },
    solidity: { verdict: 'rejected', code: 'QUOTE_CHAIN_INVALID' },
  })
  expect(differenceOf(await askBoth(onchain, held))).toBeUndefined()
})

describe.each(Object.entries(forgeries))('both verifiers, forgeries of %s', (kind, forge) => {
  const count = inputs(30, 2_500)

  test(`the same on ${count}`, { timeout: inputs(120_000, 4 * 3_600_000) }, async () => {
    const random = createRandom(seed, kind)
    const { unexplained, verified } = await compare(
      (function* () {
        for (let index = 0; index < count; index++) {
          yield { name: `${kind} ${index}`, evidence: forge(bench, random) }
        }
      })(),
    )
    console.info(`parity: ${count} ${kind}, ${verified} verified by both`)

    expect(unexplained).toEqual([])
  })
})

describeRecorded('both verifiers, recorded quotes:', () => {
  const recorded = readVectorJson<RecordedQuote[]>('dcap/vectors.json')
  const root = readVector('dcap/certs/root_ca.der')
  const checks = recorded.flatMap(({ file, checks }) =>
    checks.flatMap(({ bundle, verifyAtUnix }) =>
      bundle === null ? [] : [{ file, bundle, verifyAtUnix }],
    ),
  )
  // a few every day, all in a night
  const chosen = checks.filter((_, index) => (index + seed) % inputs(5, 1) === 0)

  test(`the same on ${chosen.length} of ${checks.length}`, { timeout: 240_000 }, async () => {
    const { unexplained, verified } = await compare(
      chosen.map(({ file, bundle, verifyAtUnix }) => ({
        name: bundle,
        evidence: {
          quote: readVector(`dcap/${file}`),
          collateral: readVectorJson<object>(`dcap/${bundle}`),
          root,
          at: verifyAtUnix,
        },
      })),
    )

    expect(unexplained).toEqual([])
    expect(verified).toBeGreaterThan(0)
  })

  test('changed quotes get the same answer', { timeout: inputs(120_000, 3_600_000) }, async () => {
    const random = createRandom(seed, 'recorded')
    const { file, bundle, verifyAtUnix } = random.pick(checks)
    const quote = readVector(`dcap/${file}`)
    const collateral = readVectorJson<object>(`dcap/${bundle}`)
    const { unexplained } = await compare(
      Array.from({ length: inputs(100, 20_000) }, (_, index) => ({
        name: `${bundle} ${index}`,
        evidence: { quote: mutateBytes(quote, random), collateral, root, at: verifyAtUnix },
      })),
    )

    expect(unexplained).toEqual([])
  })
})
