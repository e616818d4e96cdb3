/**
 * `assent dao extend`: moves the end of approvals to a later time, or to no end (`no-end`). Submits one call for the named ids.
 */
import { extend } from '../../chain/registries/registry.ts'
import { changeApprovals } from '../calls/change-approvals.ts'
import { submissionSchema } from '../calls/submission.ts'
import type { ArgumentsOf } from '../command.ts'
import type { extend as command } from '../dao.ts'
import { readTime } from '../input/arguments.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const expiresAt = args.until === 'no-end' ? 0 : readTime(args.until, '--until')
  const notAfter = await readNotAfter(args, session)
  return changeApprovals(session, args, (registry, kind, ids) =>
    extend(registry, kind, ids, { expiresAt, notAfter }),
  )
}
