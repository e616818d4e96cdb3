/**
 * `assent dao mark-expired`: emits the event of approvals that have expired, so that lists off-chain can follow.
 * Sends one call; anyone may, and it changes no decision.
 */
import { markExpired } from '../../chain/registries/registry.ts'
import { readApprovals } from '../calls/change-approvals.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { markExpired as command } from '../dao.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { registry, kind, ids } = await readApprovals(session, args)
  return sendCalls(session, [markExpired(registry, kind, ids)])
}
