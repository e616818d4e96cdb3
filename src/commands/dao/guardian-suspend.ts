/**
 * `assent dao guardian suspend`: denies approvals for a limited time. Sends one call from the guardian; ids that are
 * already denied are skipped by the contract.
 */
import { suspend } from '../../chain/registries/registry.ts'
import { changeApprovals } from '../calls/change-approvals.ts'
import { submissionSchema } from '../calls/submission.ts'
import type { ArgumentsOf } from '../command.ts'
import type { suspend as command } from '../dao.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  return changeApprovals(session, args, suspend)
}
