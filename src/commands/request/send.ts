/**
 * `assent request send`: asks an app for work. Encrypts the input to the request key of the app after it was verified up to
 * the root key on-chain, or sends it in public. Sends one call with the fee.
 */
import { x25519 } from '@noble/curves/ed25519.js'
import { keccak256, parseEventLogs } from 'viem'

import { requestsAbi } from '../../chain/abi.ts'
import {
  encodeInputReference,
  readRequestTerms,
  requestWork,
} from '../../chain/registries/requests.ts'
import { AssentError } from '../../errors/index.ts'
import { fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { writeNewFile } from '../../lib/files.ts'
import { requestKeySchema, verifyRequestKey } from '../../worker/request-key.ts'
import { publicMessage, sealInput } from '../../worker/sealed-message.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes, readDuration, readJson, readUnits, requireOption } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import { requireDeployed } from '../input/deployed.ts'
import { readKmsInfo } from '../input/kms-root.ts'
import { newestEpoch } from '../input/newest-epoch.ts'
import { address, bytes32, unixTime } from '../output/json.ts'
import type { send as command } from '../request.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema({
  app: address,
  id: bytes32.nullable().describe('id of the request; null: the transaction has no event of it'),
  deadline: unixTime,
})

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const requests = requireDeployed(session, 'requests')
  const app = await requireApp(session, args.app)
  const fee = readUnits(args.fee, '--fee')
  const { minFee, answerTime } = await readRequestTerms(session.publicClient, requests, app)
  if (answerTime === 0 || fee < minFee) {
    const message = answerTime === 0 ? 'The app takes no requests.' : 'The fee is too low.'
    throw new AssentError('INPUT_INVALID', message, {
      facts: { app, fee: fee.toString(), minFee: minFee.toString() },
    })
  }
  const input = await makeInput(args, session, { requests, app })
  const deadline = session.now + readDuration(args.within, '--within')
  const call = requestWork(requests, {
    app,
    inputDigest: keccak256(input),
    inputReference: encodeInputReference({ kind: 'inline', input }),
    deadline,
    fee,
  })
  const sent = await sendCalls(session, [call])
  const id = await idOf(session, sent.transactions)
  session.output.line(`Request ${id ?? '(no event)'}`)
  return { app, id, deadline, ...sent }
}

async function makeInput(
  args: ArgumentsOf<typeof command>,
  session: Session,
  { requests, app }: { requests: Hex; app: Hex },
): Promise<Uint8Array> {
  const body = await readBytes(args.input)
  if (args.public === (args.key !== undefined)) {
    throw new AssentError('USAGE_INVALID', 'Give either --key or --public.')
  }
  if (args.key === undefined) return publicMessage(body)
  const file = requireOption(args.replyKey, '--reply-key')
  const parsed = requestKeySchema.safeParse(await readJson(args.key))
  if (!parsed.success) {
    throw new AssentError('INPUT_INVALID', `${args.key} is not a request key.`)
  }
  const { k256Pubkey } = await readKmsInfo(session)
  const epoch = await newestEpoch(session, app)
  const root = fromHex(k256Pubkey, 'root key on-chain', 33)
  verifyRequestKey(parsed.data, { appId: fromHex(app, 'app id', 20), epoch, root })
  const requester = (await session.signer()).walletClient.account.address
  const secret = x25519.utils.randomSecretKey()
  // before the request is sent: without the key the result would be lost
  await writeNewFile(file, `${to0x(secret)}\n`)
  const context = { chainId: session.chainId, requests, app, requester }
  return sealInput(parsed.data, context, body, x25519.getPublicKey(secret))
}

async function idOf(session: Session, transactions: readonly Hex[]): Promise<Hex | null> {
  const hash = transactions.at(-1)
  if (hash === undefined) return null
  const { logs } = await session.publicClient.getTransactionReceipt({ hash })
  const [log] = parseEventLogs({ abi: requestsAbi, eventName: 'Requested', logs })
  return log?.args.id ?? null
}
