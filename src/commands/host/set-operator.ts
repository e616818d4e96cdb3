/**
 * `assent host set-operator`: names the operator of a host, for example after the former one lost its key. Submits
 * one call of the DAO.
 */
import { setOperator } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setOperator as command } from '../host.ts'
import { readAddress } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveHost } from '../input/names.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const hosts = requireDeployed(session, 'hosts')
  const device = await resolveHost(session, args.device)
  const operator = readAddress(args.operator, 'operator')
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setOperator(hosts, device, operator, notAfter)], args)
}
