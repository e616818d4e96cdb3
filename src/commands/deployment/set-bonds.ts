/**
 * `assent deployment set-bonds`: makes the host registry admit only hosts with a bond. Submits one call, and warns
 * that a KMS must have the code of the bond contract in its pinned code.
 */
import { setBonds } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import { warnAboutPinnedRegistry } from '../calls/warn-about-pins.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setBonds as command } from '../deployment.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readNotAfter } from '../input/not-after.ts'
import { readRegistry } from '../input/registry.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const hosts = requireDeployed(session, 'hosts')
  const bonds = await readRegistry(session, args.bonds, 'hostBonds')
  await warnAboutPinnedRegistry(session, 'hostBonds', bonds)
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setBonds(hosts, bonds, notAfter)], args)
}
