/**
 * `assent kms log create`: creates the release log of a KMS node with a new log key that the root key signs. Prints
 * the keys by which `assent log verify` checks the log.
 */
import { z } from 'zod'
import { runCreateLog } from '../../kms/main.ts'
import { toHex } from '../../lib/bytes.ts'
import type { ArgumentsOf } from '../command.ts'
import type { createLog } from '../kms-node.ts'
import type { Context } from '../session/context.ts'

const hex = z.string().regex(/^(?:[0-9a-f]{2})+$/)

export const schema = z.strictObject({
  node: z.string(),
  publicKey: hex,
  rootKey: hex,
  rootSignature: hex,
})

export async function run({ config }: ArgumentsOf<typeof createLog>, { output }: Context) {
  const { node, publicKey, rootKey, rootSignature } = await runCreateLog({ configFile: config })
  const value = {
    node,
    publicKey: toHex(publicKey),
    rootKey: toHex(rootKey),
    rootSignature: toHex(rootSignature),
  }
  output.verbatim(JSON.stringify(value, null, 2))
  return value
}
