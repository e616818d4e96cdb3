/**
 * `assent dao delegate`: delegates the votes of this account's tokens to an account, or to `self`. Tokens without a
 * delegate have no votes. Sends one call to the votes token.
 */
import { delegateCall } from '../../chain/governance/governance.ts'
import { readDaoSettings } from '../../chain/governance/proposals.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { delegate } from '../dao.ts'
import { readAddress } from '../input/arguments.ts'
import { requireGovernor } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof delegate>, session: Session) {
  const delegatee =
    args.to === 'self'
      ? (await session.signer()).walletClient.account.address
      : readAddress(args.to, 'to')
  const governor = await requireGovernor(session, args.governor)
  const { token } = await readDaoSettings(session.publicClient, governor)
  return sendCalls(session, [delegateCall(token, delegatee)], { governor })
}
