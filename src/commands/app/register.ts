/**
 * `assent app register`: registers an existing contract as an app. Sends `registerApp` from this account; anyone may
 * register a contract, and it decides about its own boots only.
 */
import { registerApp } from '../../chain/registries/registry.ts'
import type { register } from '../app.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readCode } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof register>, session: Session) {
  const app = await readCode(session, args.contract, 'contract')
  return sendCalls(session, [registerApp(session.addresses.kmsAuth, app)])
}
