/** Submits a host proof to the registry: by the account that signs, or through a relayer with the operator's permit. */
import { setTimeout as sleep } from 'node:timers/promises'

import type { Address } from 'viem'
import { z } from 'zod'

import { formatDeadline } from '../../chain/governance/format-time.ts'
import {
  type HostBinding,
  readHost,
  registerHost,
  signHostPermit,
} from '../../chain/registries/hosts.ts'
import { AssentError } from '../../errors/index.ts'
import { type Hex, to0x } from '../../lib/bytes.ts'
import { readBytes } from '../../lib/files.ts'
import {
  type RelayerClientOptions,
  readSubmission,
  type SubmittedStatus,
  submitHostQuote,
} from '../../relayer/client.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ProofArguments } from '../host.ts'
import { readDuration, readUrl } from '../input/arguments.ts'
import { bytes32, unixTime } from '../output/json.ts'
import type { Session } from '../session/session.ts'
import { deviceOf } from './quote-file.ts'

const proven = {
  deviceId: bytes32,
  expiresAt: unixTime.describe('end of the new host proof'),
}

export const proofSchema = z.union([
  sentSchema(proven),
  z.strictObject({
    ...proven,
    outcome: z.literal('relayed'),
    submission: z.string().describe('id at the relayer'),
    transaction: bytes32.nullable().describe('null: the proof was on the chain already'),
  }),
])

/** A quote that the registry should store as a host proof. */
export interface ProofSubmission {
  readonly hosts: Address
  readonly quote: Uint8Array
  /** JSON of the guest agent. */
  readonly eventLog: string | undefined
  readonly binding: HostBinding
}

/** @throws CALL_REVERTED, RELAYER_REFUSED, RELAYER_UNREACHABLE, RELAYER_NO_EFFECT */
export async function submitProof(
  session: Session,
  args: ProofArguments,
  submission: ProofSubmission,
) {
  const { publicClient, output, now } = session
  const { hosts, quote, binding } = submission
  const deviceId = deviceOf(quote)
  const sent =
    args.via === 'relayer'
      ? await relay(session, args, submission)
      : await sendCalls(session, [registerHost(hosts, quote, binding.block.number)])
  const { expiresAt } = await readHost(publicClient, hosts, deviceId)
  output.line(`Host ${deviceId} is proven until ${formatDeadline(expiresAt, now)}.`)
  return { deviceId, expiresAt, ...sent }
}

/* THROUGH A RELAYER */

async function relay(session: Session, args: ProofArguments, submission: ProofSubmission) {
  const { output } = session
  const { quote, eventLog, binding } = submission
  if (eventLog === undefined) {
    throw new AssentError('USAGE_INVALID', 'The relayer needs the event log of the quote.', {
      hint: 'Make the quote with `assent host quote`.',
    })
  }
  const options = await readRelayer(session, args)
  const { walletClient } = await session.signer()
  const operator = walletClient.account.address
  if (operator.toLowerCase() !== binding.operator.toLowerCase()) {
    throw new AssentError('SIGNER_UNCLEAR', 'The quote is for another operator.', {
      facts: { operator: binding.operator, account: operator },
    })
  }
  const deadline = session.now + readDuration(args.permitFor, '--permit-for')
  const until = formatDeadline(deadline, session.now)
  output.line(`Signs without a transaction: anyone may register this quote for ${operator} until`)
  output.line(`${until}. The relayer ${new URL(options.url).host} sends it and pays.`)
  await session.confirm()
  const { signature } = await signHostPermit(walletClient, binding, quote, deadline)
  const submitted = await submitHostQuote(options, {
    purpose: args.purpose as 'host' | 'kms-node',
    quote: to0x(quote),
    eventLog,
    permit: { operator, blockNumber: Number(binding.block.number), deadline, signature },
  })
  output.line(`Submission ${submitted.id}`)
  const { id, transaction } = await follow(session, options, submitted)
  return { outcome: 'relayed' as const, submission: id, transaction: transaction as Hex | null }
}

async function readRelayer(
  { profile }: Session,
  { relayerUrl, tokenFile }: ProofArguments,
): Promise<RelayerClientOptions> {
  const url = relayerUrl === undefined ? profile.relayer : readUrl(relayerUrl, '--relayer-url')
  if (url === undefined) {
    throw new AssentError('USAGE_INVALID', 'The option --relayer-url is missing.', {
      facts: { option: '--relayer-url' },
      hint: 'Pass --relayer-url, or set relayer in a profile of assent.toml.',
    })
  }
  return { url, token: await readToken(tokenFile) }
}

/** The token is a secret, so it is never an argument. @throws USAGE_INVALID, FILE_UNREADABLE */
async function readToken(file: string | undefined): Promise<string> {
  const { ASSENT_OPERATOR_TOKEN: variable } = process.env
  const token = file === undefined ? variable : (await readBytes(file)).toString('utf8').trim()
  if (token !== undefined && /^[\x21-\x7e]{1,512}$/.test(token)) return token
  throw new AssentError(
    'USAGE_INVALID',
    'The token of the relayer’s operator is missing or malformed.',
    {
      facts: { option: '--token-file' },
      hint: 'Pass --token-file, or set ASSENT_OPERATOR_TOKEN.',
    },
  )
}

const pollMs = 1_000

/** Waits until the submission is final. Ctrl-C ends only the waiting: the relayer continues. */
async function follow(
  { output }: Session,
  options: RelayerClientOptions,
  submitted: SubmittedStatus,
): Promise<SubmittedStatus> {
  for (let status = submitted; ; status = await readSubmission(options, submitted.id)) {
    if (status.state === 'final') return status
    const reason = status.lastError === null ? '' : `, ${status.lastError.code}`
    if (status.state === 'abandoned') {
      throw new AssentError('RELAYER_REFUSED', `The relayer gave the quote up${reason}.`, {
        facts: { submission: status.id, lastError: status.lastError },
      })
    }
    output.progress(`the relayer: ${status.state}${reason}`)
    await sleep(pollMs)
  }
}
