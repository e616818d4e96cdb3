/**
 * `assent/log-verify`: re-check a KMS's release log offline, with code of its own.
 *
 * @example
 * import { verifyLog } from 'assent/log-verify'
 * const report = verifyLog(files, { rootKey })
 */
export {
  type Expected,
  type Head,
  type LogFile,
  type Problem,
  type ProblemCode,
  type Report,
  verifyLog,
} from '../log-verify/verify.ts'
