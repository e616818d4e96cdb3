/**
 * `assent deployment upgrade`: replaces the code of a contract with the code of these sources. Compares storage
 * layouts, deploys the implementation once, records it, and submits the upgrade with an execution deadline.
 */
import { implementationOf } from '../../chain/check/code.ts'
import { requireNotAfter, upgrade } from '../../chain/governance/settings.ts'
import type { UpgradeableName } from '../../deploy/upgrade.ts'
import { newCodeSchema, refreshRecord, submitNewCode } from '../calls/submit-new-code.ts'
import type { ArgumentsOf } from '../command.ts'
import type { upgrade as command } from '../deployment.ts'
import { readCalldata } from '../input/arguments.ts'
import { readContract } from '../input/contracts.ts'
import { readNotAfter } from '../input/not-after.ts'
import type { Session } from '../session/session.ts'

export const schema = newCodeSchema

export async function run(args: ArgumentsOf<typeof command>, given: Session) {
  const session = await refreshRecord(given, args)
  const contract = readContract(session, args.contract)
  const data = readCalldata(args.call ?? '0x', '--call')
  const deadline = requireNotAfter(session.addresses.kmsAuth, await readNotAfter(args, session))
  return submitNewCode(session, args, {
    proxy: args.contract as UpgradeableName,
    current: () => implementationOf(session.publicClient, contract),
    calls: (code) => [deadline, upgrade(contract, code, data)],
  })
}
