/**
 * `assent deployment set-verifier`: sets the quote verifier of the host registry or of the root keys. Checks that the
 * address answers like a quote verifier, and submits one call.
 */
import { quoteVerifierAbi } from '../../chain/abi.ts'
import { setVerifier } from '../../chain/governance/settings.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setVerifier as command } from '../deployment.ts'
import { readAddress } from '../input/arguments.ts'
import { requireAnswer } from '../input/contracts.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const registry = requireDeployed(session, args.registry === 'hosts' ? 'hosts' : 'rootKeys')
  const verifier = readAddress(args.verifier, 'verifier')
  await requireAnswer(session.publicClient, verifier, {
    name: 'verifier',
    abi: quoteVerifierAbi,
    functionName: 'rootKey',
    expected: 'a quote verifier',
  })
  const notAfter = await readNotAfter(args, session)
  return submitCalls(session, [setVerifier(registry, verifier, notAfter)], args)
}
