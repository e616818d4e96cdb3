/**
 * `assent app accept-ownership`: takes over an app that was offered to this account or DAO. Reads the app of `--app` or of the
 * profile and submits `acceptOwnership`. Until then the former owner keeps all rights (Ownable2Step).
 */
import { acceptOwnership } from '../../chain/governance/settings.ts'
import type { acceptOwnership as command } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { requireApp } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const app = await requireApp(session, args.app)
  return submitCalls(session, [acceptOwnership(app)], args)
}
