/**
 * `assent deployment set-app-implementation`: sets the code of apps that `KmsAuth` deploys from now on. Deploys the
 * code of these sources once and submits one call; existing apps do not change.
 */
import { setAppImplementation } from '../../chain/governance/settings.ts'
import { codeOfNewApps } from '../../deploy/upgrade.ts'
import { newCodeSchema, refreshRecord, submitNewCode } from '../calls/submit-new-code.ts'
import type { ArgumentsOf } from '../command.ts'
import type { setAppImplementation as command } from '../deployment.ts'
import type { Session } from '../session/session.ts'

export const schema = newCodeSchema

export async function run(args: ArgumentsOf<typeof command>, given: Session) {
  const session = await refreshRecord(given, args)
  const { kmsAuth } = session.addresses
  return submitNewCode(session, args, {
    proxy: 'app',
    current: () => codeOfNewApps(session.publicClient, kmsAuth),
    calls: (code) => [setAppImplementation(kmsAuth, code)],
  })
}
