/**
 * `assent host register`: registers the proof of a host. The file of `assent host quote` names block and operator; for
 * other quotes `--block` does. The account becomes the operator; with `--via relayer` it signs a permit (EIP-712), and
 * with `--operator` it pays for another operator's permit.
 */
import { z } from 'zod'
import { registerHost, registerHostFor } from '../../chain/registries/hosts.ts'
import { AssentError } from '../../errors/index.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { register } from '../host.ts'
import {
  readAddress,
  readCalldata,
  readCount,
  readTime,
  requireOption,
} from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import type { Session } from '../session/session.ts'
import { readHostQuote, requireRegistry } from './quote-file.ts'
import { proofSchema, submitProof } from './submit-proof.ts'

export const schema = z.union([proofSchema, sentSchema()])

export async function run(args: ArgumentsOf<typeof register>, session: Session) {
  const hosts = requireDeployed(session, 'hosts')
  const { quote, binding, eventLog } = await readHostQuote(args.quote)
  if (binding !== undefined) requireRegistry(binding, { ...session, hosts })
  if (binding !== undefined && args.block === undefined && args.operator === undefined) {
    return submitProof(session, args, { hosts, quote, binding, eventLog })
  }
  if (args.via === 'relayer') {
    throw new AssentError('USAGE_INVALID', '--via relayer needs a file of `assent host quote`.', {
      facts: { file: args.quote },
    })
  }
  const block =
    args.block === undefined && binding !== undefined
      ? binding.block.number
      : BigInt(readCount(requireOption(args.block, '--block'), '--block'))
  if (args.operator === undefined) return sendCalls(session, [registerHost(hosts, quote, block)])
  const permit = {
    operator: readAddress(args.operator, '--operator'),
    deadline: readTime(requireOption(args.deadline, '--deadline'), '--deadline'),
    signature: readCalldata(requireOption(args.permit, '--permit'), '--permit'),
  }
  return sendCalls(session, [registerHostFor(hosts, quote, block, permit)])
}
