/** `assent dao guardian lift`: ends suspensions early. Submits one call of the owner; a guardian cannot lift. */
import { lift } from '../../chain/registries/registry.ts'
import { changeApprovals } from '../calls/change-approvals.ts'
import { submissionSchema } from '../calls/submission.ts'
import type { ArgumentsOf } from '../command.ts'
import type { lift as command } from '../dao.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const notAfter = await readNotAfter(args, session)
  return changeApprovals(session, args, (registry, kind, ids) =>
    lift(registry, kind, ids, notAfter),
  )
}
