/**
 * `assent app devices`: allows any device, only listed ones, or adds and removes device ids. Submits one call to the
 * app; a rule that loosens the app needs an announcement if the app has a notice period.
 *
 * @throws USAGE_INVALID if device ids are given without `add` or `remove`
 */
import type { Address } from 'viem'
import type { Call } from '../../chain/call.ts'
import { setAllowAnyDevice } from '../../chain/registries/app.ts'
import { approve, withdraw } from '../../chain/registries/registry.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { devices } from '../app.ts'
import { submissionSchema } from '../calls/submission.ts'
import { submitCalls } from '../calls/submit-calls.ts'
import type { ArgumentsOf } from '../command.ts'
import { readId } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import { resolveId } from '../input/names.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = submissionSchema()

export async function run(args: ArgumentsOf<typeof devices>, session: Session) {
  const app = await requireApp(session, args.app)
  const given = args.devices ?? []
  const isList = args.rule === 'add' || args.rule === 'remove'
  if (isList !== given.length > 0) {
    throw new AssentError('USAGE_INVALID', 'Device ids follow add and remove, and only these.', {
      facts: { rule: args.rule, devices: given.length },
    })
  }
  return submitCalls(session, [await readChange(args, session, app)], args)
}

async function readChange(
  args: ArgumentsOf<typeof devices>,
  session: Session,
  app: Address,
): Promise<Call> {
  const given = args.devices ?? []
  if (args.rule === 'add') {
    const terms = given.map((text) => ({ kind: 'device', id: readId(text, 'device') }) as const)
    return approve(app, terms, await readNotAfter(args, session))
  }
  if (args.rule === 'remove') {
    const ids: Hex[] = []
    for (const text of given)
      ids.push(await resolveId(session, { kind: 'device', registry: app }, text))
    return withdraw(app, 'device', ids)
  }
  return setAllowAnyDevice(app, args.rule === 'any')
}
