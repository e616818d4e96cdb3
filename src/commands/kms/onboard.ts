/**
 * `assent kms onboard`: copies the root keys from a running KMS node. Both sides verify the quote of the other and
 * ask the chain. `--ca-public-key` (91 bytes of SubjectPublicKeyInfo) pins the root.
 */
import { z } from 'zod'
import { runOnboard } from '../../kms/main.ts'
import { fromHex, toHex } from '../../lib/bytes.ts'
import type { ArgumentsOf } from '../command.ts'
import type { onboard } from '../kms-node.ts'
import type { Context } from '../session/context.ts'

const hex = z.string().regex(/^(?:[0-9a-f]{2})+$/)

export const schema = z.strictObject({ ca_pubkey: hex, k256_pubkey: hex })

export async function run(args: ArgumentsOf<typeof onboard>, { output }: Context) {
  const { from, caPublicKey, config } = args
  const { caPubkey, k256Pubkey } = await runOnboard({
    configFile: config,
    sourceUrl: from,
    ...(caPublicKey ? { caPublicKey: fromHex(caPublicKey, 'ca public key', 91) } : {}),
  })
  const value = { ca_pubkey: toHex(caPubkey), k256_pubkey: toHex(k256Pubkey) }
  output.verbatim(JSON.stringify(value, null, 2))
  return value
}
