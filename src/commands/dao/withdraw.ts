/**
 * `assent dao withdraw`: ends approvals immediately. Submits one call; a withdrawn id can return as a new version.
 */
import { withdraw } from '../../chain/registries/registry.ts'
import { changeApprovals } from '../calls/change-approvals.ts'
import { submissionSchema } from '../calls/submission.ts'
import type { ArgumentsOf } from '../command.ts'
import type { withdraw as command } from '../dao.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  return changeApprovals(session, args, withdraw)
}
