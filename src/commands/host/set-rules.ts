/**
 * `assent host set-rules`: changes the rules of the host registry, such as proof lifetimes and the minimum evaluation
 * number. Reads the current rules and submits all of them; omitted options keep their value.
 */
import { hostsAbi } from '../../chain/abi.ts'
import { toChainError } from '../../chain/call.ts'
import { type HostRules, setHostRules } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setRules } from '../host.ts'
import { readBoolean, readCount, readDuration, readTime } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof setRules>, session: Session) {
  const hosts = requireDeployed(session, 'hosts')
  const known: HostRules = await session.publicClient
    .readContract({ address: hosts, abi: hostsAbi, functionName: 'rules' })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'read the rules of hosts')
    })
  const rules = { ...known, ...readChanges(args) }
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setHostRules(hosts, rules, notAfter)], args)
}

function readChanges(args: ArgumentsOf<typeof setRules>): Partial<HostRules> {
  const { open, activationDelay, minLifetime, maxLifetime, attestedSince, window } = args
  const { minEvaluationNumber } = args
  return {
    ...(open ? { isOpen: readBoolean(open, '--open') } : {}),
    ...(activationDelay
      ? { activationDelay: readDuration(activationDelay, '--activation-delay') }
      : {}),
    ...(minLifetime ? { minLifetime: readDuration(minLifetime, '--min-lifetime') } : {}),
    ...(maxLifetime ? { maxLifetime: readDuration(maxLifetime, '--max-lifetime') } : {}),
    ...(attestedSince ? { attestedSince: readTime(attestedSince, '--attested-since') } : {}),
    ...(window ? { window: readCount(window, '--window') } : {}),
    ...(minEvaluationNumber
      ? { minEvaluationNumber: readCount(minEvaluationNumber, '--min-evaluation-number') }
      : {}),
  }
}
