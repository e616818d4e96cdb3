/**
 * `assent dao propose`: submits the calls of a draft as one proposal. Reads the draft file of this chain.
 *
 * @throws DRAFT_INVALID if it has no calls
 */
import { readDraft } from '../../chain/governance/drafts.ts'
import { AssentError } from '../../errors/index.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { propose } from '../dao.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof propose>, session: Session) {
  const calls = await readDraft(args.file, session.chainId)
  if (calls.length === 0) {
    throw new AssentError('DRAFT_INVALID', `${args.file} has no calls.`, {
      facts: { file: args.file },
    })
  }
  return submitCalls(session, calls, { ...args, via: args.via === 'auto' ? 'propose' : args.via })
}
