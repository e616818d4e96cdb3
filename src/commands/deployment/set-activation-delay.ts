/**
 * `assent deployment set-activation-delay`: sets the minimum time in seconds between the approval and the start of a
 * kind. Submits one call to its registry.
 */
import { setActivationDelay } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setActivationDelay as command } from '../deployment.ts'
import { readDuration, readKind } from '../input/arguments.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const kind = readKind(args.kind)
  const notAfter = await readNotAfter(args, session)
  const delay = readDuration(args.delay, 'delay')
  const call = setActivationDelay(session.addresses, kind, delay, notAfter)
  return submitCalls(session, [call], args)
}
