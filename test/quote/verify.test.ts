import { describe, expect, test } from 'vitest'

import { AssentError, type ErrorCode } from '../../src/errors/index.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { SPKI_PREFIX } from '../../src/quote/certificates/p256.ts'
import { type Collateral, parseCollateral } from '../../src/quote/collateral/collateral.ts'
import type { Verdict, Verified } from '../../src/quote/verdict.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { createCollateralCache } from '../../src/quote/verify-cache.ts'
import { syntheticCase, syntheticCases, syntheticRoot, syntheticTime } from '../synthetic.ts'
import { describeRecorded, readVector, readVectorJson } from '../vectors.ts'
import type { RecordedCheck, RecordedQuote } from './recorded.ts'

/** Which codes each reason of the synthetic cases may have. */
const reasonCodes: Record<string, ErrorCode[]> = {
  'TCB Revoked': ['QUOTE_TCB_REVOKED'],
  'unrecognized TCB status': ['QUOTE_TCB_STATUS_UNKNOWN'],
  'TCB not supported': ['QUOTE_TCB_NOT_SUPPORTED'],
  'TDX module mismatch': ['QUOTE_TDX_MODULE_MISMATCH'],
  version: ['QUOTE_VERSION_UNSUPPORTED'],
  'attestation key type': ['QUOTE_KEY_TYPE_UNSUPPORTED'],
  'tee type': ['QUOTE_TEE_TYPE_UNSUPPORTED'],
  'QE vendor': ['QUOTE_VENDOR_UNKNOWN'],
  'body type': ['QUOTE_BODY_TYPE_UNSUPPORTED'],
  'body size': ['QUOTE_BODY_SIZE_WRONG'],
  'certification data type': ['QUOTE_CERTIFICATION_TYPE_UNSUPPORTED'],
  'auth size': ['QUOTE_TRUNCATED'],
  'cert size': ['QUOTE_TRUNCATED'],
  'quote signature': ['QUOTE_SIGNATURE_INVALID'],
  'QE report signature': ['QUOTE_QE_REPORT_SIGNATURE_INVALID'],
  'QE report data': ['QUOTE_QE_REPORT_DATA_MISMATCH'],
  'PCK chain': ['QUOTE_CHAIN_INVALID'],
  // the case's collateral holds the CA of the other root too, and is looked at first
  'untrusted root': ['QUOTE_ROOT_UNTRUSTED', 'QUOTE_CHAIN_INVALID'],
  'certificate validity': ['QUOTE_NOT_YET_VALID'],
  'PCK extension': ['QUOTE_PCK_INVALID'],
  FMSPC: ['QUOTE_FMSPC_MISMATCH'],
  PCEID: ['QUOTE_PCEID_MISMATCH'],
  'PCK revoked': ['QUOTE_PCK_REVOKED'],
  'intermediate revoked': ['QUOTE_CA_REVOKED'],
  'TCB signing revoked': ['QUOTE_TCB_SIGNING_REVOKED'],
  'CRL expired': ['QUOTE_CRL_EXPIRED'],
  'CRL issuer': ['QUOTE_CRL_ISSUER_MISMATCH'],
  'CRL signature': ['QUOTE_CRL_SIGNATURE_INVALID'],
  'TCB info expired': ['QUOTE_TCB_INFO_EXPIRED'],
  'TCB info signature': ['QUOTE_TCB_INFO_SIGNATURE_INVALID'],
  'TCB info id': ['QUOTE_TCB_INFO_UNSUPPORTED'],
  'TCB info version': ['QUOTE_TCB_INFO_UNSUPPORTED'],
  'TCB info format': ['QUOTE_TCB_INFO_MALFORMED'],
  'QE identity expired': ['QUOTE_QE_IDENTITY_EXPIRED'],
  'QE identity signature': ['QUOTE_QE_IDENTITY_SIGNATURE_INVALID'],
  'QE identity id': ['QUOTE_QE_IDENTITY_UNSUPPORTED'],
  'QE identity mismatch': ['QUOTE_QE_IDENTITY_MISMATCH'],
}

/** The code of whatever refused, thrown or returned. */
function refusal(verify: () => Verdict): ErrorCode | 'verified' {
  try {
    const verdict = verify()
    return verdict.verdict === 'verified' ? 'verified' : verdict.code
  } catch (error) {
    if (error instanceof AssentError) return error.code
    throw error
  }
}

function requireVerified(verdict: Verdict): Verified {
  if (verdict.verdict !== 'verified') throw new Error(`${verdict.code}: ${verdict.message}`)
  return verdict
}

describe('verifyQuote on synthetic quotes', () => {
  const options = { at: syntheticTime, root: syntheticRoot }

  test.each(syntheticCases.map((entry) => [entry.id, entry] as const))(
    'gives the expected verdict for %s',
    (_, entry) => {
      const { expect: expected } = entry
      if (expected.verifies) {
        const verdict = requireVerified(verifyQuote(entry.quote, entry.collateral, options))

        expect(verdict.status).toBe(expected.status)
        expect(verdict.advisoryIds).toEqual(expected.advisoryIDs)
      } else {
        const code = refusal(() => verifyQuote(entry.quote, entry.collateral, options))

        expect(reasonCodes[expected.reason], expected.reason).toContain(code)
      }
    },
  )

  const { quote, collateral } = syntheticCase('valid_v4_td10')

  test('trusts the root by its key, given as a certificate or as a public key', () => {
    const point = syntheticRootPoint()
    const key = Uint8Array.of(...SPKI_PREFIX, ...point)

    expect(verifyQuote(quote, collateral, { at: syntheticTime, root: key }).verdict).toBe(
      'verified',
    )
  })

  test('rejects a quote with a mock root if Intel is the root of trust', () => {
    expect(
      refusal(() => verifyQuote(quote, collateral, { at: syntheticTime, root: 'intel' })),
    ).toBe('QUOTE_ROOT_UNTRUSTED')
  })

  test('rejects a quote whose chain has another root than its collateral', () => {
    const other = syntheticCase('chain_other_root')

    expect(refusal(() => verifyQuote(other.quote, collateral, options))).toBe(
      'QUOTE_ROOT_UNTRUSTED',
    )
  })

  test('rejects a CRL of another CA than the issuer of the PCK certificate', () => {
    const processor = syntheticCase('valid_processor_ca')
    const { pck_crl, pck_crl_issuer_chain } = collateral
    const mixed = { ...processor.collateral, pck_crl, pck_crl_issuer_chain }

    expect(refusal(() => verifyQuote(processor.quote, mixed, options))).toBe(
      'QUOTE_CRL_ISSUER_MISMATCH',
    )
  })

  test('accepts every second up to expiresAt and none after it', () => {
    const { expiresAt } = requireVerified(verifyQuote(quote, collateral, options))
    const at = (seconds: number) =>
      refusal(() => verifyQuote(quote, collateral, { ...options, at: seconds }))

    expect(at(expiresAt)).toBe('verified')
    expect(at(expiresAt + 1)).toMatch(/_EXPIRED$/)
  })

  test.each([Number.NaN, 1.5, -1, 1e15])('refuses %d as a time', (at) => {
    expect(refusal(() => verifyQuote(quote, collateral, { ...options, at }))).toBe('INPUT_INVALID')
  })

  test('a verdict does not change if the caller overwrites the quote', () => {
    const bytes = Uint8Array.from(quote)
    const verdict = requireVerified(verifyQuote(bytes, collateral, options))
    const before = toHex(verdict.quote.report.mrTd)
    bytes.fill(0)

    expect(toHex(verdict.quote.report.mrTd)).toBe(before)
  })
})

describe('a collateral cache', () => {
  const options = { at: syntheticTime, root: syntheticRoot }

  test('changes no verdict of the synthetic quotes, also at the second use', () => {
    const cache = createCollateralCache()
    for (const { id, quote, collateral } of syntheticCases) {
      const uncached = refusal(() => verifyQuote(quote, collateral, options))
      for (const round of [1, 2]) {
        const cached = refusal(() => verifyQuote(quote, collateral, { ...options, cache }))
        expect(cached, `${id}, round ${round}`).toBe(uncached)
      }
    }
  })

  test('checks validity at each use', () => {
    const cache = createCollateralCache()
    const { quote, collateral } = syntheticCase('valid_v4_td10')
    const verdict = requireVerified(verifyQuote(quote, collateral, { ...options, cache }))
    const later = { ...options, cache, at: verdict.expiresAt + 1 }

    expect(refusal(() => verifyQuote(quote, collateral, later))).toMatch(/_EXPIRED$/)
  })

  test('has no key for a QE report, signature or auth data with one changed bit', () => {
    const cache = createCollateralCache()
    const { quote, collateral } = syntheticCase('valid_v4_td10')
    verifyQuote(quote, collateral, { ...options, cache })
    const signatureStart = 636
    const chainStart = Buffer.from(quote).indexOf('-----BEGIN')

    for (let at = signatureStart; at < chainStart; at += 7) {
      const altered = quote.slice()
      altered[at] = (altered[at] as number) ^ 1
      const cached = refusal(() => verifyQuote(altered, collateral, { ...options, cache }))

      expect(cached, `byte ${at}`).toMatch(/^QUOTE_/)
      expect(cached, `byte ${at}`).toBe(refusal(() => verifyQuote(altered, collateral, options)))
    }
  })

  test('distinguishes collateral and roots of trust', () => {
    const cache = createCollateralCache()
    const { quote, collateral } = syntheticCase('valid_v4_td10')
    verifyQuote(quote, collateral, { ...options, cache })
    const forged: Collateral = { ...collateral, tcb_info: `${collateral.tcb_info} ` }

    expect(refusal(() => verifyQuote(quote, forged, { ...options, cache }))).toBe(
      'QUOTE_TCB_INFO_SIGNATURE_INVALID',
    )
    expect(
      refusal(() => verifyQuote(quote, collateral, { at: syntheticTime, root: 'intel', cache })),
    ).toBe('QUOTE_ROOT_UNTRUSTED')
  })

  test('detects collateral or a root that was overwritten after its verification', () => {
    const cache = createCollateralCache()
    const { quote, collateral } = syntheticCase('valid_v4_td10')
    const bundle = { ...collateral }
    const root = Uint8Array.from(options.root)
    verifyQuote(quote, bundle, { ...options, root, cache })

    bundle.tcb_info += ' '
    expect(refusal(() => verifyQuote(quote, bundle, { ...options, root, cache }))).toBe(
      'QUOTE_TCB_INFO_SIGNATURE_INVALID',
    )
    root.fill(0)
    expect(refusal(() => verifyQuote(quote, collateral, { ...options, root, cache }))).toMatch(
      /^QUOTE_/,
    )
  })
})

describeRecorded('verifyQuote on recorded quotes', () => {
  const recorded = readVectorJson<RecordedQuote[]>('dcap/vectors.json')
  const checks = recorded.flatMap((entry) =>
    entry.checks
      .filter((check): check is RecordedCheck & { bundle: string } => check.bundle !== null)
      .map(
        (check) =>
          [`${entry.id} at eval ${check.tcbEval}, ${check.notBefore}`, entry, check] as const,
      ),
  )

  test('has collateral for 69 checks', () => {
    expect(checks).toHaveLength(69)
  })

  test.each(checks)('gives the expected verdict for %s', (_, entry, check) => {
    const quote = readVector(`dcap/${entry.file}`)
    const collateral = parseCollateral(readVectorJson(`dcap/${check.bundle}`))
    const verdict = verifyQuote(quote, collateral, { at: check.verifyAtUnix, root: 'intel' })
    if (!check.result.verifies) {
      expect(verdict).toMatchObject({ verdict: 'rejected', code: 'QUOTE_TCB_NOT_SUPPORTED' })
      return
    }

    const verified = requireVerified(verdict)
    expect(verified).toMatchObject({
      status: check.result.status,
      tcbDate: check.result.tcbDate,
      advisoryIds: check.result.advisoryIDs,
      tcbEvaluationNumbers: { tcbInfo: check.tcbEval, qeIdentity: check.qeEval },
    })
    expect(verified.launch.status).toBe(check.result.launchStatus ?? check.result.status)
    expect(verified.current?.status).toBe(check.result.current?.status)
    expect(verified.current?.tcbDate).toBe(check.result.current?.tcbDate)
    expect(toHex(verified.fmspc)).toBe(entry.pck.fmspc)
    expect(toHex(verified.pceId)).toBe(entry.pck.pceid)
    expect(toHex(verified.platformInstanceId ?? new Uint8Array())).toBe(
      entry.pck.platformInstanceId,
    )
    expect(new Date(verified.expiresAt * 1000).toISOString()).toBe(
      check.notAfter.replace('Z', '.000Z'),
    )
  })
})

function syntheticRootPoint(): Uint8Array {
  const start = Buffer.from(syntheticRoot).indexOf(Buffer.from(SPKI_PREFIX)) + SPKI_PREFIX.length
  return syntheticRoot.subarray(start, start + 64)
}
