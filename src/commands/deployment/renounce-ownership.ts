/**
 * `assent deployment renounce-ownership`: gives up the ownership of a contract permanently. Submits one call; after
 * that nobody can approve in it.
 */
import { renounceOwnership } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { renounceOwnership as command } from '../deployment.ts'
import { readContract } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  return submitCalls(session, [renounceOwnership(readContract(session, args.contract))], args)
}
