/** `assent app renounce-upgrades`: gives up the right to replace the code of an app permanently. Submits one call. */
import { renounceUpgrades } from '../../chain/governance/settings.ts'
import type { renounceUpgrades as command } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { requireApp } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const app = await requireApp(session, args.app)
  return submitCalls(session, [renounceUpgrades(app, true)], args)
}
