/**
 * Assent as a library: verify quotes, read what they measure, ask the chain, follow keys to their root.
 *
 * Services are started by the command line (`npx assent`) or imported by path from `dist/`.
 */
export * from './chain/abi.ts'
export * from './chain/boot.ts'
export * from './chain/deployments.ts'
export * from './chain/governance/governance.ts'
export * as registry from './chain/registry.ts'
export { AssentError, type ErrorCode, errorCatalogue, isAssentError } from './errors/index.ts'
export { fetchAppKeys, verifyAppKey, verifyKeyChain } from './kms/client.ts'
export { createCollateralCache } from './quote/cache.ts'
export { parseCcel } from './quote/ccel.ts'
export { type Collateral, parseCollateral } from './quote/collateral.ts'
export { parseEventLog, replayRtmr3, requireRtmr3, type TdxEvent } from './quote/event-log.ts'
export {
  type BootInfo,
  buildBootInfo,
  composeHash,
  deviceId,
  mrAggregated,
  mrSystem,
  readAppInfo,
  reportData,
} from './quote/measure.ts'
export { parseQuote, type Quote, type TdReport } from './quote/parse.ts'
export { checkPolicy, defaultPolicy, parsePolicy, type QuotePolicy } from './quote/policy.ts'
export type { TcbStatus, Verdict, Verified } from './quote/verdict.ts'
export { type VerifyOptions, verifyQuote } from './quote/verify.ts'
