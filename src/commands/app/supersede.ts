/**
 * `assent app supersede`: ends all releases below a number, without a new key epoch. Submits one call; `--ends-at` keeps
 * the older releases until then.
 */
import { supersede } from '../../chain/registries/app.ts'
import type { supersede as command } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readCount, readTime } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const app = await requireApp(session, args.app)
  const endsAt = args.endsAt === undefined ? 0 : readTime(args.endsAt, '--ends-at')
  const call = supersede(app, readCount(args.oldest, 'oldest'), endsAt, false)
  return submitCalls(session, [call], args)
}
