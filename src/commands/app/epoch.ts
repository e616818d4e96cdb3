/**
 * `assent app epoch`: ends all releases below a number and opens a new key epoch, whose keys these releases never
 * get. Submits one `supersede` call; `--ends-at` keeps the older releases until then (unix seconds, or a date with a time
 * zone).
 */
import { supersede } from '../../chain/registries/app.ts'
import type { epoch } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readCount, readTime } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof epoch>, session: Session) {
  const app = await requireApp(session, args.app)
  const endsAt = args.endsAt === undefined ? 0 : readTime(args.endsAt, '--ends-at')
  const call = supersede(app, readCount(args.oldest, 'oldest'), endsAt, true)
  return submitCalls(session, [call], args)
}
