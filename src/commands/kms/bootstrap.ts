/**
 * `assent kms bootstrap`: creates the root keys of a new KMS in the configured folder, once, and prints the statement
 * that `kms register-root` sends. Asks the chain first if this node is allowed.
 */
import { z } from 'zod'
import { runBootstrap } from '../../kms/main.ts'
import { bootstrapInfoToJson } from '../../kms/onboarding/bootstrap.ts'
import type { ArgumentsOf } from '../command.ts'
import type { bootstrap } from '../kms-node.ts'
import type { Context } from '../session/context.ts'

const hex = z.string().regex(/^(?:[0-9a-f]{2})+$/)

export const schema = z.strictObject({ ca_pubkey: hex, k256_pubkey: hex, attestation: hex })

export async function run({ config }: ArgumentsOf<typeof bootstrap>, { output }: Context) {
  const value = bootstrapInfoToJson(await runBootstrap({ configFile: config }))
  output.verbatim(JSON.stringify(value, null, 2))
  return value
}
