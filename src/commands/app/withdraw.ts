/**
 * `assent app withdraw`: ends releases immediately. Submits one `withdraw` call; a withdrawn release can return as a
 * new version.
 */
import { withdraw } from '../../chain/registries/registry.ts'
import type { withdraw as command } from '../app.ts'
import { changeApprovals } from '../calls/change-approvals.ts'
import { submissionSchema } from '../calls/submission.ts'
import type { ArgumentsOf } from '../command.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const named = { ...args, kind: 'release', ids: args.releases }
  return changeApprovals(session, named, withdraw)
}
