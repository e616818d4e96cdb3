/**
 * `assent host renew`: proves a registered host again, with a quote of the guest agent or of a file. The account sends
 * the proof, or signs a permit (EIP-712) for a relayer.
 */
import type { Address } from 'viem'

import { readHost } from '../../chain/registries/hosts.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { ArgumentsOf } from '../command.ts'
import type { renew as command } from '../host.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveHost } from '../input/names.ts'
import type { Session } from '../session/session.ts'
import { makeHostQuote } from './make-quote.ts'
import { deviceOf, readHostQuote, requireRegistry } from './quote-file.ts'
import { type ProofSubmission, proofSchema, submitProof } from './submit-proof.ts'

export const schema = proofSchema

type RenewArguments = ArgumentsOf<typeof command>

export async function run(args: RenewArguments, session: Session) {
  const hosts = requireDeployed(session, 'hosts')
  const deviceId = await resolveHost(session, args.device)
  const known = await readHost(session.publicClient, hosts, deviceId)
  if (known.attestedAt === 0) {
    throw new AssentError('INPUT_INVALID', `The host ${deviceId} was never proven.`, {
      facts: { deviceId },
      hint: 'Register it first: assent host quote, then assent host register.',
    })
  }
  const submission = await obtain(args, session, hosts)
  requireDevice(submission.quote, deviceId)
  return submitProof(session, args, submission)
}

async function obtain(
  args: RenewArguments,
  session: Session,
  hosts: Address,
): Promise<ProofSubmission> {
  if (args.quote === undefined) {
    const operator = (await session.signer()).walletClient.account.address
    const made = await makeHostQuote(session, { hosts, operator, socket: args.socket })
    const { quote, eventLog } = made.attestation
    return { hosts, quote, eventLog, binding: made.binding }
  }
  if (args.socket !== undefined) {
    throw new AssentError('USAGE_INVALID', 'Pass either --quote or --socket.', {
      facts: { quote: args.quote, socket: args.socket },
    })
  }
  const { quote, eventLog, binding } = await readHostQuote(args.quote)
  if (binding === undefined) {
    throw new AssentError('USAGE_INVALID', `${args.quote} does not name its block and operator.`, {
      facts: { file: args.quote },
      hint: 'Make the quote with `assent host quote`.',
    })
  }
  requireRegistry(binding, { ...session, hosts })
  return { hosts, quote, eventLog, binding }
}

function requireDevice(quote: Uint8Array, deviceId: Hex): void {
  const found = deviceOf(quote)
  if (found === deviceId) return
  throw new AssentError('INPUT_INVALID', 'The quote is of another host.', {
    facts: { expected: deviceId, found },
  })
}
