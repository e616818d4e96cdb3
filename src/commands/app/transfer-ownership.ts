/**
 * `assent app transfer-ownership`: offers the app to a new owner, who must accept it (`assent app accept-ownership`). Submits
 * `transferOwnership` (Ownable2Step).
 */
import { transferOwnership } from '../../chain/governance/settings.ts'
import type { transferOwnership as command } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readAddress } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const app = await requireApp(session, args.app)
  return submitCalls(session, [transferOwnership(app, readAddress(args.to, 'to'))], args)
}
