/**
 * `assent host set-tcb-status`: sets until when hosts with a TCB status are accepted: `accept` (without an end), `refuse` or a time.
 * Submits one call.
 *
 * @throws USAGE_INVALID for a name that is not a TCB status
 */
import { noEnd } from '../../chain/approval.ts'
import { onChainStatuses } from '../../chain/governance/call-descriptions/kms.ts'
import { setStatusAcceptedUntil } from '../../chain/governance/settings.ts'
import { AssentError } from '../../errors/index.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setTcbStatus } from '../host.ts'
import { readTime } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

const ends: Readonly<Record<string, number>> = { accept: noEnd, refuse: 0 }

export async function run(args: ArgumentsOf<typeof setTcbStatus>, session: Session) {
  const status = onChainStatuses.indexOf(args.status)
  if (status < 1) {
    throw new AssentError(
      'USAGE_INVALID',
      `status: one of ${onChainStatuses.slice(1).join(', ')}.`,
      { facts: { found: args.status } },
    )
  }
  const until = ends[args.until] ?? readTime(args.until, 'until')
  const hosts = requireDeployed(session, 'hosts')
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setStatusAcceptedUntil(hosts, status, until, notAfter)], args)
}
