/**
 * `assent app upgrade`: replaces the code of an app with the code of these sources. Deploys the implementation once,
 * records it, compares storage layouts, and submits the upgrade. The record is brought up to date first.
 */
import { implementationOf } from '../../chain/check/code.ts'
import { upgrade } from '../../chain/governance/settings.ts'
import type { upgrade as command } from '../app.ts'
import { newCodeSchema, refreshRecord, submitNewCode } from '../calls/submit-new-code.ts'
import type { ArgumentsOf } from '../command.ts'
import { readCalldata } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import type { Session } from '../session/session.ts'

export const schema = newCodeSchema

export async function run(args: ArgumentsOf<typeof command>, given: Session) {
  const session = await refreshRecord(given, args)
  const app = await requireApp(session, args.app)
  const data = readCalldata(args.call ?? '0x', '--call')
  return submitNewCode(session, args, {
    proxy: 'app',
    current: () => implementationOf(session.publicClient, app),
    calls: (code) => [upgrade(app, code, data)],
  })
}
