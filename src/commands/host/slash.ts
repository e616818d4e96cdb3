/**
 * `assent host slash`: takes an amount from a bond and pays it to an account, because of a proven fault. Submits one
 * call of the DAO with the evidence file, which is published in the event.
 */
import { slash } from '../../chain/registries/bonds.ts'
import { to0x } from '../../lib/bytes.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { slash as command } from '../host.ts'
import { readAddress, readBytes, readUnits } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveHost } from '../input/names.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const bonds = requireDeployed(session, 'hostBonds')
  const taken = {
    deviceId: await resolveHost(session, args.device),
    holder: readAddress(args.holder, 'holder'),
    amount: readUnits(args.amount, 'amount'),
    to: readAddress(args.to, 'to'),
    evidence: to0x(await readBytes(args.evidence)),
  }
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [slash(bonds, taken, notAfter)], args)
}
