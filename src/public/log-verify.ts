/**
 * `assent/log-verify`: re-check a KMS's release log offline, with code of its own.
 *
 * @example
 * import { verifyLog } from 'assent/log-verify'
 * const report = verifyLog(files, { rootKey })
 */
export {
  type Expected,
  type LogFile,
  type LogReport,
  type ObservedHead,
  type Problem,
  type ProblemCode,
  verifyLog,
} from '../log-verify/verify.ts'
