/** `assent app requests`: lists the newest requests of an app, with its terms and workers. Sends nothing. */
import { z } from 'zod'

import { requestsAbi } from '../../chain/abi.ts'
import { toChainError } from '../../chain/call.ts'
import { formatDuration, formatTime } from '../../chain/governance/format-time.ts'
import { listRequests, readRequestTerms, requestStates } from '../../chain/registries/requests.ts'
import type { requests as command } from '../app-instance.ts'
import type { ArgumentsOf } from '../command.ts'
import { readCount } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import { requireDeployed } from '../input/deployed.ts'
import { address, bytes32, decimal, seconds, unixTime } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  app: address,
  terms: z.strictObject({
    payee: address,
    minFee: decimal.describe('wei'),
    ownerShare: z.int().describe('hundredths of a percent'),
    answerTime: seconds.describe('seconds for each worker; 0: the app takes no requests'),
  }),
  workers: decimal.describe('keys in the list of workers'),
  requests: z.array(
    z.strictObject({
      id: bytes32,
      state: z.enum(requestStates),
      requester: address,
      fee: decimal.describe('wei'),
      deadline: unixTime,
    }),
  ),
})

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const { publicClient, deployment, output } = session
  const requests = requireDeployed(session, 'requests')
  const app = await requireApp(session, args.app)
  const terms = await readRequestTerms(publicClient, requests, app)
  const workers = await publicClient
    .readContract({ address: requests, abi: requestsAbi, functionName: 'workerCount', args: [app] })
    .catch((cause: unknown) => {
      throw toChainError(cause, 'count the workers')
    })
  const found = await listRequests(publicClient, requests, app, {
    fromBlock: BigInt(deployment.contracts.requests?.block ?? 0),
    at: session.now,
    most: Math.max(1, readCount(args.limit, '--limit')),
  })
  output.heading(`App ${app}`)
  output.line(
    terms.answerTime === 0
      ? '  takes no requests: see assent app set-request-terms'
      : `  from ${terms.minFee} wei, ${formatDuration(terms.answerTime)} for each worker, ${workers} workers`,
  )
  for (const { id, state, fee, deadline } of found) {
    output.line(`  ${id}  ${state}, ${fee} wei, until ${formatTime(deadline)}`)
  }
  return {
    app,
    terms: { ...terms, minFee: terms.minFee.toString() },
    workers: workers.toString(),
    requests: found.map(({ id, state, requester, fee, deadline }) => ({
      id,
      state,
      requester,
      fee: fee.toString(),
      deadline,
    })),
  }
}
