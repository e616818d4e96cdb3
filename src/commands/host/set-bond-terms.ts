/**
 * `assent host set-bond-terms`: sets the minimum bond (in the smallest unit of the token) and the unbonding time in
 * seconds. Submits one call; shorter terms do not apply to withdrawals that already run.
 */
import { setBondTerms } from '../../chain/registries/bonds.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setBondTerms as command } from '../host.ts'
import { readDuration, readUnits } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const bonds = requireDeployed(session, 'hostBonds')
  const minimum = readUnits(args.minimum, '--minimum')
  const unbonding = readDuration(args.unbonding, '--unbonding')
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setBondTerms(bonds, minimum, unbonding, notAfter)], args)
}
