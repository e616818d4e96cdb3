/**
 * `assent host withdraw-bond`: pays out an amount whose unbonding time is over, to the account that deposited it.
 * Sends one call.
 */
import { withdrawBond } from '../../chain/registries/bonds.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { withdrawBond as command } from '../host.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveHost } from '../input/names.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const bonds = requireDeployed(session, 'hostBonds')
  return sendCalls(session, [withdrawBond(bonds, await resolveHost(session, args.device))])
}
