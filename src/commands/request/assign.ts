/** `assent request assign`: assigns a worker to a request that waits or whose worker is late. Sends one call. */
import { assignRequest } from '../../chain/registries/requests.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readId } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import type { assign } from '../request.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof assign>, session: Session) {
  const requests = requireDeployed(session, 'requests')
  return sendCalls(session, [assignRequest(requests, readId(args.id))])
}
