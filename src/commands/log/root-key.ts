import type { Address } from 'viem'
import { z } from 'zod'
import { kmsAuthAbi } from '../../chain/abi.ts'
import { toChainError } from '../../chain/call.ts'
import { AssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'
import type { ArgumentsOf } from '../command.ts'
import { readKmsContract } from '../input/kms-contract.ts'
import type { rootKey } from '../log.ts'
import { address } from '../output/json.ts'
import type { ChainContext } from '../session/session.ts'

export const schema = z.strictObject({
  kmsContract: address,
  rootKey: z.string().regex(/^0[23][0-9a-f]{64}$/),
})

export async function run(args: ArgumentsOf<typeof rootKey>, context: ChainContext) {
  const kmsContract = await readKmsContract(context, args.kmsContract)
  const key = await readAnnouncedRootKey(context, kmsContract)
  context.output.line(key)
  return { kmsContract, rootKey: key }
}

/** The compressed root key, 66 hex digits. @throws KMS_ROOT_UNANNOUNCED, CHAIN_UNREACHABLE */
export async function readAnnouncedRootKey(
  { publicClient }: Pick<ChainContext, 'publicClient'>,
  kmsContract: Address,
): Promise<string> {
  const [k256Pubkey] = await publicClient
    .readContract({ address: kmsContract, abi: kmsAuthAbi, functionName: 'kmsInfo' })
    .catch((cause: unknown) => {
      throw toChainError(cause, `read kmsInfo of ${kmsContract}`)
    })
  if (fromHex(k256Pubkey, 'root key').length === 33) return k256Pubkey.slice(2)
  throw new AssentError('KMS_ROOT_UNANNOUNCED', 'The chain knows no root key of this KMS yet.', {
    facts: { kmsContract, found: k256Pubkey },
  })
}
