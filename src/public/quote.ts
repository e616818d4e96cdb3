/**
 * `assent/quote`: parse TDX quotes, verify them by Intel's rules, check a quote policy, and replay event logs.
 *
 * Malformed input throws an {@link AssentError}. A well-formed quote that is not genuine does not throw: its verdict is
 * `rejected` and has a code. All bytes are `Uint8Array`, all times are Unix seconds.
 *
 * @example
 * import { checkPolicy, fetchCollateral, parseQuote, platformFamily, verifyQuote } from 'assent/quote'
 *
 * const family = platformFamily(parseQuote(bytes))
 * const collateral = await fetchCollateral(family, 'standard', { urls: ['https://pccs.example:8081'] })
 * const at = Math.floor(Date.now() / 1000)
 * const verdict = verifyQuote(bytes, collateral, { at, root: 'intel' })
 * if (verdict.verdict === 'rejected') throw new Error(`${verdict.code}: ${verdict.message}`)
 * checkPolicy(verdict) // throws POLICY_* if the default policy refuses the quote
 */
export { AssentError, type ErrorCode, errorCatalogue, isAssentError } from '../errors/index.ts'
export { type Attestation, decodeAttestation, encodeAttestation } from '../quote/attestation.ts'
export { intelRootKey } from '../quote/certificates/intel-root.ts'
export type { TrustAnchor } from '../quote/certificates/trust-anchor.ts'
export { type Collateral, parseCollateral } from '../quote/collateral/collateral.ts'
export {
  type CollateralUpdate,
  fetchCollateral,
  type PccsOptions,
  type PlatformFamily,
  platformFamily,
} from '../quote/collateral/pccs.ts'
export { parseCcel } from '../quote/measurements/ccel.ts'
export { type Compose, serializeCompose } from '../quote/measurements/compose.ts'
export {
  parseEventLog,
  replayRtmr,
  replayRtmr3,
  requireRtmr3,
  runtimeEventDigest,
  type TdxEvent,
} from '../quote/measurements/event-log.ts'
export {
  type AppInfo,
  type BootInfo,
  buildBootInfo,
  composeHash,
  deviceId,
  mrAggregated,
  mrSystem,
  readAppInfo,
  reportData,
} from '../quote/measurements/measure.ts'
export {
  type PlannedCvm,
  type Prediction,
  predictCvm,
} from '../quote/measurements/predict-measurements.ts'
export { parseQuote, type Quote, type TdReport } from '../quote/parse.ts'
export {
  checkPolicy,
  defaultPolicy,
  parsePolicy,
  type QuotePolicy,
  type QuotePolicyInput,
} from '../quote/policy.ts'
export type { Rejected, TcbStatus, Verdict, Verified } from '../quote/verdict.ts'
export { type VerifyOptions, verifyQuote } from '../quote/verify.ts'
export {
  type CacheOptions,
  createCollateralCache,
  type VerificationCache,
} from '../quote/verify-cache.ts'
