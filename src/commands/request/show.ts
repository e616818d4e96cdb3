/** `assent request show`: shows a request and its result; opens an encrypted result. Sends nothing. */
import { zeroAddress } from 'viem'
import { z } from 'zod'

import { formatTime } from '../../chain/governance/format-time.ts'
import {
  judgeRequest,
  readRequest,
  readResult,
  requestStates,
} from '../../chain/registries/requests.ts'
import { AssentError } from '../../errors/index.ts'
import { fromHex, to0x } from '../../lib/bytes.ts'
import { replaceFile } from '../../lib/files.ts'
import { openResult } from '../../worker/sealed-message.ts'
import type { ArgumentsOf } from '../command.ts'
import { readId, readText } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { address, bytes, bytes32, decimal, unixTime } from '../output/json.ts'
import type { show } from '../request.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  id: bytes32,
  state: z.enum(requestStates),
  app: address,
  requester: address,
  fee: decimal.describe('wei'),
  deadline: unixTime,
  worker: address.nullable().describe('key of the present worker, or of the one that answered'),
  result: z
    .strictObject({
      operator: address,
      isOnTime: z.boolean(),
      message: bytes.describe('as the worker signed it'),
      body: bytes.nullable().describe('opened; null: it is encrypted to another key'),
    })
    .nullable(),
})

export async function run(args: ArgumentsOf<typeof show>, session: Session) {
  const { publicClient, deployment, output } = session
  const requests = requireDeployed(session, 'requests')
  const id = readId(args.id)
  const record = await readRequest(publicClient, requests, id)
  const state = judgeRequest(record, session.now)
  if (state === 'unknown') {
    throw new AssentError('INPUT_INVALID', `There is no request ${id}.`, { facts: { id } })
  }
  const fromBlock = BigInt(deployment.contracts.requests?.block ?? 0)
  const found =
    state === 'fulfilled' ? await readResult(publicClient, requests, id, fromBlock) : undefined
  const context = { chainId: session.chainId, requests, id }
  const secret = args.replyKey === undefined ? undefined : await readReplyKey(args.replyKey)
  const body = found && openIfPossible(secret, context, fromHex(found.result, 'result'))

  output.heading(`Request ${id}`)
  output.line(`  ${state}, ${record.fee} wei, until ${formatTime(record.deadline)}`)
  if (record.worker !== zeroAddress) output.line(`  worker ${record.worker}`)
  if (body !== undefined && args.out !== undefined) await replaceFile(args.out, body)
  else if (body !== undefined) output.line(`  result ${to0x(body)}`)
  else if (found) output.line('  the result is encrypted: open it with --reply-key')
  const { app, requester, fee, deadline, worker } = record
  return {
    id,
    state,
    app,
    requester,
    fee: fee.toString(),
    deadline,
    worker: worker === zeroAddress ? null : worker,
    result: found
      ? {
          operator: found.operator,
          isOnTime: found.isOnTime,
          message: found.result,
          body: body === undefined ? null : to0x(body),
        }
      : null,
  }
}

async function readReplyKey(file: string): Promise<Uint8Array> {
  return fromHex((await readText(file)).trim(), 'reply key', 32)
}

/** Without the key, an encrypted result stays closed; a wrong key is an error. @throws REQUEST_INPUT_UNREADABLE */
function openIfPossible(
  secret: Uint8Array | undefined,
  context: Parameters<typeof openResult>[1],
  message: Uint8Array,
): Uint8Array | undefined {
  const isSealed = message[0] !== 0
  return isSealed && secret === undefined ? undefined : openResult(secret, context, message)
}
