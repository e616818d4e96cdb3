import { beforeAll, describe, expect, test } from 'vitest'

import { AssentError, isAssentError } from '../../src/errors/index.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { syntheticCase, syntheticRoot, syntheticTime } from '../synthetic.ts'
import { createVerifierChain, statuses, type VerifierChain, verdicts } from './verifier-chain.ts'

/** Changed quotes of one case: the same bits each time. */
const mutations = 500

let chain: VerifierChain

beforeAll(async () => {
  chain = await createVerifierChain(syntheticRoot)
})

/** What the contract decides: the status, or that the quote is not believed. */
async function onChain(quote: Uint8Array): Promise<string> {
  try {
    const report = await chain.verify(quote)
    return verdicts[report.verdict] === 'Verified' ? String(statuses[report.status]) : 'refused'
  } catch (error) {
    if (isAssentError(error, 'CALL_REVERTED')) return 'refused'
    throw error
  }
}

function offChain(quote: Uint8Array, id: string): string {
  try {
    const verdict = verifyQuote(quote, syntheticCase(id).collateral, {
      at: syntheticTime,
      root: syntheticRoot,
    })
    return verdict.verdict === 'verified' ? verdict.status : 'refused'
  } catch (error) {
    if (error instanceof AssentError) return 'refused'
    throw error
  }
}

describe.each(['valid_v4_td10', 'relaunch_advised'])('Solidity and TypeScript on %s', (id) => {
  test('decide the same on every quote with one bit changed', async () => {
    const { quote, collateral } = syntheticCase(id)
    await chain.reset()
    await chain.goTo(syntheticTime - 20)
    await chain.put(collateral)
    await chain.goTo(syntheticTime)

    expect(await onChain(quote)).toBe(offChain(quote, id))
    for (let index = 0; index < mutations; index++) {
      const position = (index * 7919 + index) % quote.length
      const changed = Uint8Array.from(quote)
      changed[position] = (changed[position] as number) ^ (1 << (index % 8))

      expect(await onChain(changed), `bit ${index % 8} of byte ${position}`).toBe(
        offChain(changed, id),
      )
    }
  })
})
