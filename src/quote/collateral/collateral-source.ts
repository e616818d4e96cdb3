/**
 * Keeps Intel's statements about platforms while they are fresh.
 *
 * All services are asked, and what one of them answers counts only after it verified: one that is away, slow, stale
 * or lying takes nothing from the others. Nobody makes us ask without a quote that a real platform signed.
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
  type CollateralUpdate,
  fetchCollateralFrom,
  noneGives,
  type PccsOptions,
  type PlatformFamily,
  platformFamily,
} from './pccs.ts'
import { requireCurrent, type TrustedCollateral } from './trusted-collateral.ts'

/**
 * Finds Intel's statements about the platform of a quote.
 *
 * @throws PCCS_UNAVAILABLE; Rejection for a quote that its own signatures do not hold
 */
export type CollateralSource = (quote: Quote) => Promise<Collateral>

export interface SourceRules {
  /** The one root whose quotes and collateral count. */
  readonly root: TrustAnchor
  readonly clock: Clock
  readonly cache?: VerificationCache
}

export interface PccsSourceOptions extends PccsOptions, SourceRules {
  readonly update: CollateralUpdate
  /** How long one answer is used before it is asked for again. */
  readonly refreshSeconds: number
  /** How long the other services are waited for once one has answered; 2 seconds. */
  readonly graceMs?: number
}

/** An answer that verified. */
interface FoundCollateral {
  readonly collateral: Collateral
  readonly trusted: TrustedCollateral
}

interface CachedCollateral extends FoundCollateral {
  readonly fetchedAt: number
}

/** Intel has some tens of families; only real platforms take a place. */
const capacity = 64

/** One bundle for every quote: files, tests, the demo. */
export function fixedCollateral(json: unknown): CollateralSource {
  const collateral = parseCollateral(json)
  return async () => collateral
}

/**
 * The verdict on a quote by the collateral that `source` gives.
 *
 * Collateral that cannot judge any quote (not signed by Intel, out of its time, by a revoked signer) is an outage, and
 * no word about this one.
 *
 * @throws PCCS_UNAVAILABLE, and QUOTE_* for a quote whose certificates are malformed
 */
export async function verifyWithSource(
  quote: Quote,
  source: CollateralSource,
  { root, clock, cache }: SourceRules,
): Promise<Verdict> {
  try {
    const collateral = await source(quote)
    const options = { at: clock(), root, ...(cache ? { cache } : {}) }
    requireJudging(quote, collateral, options)
    return verifyParsedQuote(quote, collateral, options)
  } catch (error) {
    if (error instanceof Rejection) return error.verdict
    throw error
  }
}

function requireJudging(quote: Quote, collateral: Collateral, options: VerifyOptions): void {
  try {
    requireUsable(collateral, options)
  } catch (error) {
    // what its own signatures do not hold is refused whatever the collateral is
    verifyOrigin(quote, options)
    throw toFailure(error, 'the collateral')
  }
}

/** Collateral from caching services, by platform family. */
export function createPccsSource(options: PccsSourceOptions): CollateralSource {
  const { root, clock, refreshSeconds, cache = createCollateralCache() } = options
  const kept = new Map<string, CachedCollateral>()
  const rounds = new Map<string, Promise<Collateral>>()
  return async (quote) => {
    const name = nameOf(platformFamily(quote))
    const known = kept.get(name)
    const at = clock()
    if (known && at - known.fetchedAt < refreshSeconds && holds(known, at)) return known.collateral
    const origin = verifyOrigin(quote, { root, cache })
    const running = rounds.get(name)
    if (running) return running
    const round = askAgain(origin, known, { ...options, cache }).then((found) => {
      kept.delete(name)
      kept.set(name, { ...found, fetchedAt: clock() })
      if (kept.size > capacity) kept.delete(kept.keys().next().value as string)
      return found.collateral
    })
    rounds.set(name, round)
    // a failure is not kept, so that the next request tries again
    round.catch(() => {}).finally(() => rounds.delete(name))
    return round
  }
}

function nameOf({ fmspc, ca }: PlatformFamily): string {
  return `${fmspc}/${ca}`
}

type CollateralQuery = PccsSourceOptions & { readonly cache: VerificationCache }

/** The newest of what all services answer and of what is kept, document by document. */
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
    throw noneGives('collateral that holds together', {}, [toFailure(error, 'all together')])
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
  throw noneGives('the collateral', { ...family, update: options.update }, failures)
}

function familyOf({ sgx, ca }: Origin): PlatformFamily {
  const isProcessor = ca.subjectCommonName.includes('Processor')
  return { fmspc: toHex(sgx.fmspc), ca: isProcessor ? 'processor' : 'platform' }
}

/** Intel's word, in its time, about this platform. */
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
  const lister = trusted.pckIssuers.issuer
  if (!equalBytes(lister.key.point, ca.key.point)) {
    throw foreign('PCK CRL', lister.subjectCommonName, ca.subjectCommonName)
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
 * Of each document the newest. So a service that repeats an old list of revocations decides nothing while another one,
 * or an earlier answer, has a newer.
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
 * Intel signs documents of several evaluation numbers every day, lenient old ones too, so dates do not tell which is
 * the standard. Most services do; among as many what was kept, and then the higher number, which accepts less.
 */
function mostCommon(numbers: readonly number[], kept: readonly number[]): number {
  const votes = (number: number) =>
    numbers.filter((each) => each === number).length + (kept.includes(number) ? 0.5 : 0)
  return numbers.reduce((best, each) => {
    const lead = votes(each) - votes(best)
    return lead > 0 || (lead === 0 && each > best) ? each : best
  })
}

/** Whatever is wrong with an answer says nothing about a quote: the service is at fault. */
function toFailure(error: unknown, host: string): AssentError {
  if (error instanceof AssentError && error.code === 'PCCS_UNAVAILABLE') return error
  const { code, message, facts } =
    error instanceof Rejection
      ? error.verdict
      : error instanceof AssentError
        ? error
        : { code: 'UNEXPECTED', message: 'Its answer cannot be read.', facts: {} }
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
