/** `assent dao revoke`: forbids ids permanently. Submits one call; a revoked id can never be approved again. */
import { revoke } from '../../chain/registries/registry.ts'
import { changeApprovals } from '../calls/change-approvals.ts'
import { submissionSchema } from '../calls/submission.ts'
import type { ArgumentsOf } from '../command.ts'
import type { revoke as command } from '../dao.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  return changeApprovals(session, args, revoke)
}
