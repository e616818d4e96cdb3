/**
 * `assent app tcb`: sets if boots need the TCB status `UpToDate`. Submits one call; accepting other statuses loosens
 * the app.
 */
import { setRequireTcbUpToDate } from '../../chain/registries/app.ts'
import type { tcb } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { requireApp } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof tcb>, session: Session) {
  const app = await requireApp(session, args.app)
  const call = setRequireTcbUpToDate(app, args.rule === 'up-to-date')
  return submitCalls(session, [call], args)
}
