/**
 * `assent deployment accept-ownership`: takes over a contract of the deployment that was offered (Ownable2Step).
 * Submits one call.
 */
import { acceptOwnership } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { acceptOwnership as command } from '../deployment.ts'
import { readContract } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  return submitCalls(session, [acceptOwnership(readContract(session, args.contract))], args)
}
