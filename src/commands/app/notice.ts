/**
 * `assent app notice`: sets the notice period of an app in seconds. Submits one call. The period can only grow,
 * because a shorter one would let the owner skip announcements.
 */
import { setNoticePeriod } from '../../chain/registries/app.ts'
import type { notice } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readDuration } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof notice>, session: Session) {
  const app = await requireApp(session, args.app)
  const call = setNoticePeriod(app, readDuration(args.notice, 'notice'))
  return submitCalls(session, [call], args)
}
