/** Both implementations on the same evidence: what each answers, and where the answers differ. */
import { isDeepStrictEqual } from 'node:util'
import { advisoryWord } from '../../src/chain/verifier/verdicts.ts'
import type { OnchainVerified, OnchainVerifier } from '../../src/chain/verifier/verify-onchain.ts'
import { type ErrorCode, isAssentError } from '../../src/errors/index.ts'
import { malformedErrors } from '../../src/errors/quote.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { hexFields } from '../../src/quote/to-json.ts'
import type { Rejected, Verified } from '../../src/quote/verdict.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { codeRules, unreadRules } from './parity-differences.ts'

export interface ParityEvidence {
  readonly quote: Uint8Array
  readonly collateral: object
  readonly root: Uint8Array
  readonly at: number
}

/** Refused with a code, or believed with everything that both report. */
export type Answer =
  | { readonly verdict: 'rejected' | 'malformed'; readonly code: ErrorCode; readonly place: string }
  | { readonly verdict: 'verified'; readonly proven: Record<string, unknown> }

export interface Answers {
  readonly typescript: Answer
  readonly solidity: Answer
}

/** @throws an error that is not an answer: an outage, a bug */
export async function askBoth(
  onchain: OnchainVerifier,
  evidence: ParityEvidence,
): Promise<Answers> {
  const { quote, root, at } = evidence
  const typescript = await toAnswer(() =>
    verifyQuote(quote, parseCollateral(evidence.collateral), { at, root }),
  )
  const solidity = await toAnswer(() =>
    onchain.verify(quote, parseCollateral(evidence.collateral), { at, root }),
  )
  return { typescript, solidity }
}

async function toAnswer(
  ask: () => Verified | Promise<OnchainVerified | Rejected> | Rejected,
): Promise<Answer> {
  try {
    const verdict = await ask()
    if (verdict.verdict === 'rejected') {
      return { verdict: 'rejected', code: verdict.code, place: placeOf(verdict.facts) }
    }
    return { verdict: 'verified', proven: comparable(verdict) }
  } catch (error) {
    if (!isAssentError(error) || !(error.code in malformedErrors)) throw error
    return { verdict: 'malformed', code: error.code, place: placeOf(error.facts) }
  }
}

/** Document and field, as far as a refusal names them. */
function placeOf({ document, field }: Readonly<Record<string, unknown>>): string {
  return [document, field].filter((part) => typeof part === 'string').join(' ')
}

/** The part that both implementations report. */
function comparable(verdict: Verified | OnchainVerified): Record<string, unknown> {
  const { quote, launch, current } = verdict
  const { status, tcbDate, advisoryIds, expiresAt, fmspc, deviceId, platformInstanceId } = verdict
  return hexFields({
    ...{ status, tcbDate, advisoryIds: advisoryIds.map(asReported), expiresAt, fmspc, deviceId },
    platformInstanceId,
    tcbEvaluationNumbers: verdict.tcbEvaluationNumbers,
    collateralIssuedAt: oldest(verdict),
    launch: launch.status,
    current: current?.status,
    version: quote.version,
    bodyType: quote.bodyType,
    report: quote.report,
  })
}

/** The contract has a word for each: of a long id its hash. */
function asReported(id: string): string {
  const isWord = /^0x[0-9a-f]{64}$/.test(id)
  return id.length > 31 && !isWord ? advisoryWord(id) : id
}

/** The contract keeps the hour of a PCK CRL, not its second. */
function oldest(verdict: Verified | OnchainVerified): number {
  if ('collateralIssuedAt' in verdict) return verdict.collateralIssuedAt
  const { tcbInfo, qeIdentity, pckCrl } = verdict.issuedAt
  return Math.min(tcbInfo, qeIdentity, pckCrl - (pckCrl % 3600))
}

/** How the answers differ, in words that name it; undefined where they are the same. */
export function differenceOf({ typescript, solidity }: Answers): string | undefined {
  if (typescript.verdict === 'verified' && solidity.verdict === 'verified') {
    const [a, b] = [typescript.proven, solidity.proven]
    const fields = Object.keys(a).filter((field) => !isDeepStrictEqual(a[field], b[field]))
    if (fields.length === 0) return undefined
    return fields.map((field) => `${field}: ${text(a[field])} > ${text(b[field])}`).join(', ')
  }
  const isSame =
    typescript.verdict !== 'verified' &&
    solidity.verdict !== 'verified' &&
    typescript.code === solidity.code
  return isSame ? undefined : `${nameOf(typescript)} > ${nameOf(solidity)}`
}

/** Whether a rule says why the answers differ. */
export function isExplained({ typescript, solidity }: Answers): boolean {
  if (typescript.verdict === 'verified') return false
  if (solidity.verdict === 'verified') {
    const refusal = `${typescript.code} ${typescript.place}`
    return unreadRules.some((rule) => rule.refusal.test(refusal))
  }
  return codeRules.some(
    (rule) => rule.typescript.includes(typescript.code) && rule.solidity.includes(solidity.code),
  )
}

function nameOf(answer: Answer): string {
  if (answer.verdict === 'verified') return 'verified'
  return `${answer.code} (${answer.place})`
}

function text(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing'
}
