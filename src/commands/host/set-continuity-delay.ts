/**
 * `assent host set-continuity-delay`: sets the time before a continued approval becomes active under its new device
 * id; `off` forbids continuity. Submits one call.
 */
import { setContinuityDelay } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setContinuityDelay as command } from '../host.ts'
import { readDuration } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const hosts = requireDeployed(session, 'hosts')
  const delay = args.delay === 'off' ? 0 : readDuration(args.delay, 'delay')
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setContinuityDelay(hosts, delay, notAfter)], args)
}
