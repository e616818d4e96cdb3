/** `assent dao shorten`: moves the end of approvals to an earlier time in the future. Submits one call. */
import { shorten } from '../../chain/registries/registry.ts'
import { changeApprovals } from '../calls/change-approvals.ts'
import { submissionSchema } from '../calls/submission.ts'
import type { ArgumentsOf } from '../command.ts'
import type { shorten as command } from '../dao.ts'
import { readTime } from '../input/arguments.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const until = readTime(args.until, '--until')
  return changeApprovals(session, args, (registry, kind, ids) =>
    shorten(registry, kind, ids, until),
  )
}
