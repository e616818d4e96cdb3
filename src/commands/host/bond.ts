/**
 * `assent host bond`: deposits a bond for a host. Reads the token and its allowance; sends an approval of the token
 * if it is too small, and the deposit. Only the bond of the operator counts for admission.
 */
import { depositBond } from '../../chain/registries/bonds.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { bond } from '../host.ts'
import { readUnits } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveHost } from '../input/names.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof bond>, session: Session) {
  const bonds = requireDeployed(session, 'hostBonds')
  const holder = (await session.signer()).walletClient.account.address
  const deposit = {
    deviceId: await resolveHost(session, args.device),
    amount: readUnits(args.amount, 'amount'),
  }
  return sendCalls(session, await depositBond(session.publicClient, bonds, holder, deposit))
}
