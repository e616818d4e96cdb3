/**
 * `assent host why`: explains if a host is admitted, condition by condition. Reads the chain state now, later, or
 * after a proposal (`--after`). Exit code 0 admitted, 1 not admitted.
 */
import { z } from 'zod'

import { registryOf } from '../../chain/registries/registry.ts'
import { explainHost } from '../../chain/why/explain-boot.ts'
import type { ArgumentsOf } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit-code.ts'
import { openState } from '../input/decided-state.ts'
import { resolveId } from '../input/names.ts'
import { colors as pc } from '../output/colors.ts'
import { hostConditionSchema, printHostConditions } from '../output/explanation.ts'
import { bytes32, unixTime } from '../output/json.ts'
import type { Session } from '../session/session.ts'
import type { hostWhy } from '../why.ts'

export const schema = z.strictObject({
  deviceId: bytes32,
  at: unixTime,
  isAdmitted: z.boolean(),
  conditions: z.array(hostConditionSchema).describe('empty: KmsAuth asks no host registry'),
  notes: z.array(z.string()),
})

export async function run(args: ArgumentsOf<typeof hostWhy>, session: Session) {
  const { output, addresses } = session
  const listed = { kind: 'host', registry: registryOf(addresses, 'host') } as const
  const deviceId = await resolveId(session, listed, args.device)
  const { reader, deployment, times, assumptions } = await openState(session, args)
  const conditions = await explainHost(reader, deployment, deviceId, times.now)
  const isAdmitted = conditions.every(({ state }) => state === 'met')
  output.heading(isAdmitted ? pc.green('Admitted') : pc.red('Not admitted'))
  for (const each of assumptions) output.warning(each)
  if (conditions.length === 0) output.line('KmsAuth asks no host registry.')
  printHostConditions(output, conditions, times.now)
  const notes = [...assumptions]
  return { deviceId, at: times.now, isAdmitted, conditions: [...conditions], notes }
}

export function exitCode({ isAdmitted }: z.infer<typeof schema>): ExitCode {
  return isAdmitted ? exitCodes.yes : exitCodes.no
}
