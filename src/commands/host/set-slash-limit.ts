/** `assent host set-slash-limit`: lets a contract slash bonds for faults that it proves. Submits one call. */
import { setSlashLimit } from '../../chain/registries/bonds.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setSlashLimit as command } from '../host.ts'
import { readAddress, readUnits } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const bonds = requireDeployed(session, 'hostBonds')
  const isDeployed = args.slasher === 'deployed'
  const slasher = isDeployed
    ? requireDeployed(session, 'requests')
    : readAddress(args.slasher, 'slasher')
  const limit = readUnits(args.limit, 'limit')
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setSlashLimit(bonds, slasher, limit, notAfter)], args)
}
