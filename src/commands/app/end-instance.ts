/** `assent app end-instance`: ends the key of an instance permanently. Sends one call from the owner or the key. */
import { endInstance } from '../../chain/registries/instances.ts'
import type { endInstance as command } from '../app-instance.ts'
import { sentSchema } from '../calls/submission.ts'
import { sendCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readAddress } from '../input/arguments.ts'
import { requireDeployed } from '../input/deployed.ts'
import type { Session } from '../session/session.ts'

export const schema = sentSchema()

export async function run(args: ArgumentsOf<typeof command>, session: Session) {
  const instances = requireDeployed(session, 'instances')
  return sendCalls(session, [endInstance(instances, readAddress(args.key, 'key'))])
}
