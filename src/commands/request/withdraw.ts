/** `assent request withdraw`: pays an account its balance of Requests. Anyone may send it; it sends one call. */
import { readRequestBalance, withdrawFees } from '../../chain/registries/requests.ts'
import { AssentError } from '../../errors/index.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readAddress } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { address, decimal } from '../output/json.ts'
import type { withdraw } from '../request.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema({ account: address, amount: decimal.describe('wei') })

export async function run(args: ArgumentsOf<typeof withdraw>, session: Session) {
  const requests = requireDeployed(session, 'requests')
  const account =
    args.account === undefined
      ? (await session.signer()).walletClient.account.address
      : readAddress(args.account, 'account')
  const amount = await readRequestBalance(session.publicClient, requests, account)
  if (amount === 0n) {
    throw new AssentError('INPUT_INVALID', `${account} has no balance.`, { facts: { account } })
  }
  const sent = await sendCalls(session, [withdrawFees(requests, account)])
  return { account, amount: amount.toString(), ...sent }
}
