/**
 * `assent host continue`: submits a signed statement that a host has a new device id after a firmware update. Anyone
 * may send it; the registry checks the signature of the operator (EIP-712).
 *
 * @throws SIGNATURE_INVALID if the statement is malformed or is for another chain or registry
 */
import { z } from 'zod'
import { continueAs } from '../../chain/registries/hosts.ts'
import { AssentError } from '../../errors/index.ts'
import { describeIssues } from '../../lib/config.ts'
import { addressSchema, bytes32Schema } from '../../lib/schema.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { continueAs as command } from '../host.ts'
import { readJson } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import type { Session } from '../session/session.ts'

const statementSchema = z.strictObject({
  chainId: z.int().positive(),
  hosts: addressSchema,
  from: bytes32Schema,
  to: bytes32Schema,
  deadline: z.int().positive(),
  signature: z.templateLiteral(['0x', z.string().regex(/^(?:[0-9a-fA-F]{2})+$/)]),
})

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const hosts = requireDeployed(session, 'hosts')
  const parsed = statementSchema.safeParse(await readJson(args.file))
  if (!parsed.success) {
    throw new AssentError('SIGNATURE_INVALID', `${args.file}: ${describeIssues(parsed.error)}`)
  }
  const { chainId, hosts: signedFor, signature, ...continuity } = parsed.data
  if (chainId !== session.chainId || signedFor !== hosts.toLowerCase()) {
    throw new AssentError(
      'SIGNATURE_INVALID',
      'The statement was signed for another chain or host registry.',
      { facts: { chainId, hosts: signedFor } },
    )
  }
  return sendCalls(session, [continueAs(hosts, continuity, signature)])
}
