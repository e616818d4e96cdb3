import { hexToString } from 'viem'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { isAssentError } from '../../../src/errors/index.ts'
import { type Collateral, parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import type { RecordedQuote } from '../../quote/recorded.ts'
import {
  type SyntheticCase,
  syntheticCases,
  syntheticRoot,
  syntheticTime,
} from '../../synthetic.ts'
import { describeRecorded, readVector, readVectorJson } from '../../vectors.ts'
import {
  createVerifierChain,
  type Report,
  statuses,
  type VerifierChain,
  verdicts,
} from './verifier-chain.ts'

/** The on-chain result for each reason of the synthetic cases: a verdict, or the error of the first contract that refuses. */
const reasons: Record<string, string[]> = {
  'TCB Revoked': ['TcbRevoked'],
  // the store refuses the whole document, as Intel's library does (docs/conformance.md)
  'unrecognized TCB status': ['StatusUnknown'],
  'TCB not supported': ['TcbUnsupported', 'ModuleUnknown'],
  'TDX module mismatch': ['ModuleUnknown', 'ModuleSigner', 'ModuleAttributes'],
  version: ['QuoteMalformed'],
  'attestation key type': ['QuoteMalformed'],
  'tee type': ['QuoteMalformed'],
  'QE vendor': ['QuoteMalformed'],
  'body type': ['QuoteMalformed'],
  'body size': ['QuoteMalformed'],
  'certification data type': ['QuoteMalformed'],
  'auth size': ['QuoteMalformed'],
  'cert size': ['QuoteMalformed'],
  'quote signature': ['QuoteSignature'],
  'QE report signature': ['QeReportSignature'],
  'QE report data': ['QeReportData'],
  'PCK chain': ['LeafSignature', 'LeafIssuer', 'ChainUnknown'],
  // the case's collateral holds the CA of the other root too: the store refuses it
  'untrusted root': ['SignatureInvalid', 'RootUntrusted'],
  'certificate validity': ['LeafNotInForce'],
  'PCK extension': ['LeafExtension'],
  // the store has no TCB info for the leaf's FMSPC
  FMSPC: ['TcbInfoMissing'],
  PCEID: ['TcbInfoPceId'],
  'PCK revoked': ['LeafRevoked'],
  'intermediate revoked': ['CaRevoked'],
  // the store refuses to take what the revoked certificate signed
  'TCB signing revoked': ['IssuerRevoked'],
  'CRL expired': ['RootCrlExpired'],
  // the Processor CA, whose list it is, is not in the bundle
  'CRL issuer': ['IssuerMissing'],
  'CRL signature': ['SignatureInvalid'],
  'TCB info expired': ['TcbInfoExpired'],
  'TCB info signature': ['SignatureInvalid'],
  'TCB info id': ['JsonMalformed'],
  'TCB info version': ['JsonMalformed'],
  'TCB info format': ['JsonMalformed'],
  'QE identity expired': ['QeIdentityExpired'],
  'QE identity signature': ['SignatureInvalid'],
  'QE identity id': ['JsonMalformed'],
  'QE identity mismatch': ['QeSigner', 'QeMiscSelect', 'QeAttributes'],
}

/** Six uploads, one block a second. */
const uploadSeconds = 20

/** Uploads a bundle to an empty store and judges a quote: the report, or the error's name. */
async function judge(
  chain: VerifierChain,
  quote: Uint8Array,
  collateral: Collateral,
  at: number,
): Promise<Report | string> {
  await chain.goTo(at - uploadSeconds)
  try {
    await chain.put(collateral)
    await chain.goTo(at)
    return await chain.verify(quote)
  } catch (error) {
    if (isAssentError(error, 'CALL_REVERTED')) return String(error.facts.error)
    throw error
  }
}

function outcome(judged: Report | string) {
  if (typeof judged === 'string') return judged
  if (verdicts[judged.verdict] !== 'Verified') return verdicts[judged.verdict] as string
  return { status: statuses[judged.status], advisoryIDs: advisories(judged) }
}

function advisories(report: Report): string[] {
  return report.advisories.map((id) => hexToString(id, { size: 32 }))
}

describe('QuoteVerifier on synthetic quotes', () => {
  let chain: VerifierChain

  beforeAll(async () => {
    chain = await createVerifierChain(syntheticRoot)
  })

  beforeEach(async () => {
    await chain.reset()
  })

  test.each(syntheticCases.map((entry): [string, SyntheticCase] => [entry.id, entry]))(
    '%s',
    async (_, { quote, collateral, expect: expected }) => {
      const judged = outcome(await judge(chain, quote, collateral, syntheticTime))

      if (expected.verifies) {
        const { status, advisoryIDs } = expected
        expect(judged).toEqual({ status, advisoryIDs })
      } else {
        expect(reasons[expected.reason]).toContain(judged)
      }
    },
  )
})

describeRecorded('QuoteVerifier on recorded quotes', () => {
  let chain: VerifierChain

  beforeAll(async () => {
    chain = await createVerifierChain(readVector('dcap/certs/root_ca.der'))
  })

  beforeEach(async () => {
    await chain.reset()
  })

  const recorded = readVectorJson<RecordedQuote[]>('dcap/vectors.json')
  const checks = recorded.flatMap((quote) =>
    quote.checks.flatMap((check) =>
      check.bundle === null ? [] : [{ quote, check, bundle: check.bundle }],
    ),
  )

  test.each(
    checks.map((entry) => [entry.bundle.replace(/^bundles\/|\.json$/g, ''), entry] as const),
  )('%s', async (_, { quote, check, bundle }) => {
    const judged = await judge(
      chain,
      readVector(`dcap/${quote.file}`),
      parseCollateral(readVectorJson(`dcap/${bundle}`)),
      check.verifyAtUnix,
    )

    const { result } = check
    if (!result.verifies) {
      expect(outcome(judged)).toBe('TcbUnsupported')
      return
    }
    expect(outcome(judged)).toEqual({ status: result.status, advisoryIDs: result.advisoryIDs })
    const report = judged as Report
    expect(report.tcbDate).toBe(BigInt(Date.parse(result.tcbDate as string) / 1000))
    expect(report.fmspc).toBe(`0x${quote.pck.fmspc}`)
    expect(report.platformInstanceId).toBe(`0x${quote.pck.platformInstanceId}`)
    expect(report.tcbEvaluationNumber).toBe(check.tcbEval)
    expect(report.qeEvaluationNumber).toBe(check.qeEval)
    expect(report.td).toContain(quote.mrTd)
  })
})
