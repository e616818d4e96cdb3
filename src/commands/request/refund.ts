/**
 * `assent request refund`: returns the fee of a request that nobody can answer any more to the balance of its requester.
 * Sends one call, and a second one that records the fault if the last worker missed its time.
 */
import { zeroAddress } from 'viem'

import { readRequest, recordMissed, refundRequest } from '../../chain/registries/requests.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readId } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import type { refund } from '../request.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof refund>, session: Session) {
  const requests = requireDeployed(session, 'requests')
  const id = readId(args.id)
  const { worker } = await readRequest(session.publicClient, requests, id)
  const missed = worker === zeroAddress ? [] : [recordMissed(requests, id)]
  return sendCalls(session, [refundRequest(requests, id), ...missed])
}
