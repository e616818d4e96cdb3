import { encodeFunctionData, stringToHex } from 'viem'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { quoteVerifierAbi } from '../../../src/chain/abi.ts'
import { sendCall, toChainError } from '../../../src/chain/call.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { fromHex, to0x } from '../../../src/lib/bytes.ts'
import { type Collateral, parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import { type DocumentOptions, issueTcbInfo } from '../../../src/tee/simulator/collateral.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import { createVerifierChain, type VerifierChain, verdicts } from './verifier-chain.ts'

const day = 86_400
const year = 31_557_600
/** 2026-01-15 */
const at = 1_768_478_400
const simulator = createSimulator({ seed: new Uint8Array(32).fill(9), at })
const quote = simulator.createPlatform({ name: 'one' }).quote({ version: 4 })

interface Recovery {
  readonly number: number
  readonly eventAt: number
}

/** 17 is the standard number, 18 becomes it in sixty days. */
const list: readonly Recovery[] = [
  { number: 18, eventAt: at - year + 60 * day },
  { number: 17, eventAt: at - year - day },
  { number: 16, eventAt: at - 2 * year },
]

let chain: VerifierChain

beforeAll(async () => {
  chain = await createVerifierChain(simulator.rootCertificate)
})

beforeEach(async () => {
  await chain.reset()
  await chain.goTo(at)
  await chain.put(collateral(17))
  await chain.uploadTcbInfo(collateral(18))
  await chain.uploadQeIdentity(collateral(18))
})

function collateral(evaluationNumber: number): Collateral {
  const issuedAt = at - day
  return parseCollateral(simulator.collateral({ evaluationNumber, issuedAt, validFor: 200 * day }))
}

function date(seconds: number): string {
  return `"${new Date(seconds * 1000).toISOString().slice(0, 19)}Z"`
}

function textOf(entries: readonly Recovery[], issuedAt: number, until: number, id = 'TDX'): string {
  const numbers = entries.map(
    ({ number, eventAt }) =>
      `{"tcbEvaluationDataNumber":${number},"tcbRecoveryEventDate":${date(eventAt)},"tcbDate":${date(eventAt)}}`,
  )
  const dates = `"issueDate":${date(issuedAt)},"nextUpdate":${date(until)}`
  return `{"id":"${id}","version":1,${dates},"tcbEvalNumbers":[${numbers.join(',')}]}`
}

/** Uploads `text`, signed as TCB info is. */
async function put(text: string, options: DocumentOptions = {}): Promise<void> {
  const document = issueTcbInfo(simulator.pki.tcbSigning, { ...options, edit: () => text })
  const signature = fromHex(document.signature, 'signature', 64)
  const data = encodeFunctionData({
    abi: quoteVerifierAbi,
    functionName: 'uploadEvaluationNumbers',
    args: [
      stringToHex(document.text),
      to0x(signature.subarray(0, 32)),
      to0x(signature.subarray(32)),
    ],
  })
  await sendCall(chain.clients, { to: chain.verifier, data, summary: 'store the list' })
}

async function errorOf(action: Promise<unknown>): Promise<unknown> {
  try {
    await action
    return 'accepted'
  } catch (cause) {
    const error = isAssentError(cause) ? cause : toChainError(cause, 'put')
    return error.facts.error ?? error.code
  }
}

async function numbersUsed(): Promise<string> {
  const report = await chain.verify(quote)
  return `${verdicts[report.verdict]} ${report.tcbEvaluationNumber} ${report.qeEvaluationNumber}`
}

describe('the standard evaluation number', () => {
  test('is the highest stored number without a list', async () => {
    expect(await numbersUsed()).toBe('Verified 18 18')
  })

  test('is the highest whose recovery event was a year ago', async () => {
    await put(textOf(list, at - day, at + 100 * day))

    expect(await numbersUsed()).toBe('Verified 17 17')
    const fresh = await chain.freshness()
    expect(fresh.standard).toBe(17)
    expect(fresh.standardUntil).toBe(at + 60 * day - 1)
  })

  test('is unknown after the list has expired', async () => {
    await put(textOf(list, at - day, at + 10 * day))
    expect((await chain.freshness()).standardUntil).toBe(at + 10 * day)

    await chain.goTo(at + 10 * day + 60)

    expect(await numbersUsed()).toBe('Verified 18 18')
  })

  test('stays the same after a root CRL that does not revoke the signer of the list', async () => {
    await put(textOf(list, at - day, at + 100 * day))
    const rootCrl = { thisUpdate: at, nextUpdate: at + 50 * day, revoked: [new Uint8Array([1])] }
    await chain.uploadRootCrl(parseCollateral(simulator.collateral({ rootCrl })))

    expect(await numbersUsed()).toBe('Verified 17 17')
    expect((await chain.freshness()).standardUntil).toBe(at + 60 * day - 1)
  })

  test('changes when the same list is sent again a year after the event', async () => {
    const text = textOf(list, at - day, at + 100 * day)
    await put(text)
    await chain.goTo(at + 61 * day)
    await put(text)

    expect((await chain.freshness()).standard).toBe(18)
  })

  test('invalidates stored verdicts when it changes', async () => {
    const before = await chain.freshness()
    await put(textOf(list, at - day, at + 100 * day))

    const after = await chain.freshness()
    expect(after.setEpoch).toBe(before.setEpoch + 1)
    expect(after.tcbEpoch).toBe(before.tcbEpoch + 1)

    await put(textOf(list, at - day, at + 100 * day))
    const { setEpoch, tcbEpoch } = await chain.freshness()
    expect([setEpoch, tcbEpoch]).toEqual([after.setEpoch, after.tcbEpoch])
  })
})

describe('a list of evaluation numbers is refused if it', () => {
  test('is older than the stored one', async () => {
    await put(textOf(list, at - day, at + 100 * day))

    expect(await errorOf(put(textOf(list, at - 2 * day, at + 100 * day)))).toBe(
      'CollateralNotNewer',
    )
  })

  test.each([
    ['dated later than the block', textOf(list, at + day, at + 100 * day), 'CollateralDates'],
    ['ends before it begins', textOf(list, at - day, at - 2 * day), 'CollateralDates'],
    ['ended', textOf(list, at - 30 * day, at - 1), 'CollateralDates'],
    ['for SGX', textOf(list, at - day, at + day, 'SGX'), 'JsonMalformed'],
    ['without an entry', textOf([], at - day, at + day), 'JsonMalformed'],
    ['with white space', textOf(list, at - day, at + day).replace(',', ', '), 'JsonMalformed'],
    ['cut off', textOf(list, at - day, at + day).slice(0, -1), 'JsonMalformed'],
    ['with more behind it', `${textOf(list, at - day, at + day)} `, 'JsonMalformed'],
    [
      'with a number that no slot holds',
      textOf([{ number: 256, eventAt: at - 2 * year }], at - day, at + day),
      'JsonMalformed',
    ],
  ])('is %s', async (_words, text, expected) => {
    expect(await errorOf(put(text))).toBe(expected)
  })

  test('is signed by another key or was changed', async () => {
    const text = textOf(list, at - day, at + day)

    const stranger = createSimulator({ seed: new Uint8Array(32).fill(1), at })
    const foreign = { signedBy: stranger.pki.tcbSigning.key }
    expect(await errorOf(put(text, foreign))).toBe('SignatureInvalid')
    const changed = { tamper: (signed: string) => signed.replace(':17', ':16') }
    expect(await errorOf(put(text, changed))).toBe('SignatureInvalid')
  })
})
