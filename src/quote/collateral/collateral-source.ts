/**
 * Fetches collateral from PCCS and keeps it while it is fresh.
 *
 * All PCCS are asked, and a response counts only after it was verified. So a PCCS that is offline, slow, outdated or
 * malicious does not affect the others. Only a quote that a real platform signed causes requests.
 */
import { AssentError } from '../../errors/index.ts'
import { equalBytes, toHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { TrustAnchor } from '../certificates/trust-anchor.ts'
import type { Quote } from '../parse.ts'
import { Rejection, type Verdict } from '../verdict.ts'
import {
  type Origin,
  requireUsable,
  type VerifyOptions,
  verifyOrigin,
  verifyParsedQuote,
} from '../verify.ts'
import { createCollateralCache, type VerificationCache } from '../verify-cache.ts'
import { type Collateral, parseCollateral } from './collateral.ts'
import {
  allFailed,
  type CollateralUpdate,
  fetchCollateralFrom,
  type PccsOptions,
  type PlatformFamily,
  platformFamily,
} from './pccs.ts'
import { requireCurrent, type TrustedCollateral } from './trusted-collateral.ts'

/**
 * Returns collateral for the platform of a quote.
 *
 * @throws PCCS_UNAVAILABLE if no PCCS has it
 * @throws Rejection if a signature of the quote is invalid
 */
export type CollateralSource = (quote: Quote) => Promise<Collateral>

/** Rules for collateral. */
export interface SourceRules {
  /** The root of trust for quotes and collateral. */
  readonly root: TrustAnchor
  /** Unix seconds. */
  readonly clock: Clock
  readonly cache?: VerificationCache
}

/** Options of {@link createPccsSource}. */
export interface PccsSourceOptions extends PccsOptions, SourceRules {
  /** `standard` or `early` evaluation number of Intel's API. */
  readonly update: CollateralUpdate
  /** Seconds for which collateral is used before it is fetched again. */
  readonly refreshSeconds: number
  /** Milliseconds to wait for the other PCCS after the first valid response. Default: 2,000. */
  readonly graceMs?: number
  /** Monotonic time in milliseconds. */
  readonly now?: () => number
}

/** Collateral that was verified. */
interface FoundCollateral {
  readonly collateral: Collateral
  readonly trusted: TrustedCollateral
}

interface CachedCollateral extends FoundCollateral {
  /** Milliseconds of the monotonic clock. */
  readonly fetchedAt: number
}

/** Most platform families in memory. Intel has some tens of them, and only real platforms add one. */
const capacity = 64

/** Failures of a platform family in a row after which the next request asks again at once. */
const freeFailures = 3
/** Pause after the next failure. It doubles with each further one. */
const firstPauseMs = 5_000
const longestPauseMs = 300_000

/** The failures of a platform family in a row. */
interface Failures {
  readonly count: number
  readonly last: unknown
  /** Until then, in milliseconds of the monotonic clock, requests get the last failure. */
  readonly until: number
}

function countFailure(before: Failures | undefined, last: unknown, now: number): Failures {
  const count = (before?.count ?? 0) + 1
  const pauses = count - freeFailures
  const pauseMs = pauses < 0 ? 0 : Math.min(firstPauseMs * 2 ** pauses, longestPauseMs)
  return { count, last, until: now + pauseMs }
}

/** A source that always returns the same collateral: for files, tests and the demo. */
export function fixedCollateral(json: unknown): CollateralSource {
  const collateral = parseCollateral(json)
  return async () => collateral
}

/**
 * Verifies a quote with the collateral of `source`.
 *
 * Unusable collateral (invalid signature, expired, revoked signer) is an outage and not a verdict on the quote.
 *
 * @throws PCCS_UNAVAILABLE if there is no usable collateral
 * @throws QUOTE_* if a certificate of the quote is malformed
 */
export async function verifyWithSource(
  quote: Quote,
  source: CollateralSource,
  { root, clock, cache }: SourceRules,
): Promise<Verdict> {
  try {
    const collateral = await source(quote)
    const options = { at: clock(), root, ...(cache ? { cache } : {}) }
    requireUsableCollateral(quote, collateral, options)
    return verifyParsedQuote(quote, collateral, options)
  } catch (error) {
    if (error instanceof Rejection) return error.verdict
    throw error
  }
}

function requireUsableCollateral(
  quote: Quote,
  collateral: Collateral,
  options: VerifyOptions,
): void {
  try {
    requireUsable(collateral, options)
  } catch (error) {
    // a quote with an invalid signature is rejected with any collateral
    verifyOrigin(quote, options)
    throw toFailure(error, 'the collateral')
  }
}

/**
 * Creates a source that fetches collateral from PCCS, for each platform family.
 *
 * Concurrent requests for one family share one fetch. After three failures in a row a family is asked for again only
 * after a pause, so that a genuine quote of a family that no PCCS has does not cause requests without end.
 */
export function createPccsSource(options: PccsSourceOptions): CollateralSource {
  const { root, clock, refreshSeconds, cache = createCollateralCache() } = options
  const { now = () => performance.now() } = options
  const kept = new Map<string, CachedCollateral>()
  const rounds = new Map<string, Promise<Collateral>>()
  const failed = new Map<string, Failures>()
  return async (quote) => {
    const name = nameOf(platformFamily(quote))
    const known = kept.get(name)
    const isFresh = known !== undefined && now() - known.fetchedAt < refreshSeconds * 1000
    if (isFresh && holds(known, clock())) return known.collateral
    const origin = verifyOrigin(quote, { root, cache })
    const running = rounds.get(name)
    if (running) return running
    const failures = failed.get(name)
    if (failures !== undefined && now() < failures.until) throw failures.last
    const round = askAgain(origin, known, { ...options, cache }).then((found) => {
      kept.delete(name)
      kept.set(name, { ...found, fetchedAt: now() })
      if (kept.size > capacity) kept.delete(kept.keys().next().value as string)
      return found.collateral
    })
    rounds.set(name, round)
    round
      .then(
        () => void failed.delete(name),
        (error: unknown) => {
          failed.delete(name)
          failed.set(name, countFailure(failures, error, now()))
          if (failed.size > capacity) failed.delete(failed.keys().next().value as string)
        },
      )
      .finally(() => rounds.delete(name))
    return round
  }
}

function nameOf({ fmspc, ca }: PlatformFamily): string {
  return `${fmspc}/${ca}`
}

type CollateralQuery = PccsSourceOptions & { readonly cache: VerificationCache }

/** Fetches from all PCCS and combines the newest documents of the responses and of the stored collateral. */
async function askAgain(
  origin: Origin,
  kept: FoundCollateral | undefined,
  options: CollateralQuery,
): Promise<FoundCollateral> {
  const found = await askAll(origin, options)
  const holding = kept && holds(kept, options.clock()) ? [kept] : []
  const collateral = newestOf(found, holding)
  try {
    return examine(collateral, origin, options)
  } catch (error) {
    throw allFailed('collateral that holds together', {}, [toFailure(error, 'all together')])
  }
}

async function askAll(origin: Origin, options: CollateralQuery): Promise<FoundCollateral[]> {
  const family = familyOf(origin)
  const found: FoundCollateral[] = []
  const failures: AssentError[] = []
  let first: (() => void) | undefined
  const one = new Promise<void>((resolve) => {
    first = resolve
  })
  const ask = async (url: string) => {
    try {
      const collateral = await fetchCollateralFrom(url, family, options.update, options)
      found.push(examine(collateral, origin, options))
      first?.()
    } catch (error) {
      const failure = toFailure(error, new URL(url).host)
      failures.push(failure)
      options.onFailure?.(url, failure)
    }
  }
  const all = Promise.all(options.urls.map(ask))
  await Promise.race([all, one])
  await Promise.race([all, pause(options.graceMs ?? 2_000)])
  if (found.length > 0) return found
  throw allFailed('the collateral', { ...family, update: options.update }, failures)
}

function familyOf({ sgx, ca }: Origin): PlatformFamily {
  const isProcessor = ca.subjectCommonName.includes('Processor')
  return { fmspc: toHex(sgx.fmspc), ca: isProcessor ? 'processor' : 'platform' }
}

/** Checks that collateral is signed, valid now, and for this platform. */
function examine(
  collateral: Collateral,
  { sgx, ca }: Origin,
  { root, cache, clock }: CollateralQuery,
): FoundCollateral {
  const trusted = cache.verifyCollateral(collateral, cache.readTrustedRoot(root))
  requireCurrent(trusted, clock())
  if (!equalBytes(trusted.tcbInfo.fmspc, sgx.fmspc)) {
    throw foreign('TCB info', toHex(trusted.tcbInfo.fmspc), toHex(sgx.fmspc))
  }
  const crlIssuer = trusted.pckIssuers.issuer
  if (!equalBytes(crlIssuer.key.point, ca.key.point)) {
    throw foreign('PCK CRL', crlIssuer.subjectCommonName, ca.subjectCommonName)
  }
  return { collateral, trusted }
}

function foreign(document: string, found: string, expected: string): AssentError {
  return new AssentError('PCCS_UNAVAILABLE', `The ${document} is of ${found}, not ${expected}.`, {
    facts: { document, found, expected },
  })
}

function holds({ trusted }: FoundCollateral, at: number): boolean {
  try {
    requireCurrent(trusted, at)
    return true
  } catch {
    return false
  }
}

/**
 * Combines the newest version of each document. So a PCCS that repeats an old CRL has no effect if another PCCS or an
 * earlier response has a newer one.
 */
function newestOf(found: readonly FoundCollateral[], kept: readonly FoundCollateral[]): Collateral {
  const all = [...found, ...kept]
  const ofNumber = (read: (trusted: TrustedCollateral) => NumberedDocument) => {
    const numberOf = ({ trusted }: FoundCollateral) => read(trusted).tcbEvaluationNumber
    const number = mostCommon(found.map(numberOf), kept.map(numberOf))
    return all.filter((each) => numberOf(each) === number)
  }
  const tcb = newest(
    ofNumber(({ tcbInfo }) => tcbInfo),
    ({ tcbInfo }) => tcbInfo.issueDate,
  )
  const qe = newest(
    ofNumber(({ qeIdentity }) => qeIdentity),
    ({ qeIdentity }) => qeIdentity.issueDate,
  )
  const pck = newest(all, ({ pckCrl }) => pckCrl.thisUpdate)
  const root = newest(all, ({ rootCrl }) => rootCrl.thisUpdate)
  return Object.freeze({
    pck_crl_issuer_chain: pck.pck_crl_issuer_chain,
    pck_crl: pck.pck_crl,
    root_ca_crl: root.root_ca_crl,
    tcb_info_issuer_chain: tcb.tcb_info_issuer_chain,
    tcb_info: tcb.tcb_info,
    tcb_info_signature: tcb.tcb_info_signature,
    qe_identity_issuer_chain: qe.qe_identity_issuer_chain,
    qe_identity: qe.qe_identity,
    qe_identity_signature: qe.qe_identity_signature,
  })
}

interface NumberedDocument {
  readonly tcbEvaluationNumber: number
}

function newest(
  candidates: readonly FoundCollateral[],
  dateOf: (trusted: TrustedCollateral) => number,
): Collateral {
  const best = candidates.reduce((best, each) =>
    dateOf(each.trusted) > dateOf(best.trusted) ? each : best,
  )
  return best.collateral
}

/**
 * Chooses the evaluation number that most PCCS returned.
 *
 * Intel signs documents for several evaluation numbers every day, so the newest date can belong to an old number, which
 * accepts more. If two numbers have as many votes, the stored one wins, then the higher one, which accepts less.
 */
function mostCommon(numbers: readonly number[], kept: readonly number[]): number {
  const votes = (number: number) =>
    numbers.filter((each) => each === number).length + (kept.includes(number) ? 0.5 : 0)
  return numbers.reduce((best, each) => {
    const lead = votes(each) - votes(best)
    return lead > 0 || (lead === 0 && each > best) ? each : best
  })
}

/** An invalid response says nothing about a quote, so every error becomes an outage of the PCCS. */
function toFailure(error: unknown, host: string): AssentError {
  if (error instanceof AssentError && error.code === 'PCCS_UNAVAILABLE') return error
  const { code, message, facts } =
    error instanceof Rejection
      ? error.verdict
      : error instanceof AssentError
        ? error
        : { code: 'UNEXPECTED', message: 'The response cannot be read.', facts: {} }
  return new AssentError('PCCS_UNAVAILABLE', `${host}: ${message}`, {
    cause: error,
    facts: { ...facts, host, found: code },
  })
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref()
  })
}
