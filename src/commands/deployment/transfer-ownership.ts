/**
 * `assent deployment transfer-ownership`: offers a contract of the deployment to a new owner, who must accept it.
 * Submits one call.
 */
import { transferOwnership } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { transferOwnership as command } from '../deployment.ts'
import { readAddress } from '../input/arguments.ts'
import { readContract } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const contract = readContract(session, args.contract)
  return submitCalls(session, [transferOwnership(contract, readAddress(args.to, 'to'))], args)
}
