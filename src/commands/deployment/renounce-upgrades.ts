/**
 * `assent deployment renounce-upgrades`: gives up the right to replace the code of a contract permanently. Submits
 * one call.
 */
import { renounceUpgrades } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { renounceUpgrades as command } from '../deployment.ts'
import { readContract } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const contract = readContract(session, args.contract)
  return submitCalls(session, [renounceUpgrades(contract, false)], args)
}
