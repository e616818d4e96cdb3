/**
 * `assent dao guardian set`: names the guardian of all registries and of the governor in one proposal, so that they
 * stay the same account. The suspension time is in seconds.
 */
import { setGuardianEverywhere } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setGuardian } from '../dao.ts'
import { readAddressOrNobody, readDuration } from '../input/arguments.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof setGuardian>, session: Session) {
  const guardian = readAddressOrNobody(args.guardian, 'guardian')
  const suspension = readDuration(args.suspension, '--suspension')
  const notAfter = await readNotAfter(args, session)
  const calls = setGuardianEverywhere(session.addresses, guardian, suspension, notAfter)
  return submitCalls(session, calls, args)
}
