/** Intel's signed list of TCB evaluation numbers, with the date of each TCB recovery. */
import { AssentError } from '../../errors/index.ts'
import { parseCertificate } from '../certificates/certificate.ts'
import { readTrustedRoot, verifyIssuerChain } from '../certificates/certificate-chain.ts'
import { splitPemChain } from '../certificates/pem.ts'
import type { TrustAnchor } from '../certificates/trust-anchor.ts'
import { parseSignedJson } from './signed-json.ts'

/** The list as a PCCS sends it. Its signature is not verified yet. */
export interface EvaluationNumbersDocument {
  /** The exact bytes that Intel signed. */
  readonly text: string
  /** 64 bytes as hex */
  readonly signature: string
  /** PEM */
  readonly issuerChain: string
}

/** An evaluation number with the date of its TCB recovery. */
export interface EvaluationNumber {
  readonly number: number
  /** Unix seconds of the TCB recovery. */
  readonly recoveryAt: number
  /** Unix seconds at which the number becomes the standard one: twelve months after its TCB recovery. */
  readonly standardAt: number
}

/** Intel's signed list of evaluation numbers (PCS API, `tdx/certification/v4/tcbevaluationdatanumbers`). */
export interface EvaluationNumbers {
  /** Unix seconds. */
  readonly issueDate: number
  /** Unix seconds. */
  readonly nextUpdate: number
  /** Lowest number first. */
  readonly numbers: readonly EvaluationNumber[]
}

/** 365.25 days in seconds, as in `CollateralJson.sol`. */
const year = 31_557_600

/**
 * Verifies the signature up to the root of trust and parses the list. The caller checks its validity.
 *
 * @throws QUOTE_EVALUATION_NUMBERS_MALFORMED, QUOTE_EVALUATION_NUMBERS_UNSIGNED
 * @throws Rejection if the chain ends in another root
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
      `The signature of the ${document} is invalid.`,
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

/** The standard TCB evaluation number at `at` (Unix seconds), or 0 if no number is old enough. */
export function standardNumberAt({ numbers }: EvaluationNumbers, at: number): number {
  return numbers.findLast(({ standardAt }) => standardAt <= at)?.number ?? 0
}

/** The next standard number, or undefined if Intel has not announced one. */
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
