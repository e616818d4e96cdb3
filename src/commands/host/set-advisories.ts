/**
 * `assent host set-advisories`: denies or accepts hosts whose TCB level is affected by Intel advisories, such as
 * `INTEL-SA-00837`. Submits one call to the host registry.
 */
import { stringToHex } from 'viem'
import { setAdvisoriesDenied } from '../../chain/governance/settings.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setAdvisories } from '../host.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof setAdvisories>, session: Session) {
  const ids = args.advisories.map(readAdvisory)
  const hosts = requireDeployed(session, 'hosts')
  const notAfter = await readNotAfter(args, session)
  const call = setAdvisoriesDenied(hosts, ids, args.verb === 'deny', notAfter)
  return submitCalls(session, [call], args)
}

/** As the verifier packs them: the text, then zeros. */
function readAdvisory(text: string): Hex {
  if (/^INTEL-[A-Z]{2,4}-\d{5}$/.test(text)) return stringToHex(text, { size: 32 })
  throw new AssentError('USAGE_INVALID', 'advisories: ids like INTEL-SA-00828.', {
    facts: { found: text },
  })
}
