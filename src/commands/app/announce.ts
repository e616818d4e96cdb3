/**
 * `assent app announce`: announces the only call of a draft, so that the owner can execute it after the notice
 * period. Reads the draft file of this chain; the app stores the digest of the call, and a changed call does not
 * match it.
 *
 * @throws DRAFT_INVALID if the draft has more than one call, or a call to another contract than the app
 */
import { isAddressEqual } from 'viem'
import { readDraft } from '../../chain/governance/drafts.ts'
import { announce } from '../../chain/registries/app.ts'
import { AssentError } from '../../errors/index.ts'
import type { announce as command } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { requireApp } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const app = await requireApp(session, args.app)
  const [call, ...more] = await readDraft(args.file, session.chainId)
  if (call === undefined || more.length > 0 || !isAddressEqual(call.to, app)) {
    throw new AssentError('DRAFT_INVALID', 'The draft must contain exactly one call to the app.', {
      facts: { file: args.file, app },
    })
  }
  return submitCalls(session, [announce(app, call)], args)
}
