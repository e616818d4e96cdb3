/**
 * `assent kms init-checkpoint`: creates the trusted checkpoint of a KMS node from the newest final block that its
 * endpoints agree on.
 *
 * @throws CHAIN_CHECKPOINT_EXISTS, CHAIN_*
 */
import { z } from 'zod'
import { runInitCheckpoint } from '../../kms/main.ts'
import type { ArgumentsOf } from '../command.ts'
import type { initCheckpoint } from '../kms-node.ts'
import type { Context } from '../session/context.ts'

export const schema = z.strictObject({ created: z.literal(true) })

export async function run({ config }: ArgumentsOf<typeof initCheckpoint>, { output }: Context) {
  await runInitCheckpoint({ configFile: config })
  output.line('The trusted checkpoint was created.')
  return { created: true }
}
