/**
 * `assent kms pinned-code`: prints the code hashes of the contracts, for `chainView.pinnedCode` in the settings.
 * Reads the code through one endpoint; compare it with a second one before you use it.
 */
import { z } from 'zod'
import { readPinnedCode } from '../../chain/proven/pinning.ts'
import { deploymentFile, findDeployment } from '../../chain/record/deployments.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { ArgumentsOf } from '../command.ts'
import { readKmsContract } from '../input/kms-contract.ts'
import type { pinnedCode } from '../kms.ts'
import { bytes32 } from '../output/json.ts'
import type { ChainContext } from '../session/session.ts'

const hashes = z.array(bytes32)

export const schema = z.record(z.string(), z.union([hashes, bytes32]))

export async function run(args: ArgumentsOf<typeof pinnedCode>, context: ChainContext) {
  const { publicClient, chainId, deployments, output } = context
  const kms = await readKmsContract(context, args.kmsContract)
  const record = await findDeployment(deployments, chainId)
  const isOurs = record?.contracts.kmsAuth?.address.toLowerCase() === kms.toLowerCase()
  if (!isOurs) {
    console.error(
      record === undefined
        ? 'No deployment record: registries that are not set yet are not pinned.'
        : `${deploymentFile(deployments, chainId)} is of another KmsAuth and is not used.`,
    )
  }
  const contracts = isOurs ? record.contracts : undefined
  const named = {
    ...addressOf('hosts', contracts?.hosts),
    ...addressOf('images', contracts?.images),
    ...addressOf('bonds', contracts?.hostBonds),
  }
  const pinned = await readPinnedCode(publicClient, kms, named)
  output.verbatim(JSON.stringify(pinned, null, 2))
  return pinned
}

function addressOf(role: string, contract: { readonly address: Hex } | undefined) {
  return contract === undefined ? {} : { [role]: contract.address }
}
