/**
 * `assent host unbond`: starts the withdrawal of a bond. Sends one call; the amount stops counting for admission at
 * once, can still be slashed, and is paid out after the unbonding time.
 */
import { unbond } from '../../chain/registries/bonds.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { unbond as command } from '../host.ts'
import { readUnits } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveHost } from '../input/names.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const bonds = requireDeployed(session, 'hostBonds')
  const amount = readUnits(args.amount, 'amount')
  const device = await resolveHost(session, args.device)
  return sendCalls(session, [unbond(bonds, device, amount)])
}
