/**
 * `assent host quote`: gets a quote of this host for the registry, writes it with block and operator into a file, and
 * says what the DAO would see. Reads the guest agent, the chain and a PCCS. Exit code 1: the registry would refuse it.
 */
import type { Address } from 'viem'
import { z } from 'zod'

import { stateAt, states } from '../../chain/approval.ts'
import { readHost } from '../../chain/registries/hosts.ts'
import { readApproval } from '../../chain/registries/registry.ts'
import { AssentError } from '../../errors/index.ts'
import type { ArgumentsOf } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit-code.ts'
import type { quote as command } from '../host.ts'
import { readAddress } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { colorApproval } from '../output/approval-text.ts'
import { address, bytes32, decimal, unixTime } from '../output/json.ts'
import type { Session } from '../session/session.ts'
import { assess, assessmentSchema, printAssessment } from './assessment.ts'
import { makeHostQuote } from './make-quote.ts'
import { deviceOf, readHostQuote, requireRegistry, writeHostQuote } from './quote-file.ts'

export const schema = z.strictObject({
  deviceId: bytes32.describe('what the quote claims'),
  file: z.string().nullable().describe('null: the quote was read from a file'),
  operator: address.nullable().describe('null: the file does not say for whom the quote is'),
  block: decimal.nullable(),
  approval: z.enum(states),
  provenUntil: unixTime.describe('end of the current proof; 0: none'),
  presentOperator: address.nullable(),
  ...assessmentSchema.shape,
})

type QuoteArguments = ArgumentsOf<typeof command>

export async function run(args: QuoteArguments, session: Session) {
  const { publicClient, output, now } = session
  const hosts = requireDeployed(session, 'hosts')
  const { quote, binding, file } = await obtain(args, session, hosts)
  const deviceId = deviceOf(quote)
  const approval = await readApproval(publicClient, hosts, 'host', deviceId)
  const known = await readHost(publicClient, hosts, deviceId)
  const assessed = await assess(session, args, { hosts, quote })

  output.heading(`Host ${deviceId}`)
  printAssessment(output, assessed, now)
  output.line(`  approval  ${colorApproval(approval, now)}`)
  const owner = known.expiresAt > now ? known.operator : null
  if (owner !== null) output.line(`  proven by ${owner} now`)
  const ofAnother = belongsToAnother(binding?.operator ?? null, owner)
  if (binding !== undefined && ofAnother) {
    output.warning(`  The host belongs to ${owner}: the registry refuses ${binding.operator}.`)
  }
  if (file !== null) {
    output.line(`${file}: the quote, for ${binding?.operator} at block ${binding?.block.number}`)
    if (!ofAnother && assessed.today.problems.length === 0)
      output.line(`Next: assent host register ${file}`)
  }
  return {
    deviceId,
    file,
    operator: binding?.operator ?? null,
    block: binding?.block.number ?? null,
    approval: stateAt(approval, now),
    provenUntil: known.expiresAt,
    presentOperator: owner,
    ...assessed,
  }
}

/** Exit code 1 if the registry would refuse the quote today. */
export function exitCode({ today, operator, presentOperator }: z.infer<typeof schema>): ExitCode {
  const isAccepted = today.problems.length === 0 && !belongsToAnother(operator, presentOperator)
  return isAccepted ? exitCodes.yes : exitCodes.no
}

async function obtain(args: QuoteArguments, session: Session, hosts: Address) {
  if (args.quote !== undefined) {
    if (args.socket !== undefined || args.operator !== undefined) {
      throw new AssentError('USAGE_INVALID', '--socket and --operator are for a new quote.', {
        facts: { quote: args.quote },
      })
    }
    const read = await readHostQuote(args.quote)
    if (read.binding !== undefined) requireRegistry(read.binding, { ...session, hosts })
    return { ...read, file: null }
  }
  const operator =
    args.operator === undefined
      ? (await session.signer()).walletClient.account.address
      : readAddress(args.operator, '--operator')
  const made = await makeHostQuote(session, { hosts, operator, socket: args.socket })
  await writeHostQuote(args.out, made.attestation, made.binding)
  return { quote: made.attestation.quote, binding: made.binding, file: args.out }
}

/** Whether the registry refuses the operator because another one has proven the host. */
function belongsToAnother(operator: string | null, present: string | null): boolean {
  return operator !== null && present !== null && operator.toLowerCase() !== present.toLowerCase()
}
