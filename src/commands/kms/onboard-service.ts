/**
 * `assent kms onboard-service`: serves dstack's onboarding API over plain HTTP until `Finish` or a signal, for
 * deployments in which another program triggers bootstrap or onboarding.
 */
import { runOnboardService } from '../../kms/main.ts'
import type { ArgumentsOf } from '../command.ts'
import type { onboardService } from '../kms-node.ts'
import type { Context } from '../session/context.ts'

export async function run({ config }: ArgumentsOf<typeof onboardService>, { stopSignal }: Context) {
  await runOnboardService({ configFile: config, signal: stopSignal() })
}
