/**
 * `assent/quote`: read TDX quotes, verify them by Intel's rules, and replay what they measure.
 *
 * @example
 * import { parseCollateral, verifyQuote } from 'assent/quote'
 * const verdict = verifyQuote(quote, parseCollateral(json), { at, root: 'intel' })
 */
export { AssentError, type ErrorCode, errorCatalogue, isAssentError } from '../errors/index.ts'
export { type Attestation, decodeAttestation, encodeAttestation } from '../quote/attestation.ts'
export { intelRootKey } from '../quote/certificates/intel-root.ts'
export type { TrustAnchor } from '../quote/certificates/trust-anchor.ts'
export { type Collateral, parseCollateral } from '../quote/collateral/collateral.ts'
export { fetchCollateral, type PccsOptions, platformFamily } from '../quote/collateral/pccs.ts'
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
