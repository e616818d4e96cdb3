/**
 * `assent host register`: registers the proof of a host from a quote whose report data `assent host report-data`
 * made. The account becomes the operator, or with `--operator` it pays for another operator's permit (EIP-712).
 */
import { registerHost, registerHostFor } from '../../chain/hosts.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { register } from '../host.ts'
import {
  readAddress,
  readBytes,
  readCalldata,
  readCount,
  readTime,
  requireOption,
} from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof register>, session: Session) {
  const hosts = requireDeployed(session, 'hosts')
  const quote = await readBytes(args.quote)
  const block = BigInt(readCount(args.block, '--block'))
  if (args.operator === undefined) return sendCalls(session, [registerHost(hosts, quote, block)])
  const permit = {
    operator: readAddress(args.operator, '--operator'),
    deadline: readTime(requireOption(args.deadline, '--deadline'), '--deadline'),
    signature: readCalldata(requireOption(args.permit, '--permit'), '--permit'),
  }
  return sendCalls(session, [registerHostFor(hosts, quote, block, permit)])
}
