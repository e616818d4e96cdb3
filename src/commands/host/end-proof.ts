/**
 * `assent host end-proof`: ends a host proof whose quote no longer verifies, for example because its certificate is
 * revoked. Reads the quote file of the proof and sends it; the contract verifies it again. Anyone may do it.
 */
import { endProof } from '../../chain/registries/hosts.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import type { endProof as command } from '../host.ts'
import { readBytes } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import { resolveHost } from '../input/names.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const hosts = requireDeployed(session, 'hosts')
  const device = await resolveHost(session, args.device)
  return sendCalls(session, [endProof(hosts, device, await readBytes(args.quote))])
}
