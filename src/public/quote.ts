/**
 * `assent/quote`: read TDX quotes, verify them by Intel's rules, and replay what they measure.
 *
 * @example
 * import { parseCollateral, verifyQuote } from 'assent/quote'
 * const verdict = verifyQuote(quote, parseCollateral(json), { at, root: 'intel' })
 */
export { AssentError, type ErrorCode, errorCatalogue, isAssentError } from '../errors/index.ts'
export { type Attestation, decodeAttestation, encodeAttestation } from '../quote/attestation.ts'
export {
  type CacheOptions,
  createCollateralCache,
  type VerificationCache,
} from '../quote/cache.ts'
export { parseCcel } from '../quote/ccel.ts'
export { type Collateral, parseCollateral } from '../quote/collateral.ts'
export { type Compose, serializeCompose } from '../quote/compose.ts'
export {
  parseEventLog,
  replayRtmr,
  replayRtmr3,
  requireRtmr3,
  runtimeEventDigest,
  type TdxEvent,
} from '../quote/event-log.ts'
export { intelRootKey } from '../quote/intel-root.ts'
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
} from '../quote/measure.ts'
export { parseQuote, type Quote, type TdReport } from '../quote/parse.ts'
export { fetchCollateral, type PccsOptions, platformFamily } from '../quote/pccs.ts'
export {
  checkPolicy,
  defaultPolicy,
  parsePolicy,
  type QuotePolicy,
  type QuotePolicyInput,
} from '../quote/policy.ts'
export { type PlannedCvm, type Prediction, predictCvm } from '../quote/predict.ts'
export type { TrustAnchor } from '../quote/trust-anchor.ts'
export type { Rejected, TcbStatus, Verdict, Verified } from '../quote/verdict.ts'
export { type VerifyOptions, verifyQuote } from '../quote/verify.ts'
