/** Intel's signed list of TCB evaluation numbers: which TCB recoveries there are, and since when. */
import { AssentError } from '../../errors/index.ts'
import { parseCertificate } from '../certificates/certificate.ts'
import { readTrustedRoot, verifyIssuerChain } from '../certificates/certificate-chain.ts'
import { splitPemChain } from '../certificates/pem.ts'
import type { TrustAnchor } from '../certificates/trust-anchor.ts'
import { parseSignedJson } from './signed-json.ts'

/** As a service sends it; nothing about it is believed yet. */
export interface EvaluationNumbersDocument {
  /** The exact bytes that Intel signed. */
  readonly text: string
  /** 64 bytes as hex */
  readonly signature: string
  /** PEM */
  readonly issuerChain: string
}

export interface EvaluationNumber {
  readonly number: number
  /** unix seconds */
  readonly recoveryAt: number
  /** First second at which platforms are judged by it: twelve months after its recovery event. */
  readonly standardAt: number
}

export interface EvaluationNumbers {
  readonly issueDate: number
  readonly nextUpdate: number
  /** Lowest number first. */
  readonly numbers: readonly EvaluationNumber[]
}

/** 365.25 days, as `CollateralJson.sol` counts. */
const year = 31_557_600

/**
 * Verifies the signature up to the trusted root and reads the list. Its time is the caller's business.
 *
 * @throws QUOTE_EVALUATION_NUMBERS_MALFORMED, QUOTE_EVALUATION_NUMBERS_UNSIGNED; rejects a chain that
 * leads elsewhere
 */
export function readEvaluationNumbers(
  { text, signature, issuerChain }: EvaluationNumbersDocument,
  root: TrustAnchor,
): EvaluationNumbers {
  const document = 'list of evaluation numbers'
  const chain = `issuer chain of the ${document}`
  const certificates = splitPemChain(issuerChain, { field: chain }).map((der) =>
    parseCertificate(der, chain),
  )
  const { issuer } = verifyIssuerChain(certificates, 'tcbSigning', readTrustedRoot(root), chain)
  if (!issuer.key.verifies(Buffer.from(text, 'utf8'), Buffer.from(signature, 'hex'))) {
    throw new AssentError(
      'QUOTE_EVALUATION_NUMBERS_UNSIGNED',
      `The ${document} is not what Intel signed.`,
      { facts: { document } },
    )
  }
  return parse(text, document)
}

function parse(text: string, document: string): EvaluationNumbers {
  const json = parseSignedJson(text, document, 'QUOTE_EVALUATION_NUMBERS_MALFORMED')
  if (json.string('id') !== 'TDX') throw json.malformed('id', '"TDX"')
  if (json.number('version', 255) !== 1) throw json.malformed('version', '1')
  const issueDate = json.time('issueDate')
  const nextUpdate = json.time('nextUpdate')
  const numbers = json.objects('tcbEvalNumbers').map((item): EvaluationNumber => {
    const number = item.number('tcbEvaluationDataNumber', 255)
    const recoveryAt = item.time('tcbRecoveryEventDate')
    item.time('tcbDate')
    return { number, recoveryAt, standardAt: recoveryAt + year }
  })
  if (numbers.length === 0) throw json.malformed('tcbEvalNumbers', 'non-empty')
  return { issueDate, nextUpdate, numbers: numbers.sort((a, b) => a.number - b.number) }
}

/** The number by which platforms are judged at `at`; 0 if none is old enough. */
export function standardNumberAt({ numbers }: EvaluationNumbers, at: number): number {
  return numbers.findLast(({ standardAt }) => standardAt <= at)?.number ?? 0
}

/** When the standard number changes next; undefined if no change is announced. */
export function nextStandard(
  { numbers }: EvaluationNumbers,
  at: number,
): EvaluationNumber | undefined {
  return numbers
    .filter(({ standardAt }) => standardAt > at)
    .reduce<EvaluationNumber | undefined>(
      (first, each) => (first === undefined || each.standardAt < first.standardAt ? each : first),
      undefined,
    )
}
