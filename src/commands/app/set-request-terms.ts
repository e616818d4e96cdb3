/** `assent app set-request-terms`: sets what requests of an app cost. Submits one call of the app's owner. */
import { appAbi } from '../../chain/abi.ts'
import { toChainError } from '../../chain/call.ts'
import { setRequestTerms } from '../../chain/registries/requests.ts'
import type { setRequestTerms as command } from '../app-instance.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readAddress, readCount, readDuration, readUnits } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import { requireDeployed } from '../input/deployed.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const requests = requireDeployed(session, 'requests')
  const app = await requireApp(session, args.app)
  const payee =
    args.payee === undefined
      ? await session.publicClient
          .readContract({ address: app, abi: appAbi, functionName: 'owner' })
          .catch((cause: unknown) => {
            throw toChainError(cause, `read the owner of app ${app}`)
          })
      : readAddress(args.payee, '--payee')
  const terms = {
    payee,
    minFee: readUnits(args.minFee, '--min-fee'),
    ownerShare: readCount(args.ownerShare, '--owner-share'),
    answerTime: readDuration(args.answerTime, '--answer-time'),
  }
  return submitCalls(session, [setRequestTerms(requests, app, terms)], args)
}
