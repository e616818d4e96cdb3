/** Each date, signer, list and field by itself: a rule that counts one of several things is not enough. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto'

import { beforeAll, describe, expect, test } from 'vitest'
import { P256Key } from '../../src/quote/certificates/p256.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { mrAggregated } from '../../src/quote/measurements/measure.ts'
import { parseQuote, type Quote } from '../../src/quote/parse.ts'
import { checkPolicy, parsePolicy, type QuotePolicyInput } from '../../src/quote/policy.ts'
import type { Verified } from '../../src/quote/verdict.ts'
import { requireUsable, verifyParsedQuote } from '../../src/quote/verify.ts'
import { createCollateralCache } from '../../src/quote/verify-cache.ts'
import { type CollateralOptions, issueCollateral } from '../../src/tee/simulator/collateral.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import {
  type AuthorityOptions,
  createPckCa,
  createTcbSigning,
  type SimulatedCa,
} from '../../src/tee/simulator/pki.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'

const day = 86_400
const at = Date.UTC(2026, 7, 20, 12) / 1000
const simulator = createSimulator({ at })
const { pki } = simulator
const platform = simulator.createPlatform()
let quote: Quote

beforeAll(async () => {
  const cvm = platform.createCvm({ image: createImage(), compose: '{}' })
  quote = parseQuote((await cvm.source.attest(new Uint8Array(64))).quote)
})

function judge(options: CollateralOptions, when = at) {
  const collateral = parseCollateral(issueCollateral(pki, at, simulator.fmspc, options))
  const verdict = verifyParsedQuote(quote, collateral, {
    at: when,
    root: simulator.rootCertificate,
  })
  return verdict.verdict === 'verified' ? verdict.verdict : verdict.code
}

function usable(options: CollateralOptions, when = at): string {
  const collateral = parseCollateral(issueCollateral(pki, at, simulator.fmspc, options))
  try {
    requireUsable(collateral, { at: when, root: simulator.rootCertificate })
    return 'usable'
  } catch (error) {
    return (error as { verdict: { code: string } }).verdict.code
  }
}

function verified(options: CollateralOptions = {}): Verified {
  const collateral = parseCollateral(issueCollateral(pki, at, simulator.fmspc, options))
  const verdict = verifyParsedQuote(quote, collateral, { at, root: simulator.rootCertificate })
  if (verdict.verdict !== 'verified') throw new Error(verdict.code)
  return verdict
}

/** Everything is in force for years, but for what a test says. */
const long: CollateralOptions = {
  issuedAt: at - 300 * day,
  validFor: 900 * day,
  rootCrl: { thisUpdate: at - 300 * day, nextUpdate: at + 600 * day },
}
const other = (period: { notBefore?: number; notAfter?: number } = {}, serial = 77) =>
  createTcbSigning(pki.seed, pki.root, { serial: Uint8Array.of(serial), ...period })

describe('verifyQuote checks the dates of each document', () => {
  const from = at - 50 * day
  const to = at + 50 * day
  const list = { thisUpdate: from, nextUpdate: to }
  const document = { issuedAt: from, validFor: to - from }
  const signing = other({ notBefore: from, notAfter: to }).certificate
  const signed = [signing, pki.root.certificate]

  test.each<[string, CollateralOptions, string]>([
    ['root CRL', { rootCrl: list }, 'QUOTE_CRL_EXPIRED'],
    ['PCK CRL', { pckCrl: list }, 'QUOTE_CRL_EXPIRED'],
    ['TCB info', { tcbInfo: document }, 'QUOTE_TCB_INFO_EXPIRED'],
    ['QE identity', { qeIdentity: document }, 'QUOTE_QE_IDENTITY_EXPIRED'],
    ['signer of the TCB info', { tcbInfoChain: signed }, 'QUOTE_CERTIFICATE_EXPIRED'],
    ['signer of the QE identity', { qeIdentityChain: signed }, 'QUOTE_CERTIFICATE_EXPIRED'],
  ])('%s is checked to the second', (_, changed, expired) => {
    const options = { ...long, ...changed }

    expect(judge(options, from - 1)).toBe('QUOTE_NOT_YET_VALID')
    expect(judge(options, from)).toBe('verified')
    expect(judge(options, to)).toBe('verified')
    expect(judge(options, to + 1)).toBe(expired)
    expect(verified(options).expiresAt).toBe(to)
    // collateral that is over is of no use for any quote
    expect(usable(options, from - 1)).toBe('QUOTE_NOT_YET_VALID')
    expect(usable(options, from)).toBe('usable')
    expect(usable(options, to)).toBe('usable')
    expect(usable(options, to + 1)).toBe(expired)
  })
})

describe('verifyQuote checks the revocation of each signer', () => {
  const revoked = (serial: Uint8Array): CollateralOptions => ({ rootCrl: { revoked: [serial] } })
  const another = other()
  const chain = [another.certificate, pki.root.certificate]

  test.each<[string, CollateralOptions, Uint8Array]>([
    ['the one of the TCB info', { tcbInfoChain: chain }, another.serial],
    ['the one of the QE identity', { qeIdentityChain: chain }, another.serial],
    ['the one of both', {}, pki.tcbSigning.serial],
    ['the one that is left of both', { tcbInfoChain: chain }, pki.tcbSigning.serial],
  ])('%s', (_, chains, serial) => {
    expect(judge(chains)).toBe('verified')
    expect(judge({ ...chains, ...revoked(serial) })).toBe('QUOTE_TCB_SIGNING_REVOKED')
    expect(usable({ ...chains, ...revoked(serial) })).toBe('QUOTE_TCB_SIGNING_REVOKED')
    // a list speaks for certificates of its own issuer only
    expect(judge({ ...chains, pckCrl: { revoked: [serial] } })).toBe('verified')
  })

  test('a PCK CA and a PCK certificate are each checked with their own CRL', () => {
    const ca = pki.pckCa('platform').serial

    expect(judge(revoked(ca))).toBe('QUOTE_CA_REVOKED')
    expect(usable(revoked(ca))).toBe('usable')
    expect(judge({ pckCrl: { revoked: [ca] } })).toBe('verified')
    expect(judge({ pckCrl: { revoked: [platform.pckSerial] } })).toBe('QUOTE_PCK_REVOKED')
    expect(judge(revoked(platform.pckSerial))).toBe('verified')
  })
})

describe('verifyQuote checks the relations inside the chains', () => {
  const ca = (seed: Uint8Array, options: AuthorityOptions = {}) =>
    createPckCa(seed, pki.root, 'platform', options)
  const chainOf = (issuer: SimulatedCa): CollateralOptions => ({
    pckCrlChain: [issuer.certificate, pki.root.certificate],
  })

  /** The same certificate with other bits of key usage (RFC 5280 §4.2.1.3), signed as it then is. */
  const usage = (from: string, to: string, unused: number): AuthorityOptions => ({
    edits: {
      signed: (tbs) => {
        const text = Buffer.from(tbs).toString('hex')
        const changed = text.replace(
          new RegExp(`(0603551d0f0101ff04040302)0.${from}`),
          `$10${unused}${to}`,
        )
        expect(changed).not.toBe(text)
        return new Uint8Array(Buffer.from(changed, 'hex'))
      },
    },
  })

  test('a renewed CA certificate in the collateral can be revoked separately', () => {
    const renewed = ca(pki.seed, { serial: Uint8Array.of(78) })

    expect(judge(chainOf(renewed))).toBe('verified')
    expect(judge({ ...chainOf(renewed), rootCrl: { revoked: [renewed.serial] } })).toBe(
      'QUOTE_CA_REVOKED',
    )
  })

  test('a CRL of a CA with the same name and another key is rejected', () => {
    const twin = ca(new Uint8Array(32).fill(5))

    expect(judge({ ...chainOf(twin), pckCrl: { issuer: twin } })).toBe('QUOTE_CRL_ISSUER_MISMATCH')
  })

  test('a CA needs the right to sign CRLs, and a document signer the right to sign', () => {
    const noLists = ca(pki.seed, usage('06', '04', 2))
    const noSigner = createTcbSigning(pki.seed, pki.root, usage('c0', '40', 6))

    expect(judge(chainOf(noLists))).toBe('QUOTE_CHAIN_INVALID')
    const signed = [noSigner.certificate, pki.root.certificate]
    expect(judge({ tcbInfoChain: signed })).toBe('QUOTE_CHAIN_INVALID')
    expect(judge({ qeIdentityChain: signed })).toBe('QUOTE_CHAIN_INVALID')
  })

  test('a CRL must end after it begins', () => {
    const list = { thisUpdate: at, nextUpdate: at }
    expect(() => judge({ pckCrl: list })).toThrow(/nextUpdate/)
    expect(judge({ pckCrl: { ...list, nextUpdate: at + 1 } })).toBe('verified')
  })

  test('a cached result of one CA is not used for another', () => {
    const cache = createCollateralCache()
    const collateral = parseCollateral(issueCollateral(pki, at, simulator.fmspc))
    const options = { at, root: simulator.rootCertificate, cache }
    const [leaf = new Uint8Array(), , root = new Uint8Array()] = quote.pckChain
    const twin = ca(new Uint8Array(32).fill(5)).certificate
    expect(verifyParsedQuote(quote, collateral, options).verdict).toBe('verified')

    const mixed = { ...quote, pckChain: [leaf, twin, root] }
    expect(verifyParsedQuote(mixed, collateral, options)).toMatchObject({
      code: 'QUOTE_CHAIN_INVALID',
    })
  })

  test('two keys with one equal coordinate are different keys', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    const prime = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
    const negated = prime - BigInt(`0x${Buffer.from(y, 'base64url').toString('hex')}`)
    const message = new Uint8Array(8)
    const signature = new Uint8Array(sign('sha256', message, privateKey))
    const key = (second: Buffer) =>
      new P256Key(new Uint8Array(Buffer.concat([Buffer.from(x, 'base64url'), second])))

    expect(key(Buffer.from(y, 'base64url')).verifies(message, signature)).toBe(true)
    const mirrored = Buffer.from(negated.toString(16).padStart(64, '0'), 'hex')
    expect(key(mirrored).verifies(message, signature)).toBe(false)
  })
})

describe('a verdict has every value from its own source', () => {
  test('when all dates and numbers differ', () => {
    const found = verified({
      pckCrl: { thisUpdate: at - 1_000, nextUpdate: at + 40 * day },
      rootCrl: { thisUpdate: at - 2_000, nextUpdate: at + 41 * day },
      tcbInfo: { issuedAt: at - 3_000, evaluationNumber: 31 },
      qeIdentity: { issuedAt: at - 4_000, evaluationNumber: 32 },
    })

    expect(found).toMatchObject({
      issuedAt: {
        pckCrl: at - 1_000,
        rootCrl: at - 2_000,
        tcbInfo: at - 3_000,
        qeIdentity: at - 4_000,
      },
      tcbEvaluationNumbers: { tcbInfo: 31, qeIdentity: 32 },
      at,
    })
    expect(Buffer.from(found.fmspc).toString('hex')).toBe(simulator.fmspc.toLowerCase())
    expect(found.deviceId).toEqual(new Uint8Array(createHash('sha256').update(found.ppid).digest()))
    expect(found.deviceId).toEqual(platform.deviceId)
  })
})

describe('mr_aggregated includes the configuration registers', () => {
  test.each(['mrConfigId', 'mrOwner', 'mrOwnerConfig'] as const)('when only %s is set', (name) => {
    const zero = new Uint8Array(48)
    const { mrTd, rtmrs } = quote.report
    const registers = { mrConfigId: zero, mrOwner: zero, mrOwnerConfig: zero }
    const changed = { ...registers, [name]: new Uint8Array(48).fill(7) }
    const base = [mrTd, rtmrs[0], rtmrs[1], rtmrs[2], rtmrs[3]]
    const digest = (parts: readonly Uint8Array[]) =>
      new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest())
    const { mrConfigId, mrOwner, mrOwnerConfig } = changed

    expect(mrAggregated({ mrTd, rtmrs, ...registers }, rtmrs[3])).toEqual(digest(base))
    expect(mrAggregated({ mrTd, rtmrs, ...changed }, rtmrs[3])).toEqual(
      digest([...base, mrConfigId, mrOwner, mrOwnerConfig]),
    )
  })
})

describe('a policy checks each limit to the second', () => {
  const check = (subject: Verified, policy: QuotePolicyInput) => {
    try {
      checkPolicy(subject, parsePolicy(policy))
      return 'accepted'
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  const issued = { tcbInfo: at, qeIdentity: at, pckCrl: at, rootCrl: at - 300 * day }

  test.each(['tcbInfo', 'qeIdentity', 'pckCrl'] as const)('with the age of %s', (name) => {
    const subject = { ...verified(), issuedAt: { ...issued, [name]: at - 100 } }

    expect(check(subject, { maxCollateralAge: 100 })).toBe('accepted')
    expect(check(subject, { maxCollateralAge: 99 })).toBe('POLICY_COLLATERAL_TOO_OLD')
  })

  test.each(['tcbInfo', 'qeIdentity'] as const)('with the evaluation number of %s', (name) => {
    const numbers = { tcbInfo: 30, qeIdentity: 30, [name]: 20 }
    const subject = { ...verified(), tcbEvaluationNumbers: numbers }

    expect(check(subject, { minEvaluationNumber: 20 })).toBe('accepted')
    expect(check(subject, { minEvaluationNumber: 21 })).toBe('POLICY_EVALUATION_NUMBER_TOO_LOW')
  })

  test('with the TCB date', () => {
    const subject = verified()
    const date = Date.parse(subject.tcbDate) / 1000

    expect(check(subject, { minTcbDate: date })).toBe('accepted')
    expect(check(subject, { minTcbDate: date + 1 })).toBe('POLICY_TCB_DATE_TOO_OLD')
  })
})
