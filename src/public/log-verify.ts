/**
 * `assent/log-verify`: verify the release log of a KMS node offline.
 *
 * It shares no code with the KMS: signatures, hash chain, storage proofs and approval rules are implemented a second
 * time from docs/release-log.md and docs/contracts.md. So a mistake in the KMS does not hide itself.
 *
 * @example
 * import { readFile } from 'node:fs/promises'
 * import { verifyLog } from 'assent/log-verify'
 *
 * const files = [{ name: '00000000.log', content: await readFile('log/00000000.log') }]
 * const report = verifyLog(files, { rootKey, chainId: 1, kmsContract, pins })
 * if (!report.holds) console.error(report.problems)
 */
export type { BeaconNetwork } from '../log-verify/beacon-messages.ts'
export type { FinalityExpectations } from '../log-verify/finality.ts'
export type { RollupExpectations } from '../log-verify/rollup.ts'
export {
  type LogExpectations,
  type LogFile,
  type LogProblem,
  type LogProblemCode,
  type LogReport,
  type ObservedHead,
  verifyLog,
} from '../log-verify/verify.ts'
