/**
 * `assent app guardian`: names the guardian of an app and the time for which its suspensions last. Submits one call;
 * `nobody` removes the guardian.
 */
import { setGuardian } from '../../chain/registries/registry.ts'
import type { guardian as command } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readAddressOrNobody, readDuration } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const guardian = readAddressOrNobody(args.guardian, 'guardian')
  const suspension = readDuration(args.suspension, '--suspension')
  const app = await requireApp(session, args.app)
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setGuardian(app, guardian, suspension, notAfter)], args)
}
