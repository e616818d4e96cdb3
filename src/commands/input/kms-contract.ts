/** Reads `--kms-contract`: a KmsAuth, which needs no deployment record. */
import type { Address } from 'viem'
import { findDeployment } from '../../chain/record/deployments.ts'
import { AssentError } from '../../errors/index.ts'
import type { ChainContext } from '../session/session.ts'
import { readAddress } from './arguments.ts'

/** @throws USAGE_INVALID, FILE_UNREADABLE, DEPLOYMENT_INVALID */
export async function readKmsContract(
  { deployments, chainId }: ChainContext,
  option: string | undefined,
): Promise<Address> {
  if (option !== undefined) return readAddress(option, '--kms-contract')
  const record = await findDeployment(deployments, chainId)
  const address = record?.contracts.kmsAuth?.address
  if (address !== undefined) return address
  throw new AssentError('USAGE_INVALID', 'The option --kms-contract is missing.', {
    facts: { option: '--kms-contract', folder: deployments, chainId },
    hint: 'Pass --kms-contract, or the folder of the deployment record (--deployments).',
  })
}
