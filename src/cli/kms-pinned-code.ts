import { Command } from 'commander'
import { createPublicClient, http, type PublicClient } from 'viem'

import { toChainError } from '../chain/call.ts'
import {
  type Deployment,
  deploymentFile,
  findDeployment,
  parseDeployment,
} from '../chain/deployments.ts'
import { readPinnedCode } from '../chain/proven/pinning.ts'
import { AssentError } from '../errors/index.ts'
import { fromHex, type Hex, to0x } from '../lib/bytes.ts'
import { readBytes } from '../lib/files.ts'

const help = `
Registries that are deployed and not set yet are pinned too, if the record of the deployment names them: a node that
does not pin them denies everything once the DAO sets them. Without --deployment the record of the chain in ./deployments
is taken, if there is one.`

interface PinnedCodeFlags {
  readonly rpcUrl: string
  readonly kmsContract: string
  readonly deployment?: string
}

export const pinnedCodeCommand = new Command('pinned-code')
  .description('Print the pinnedCode setting for a deployment; trusts one endpoint')
  .requiredOption('--rpc-url <url>', 'JSON-RPC endpoint to believe; better your own node')
  .requiredOption('--kms-contract <address>', 'the KmsAuth contract')
  .option('--deployment <file>', 'record of the deployment')
  .addHelpText('after', help)
  .action(async (options: PinnedCodeFlags) => {
    const client = createPublicClient({ transport: http(options.rpcUrl) })
    const kms = to0x(fromHex(options.kmsContract, 'KMS contract', 20))
    const contracts = (await readRecord(client, kms, options.deployment))?.contracts
    if (contracts === undefined) {
      console.error('No deployment record: registries that are not set yet are not pinned.')
    }
    const named = {
      ...addressOf('hosts', contracts?.hosts),
      ...addressOf('images', contracts?.images),
      ...addressOf('bonds', contracts?.hostBonds),
    }
    console.log(JSON.stringify(await readPinnedCode(client, kms, named), null, 2))
  })

function addressOf(role: string, contract: { readonly address: Hex } | undefined) {
  return contract === undefined ? {} : { [role]: contract.address }
}

/** The one that was named, or that of this chain where it lies usually and is of this contract. */
async function readRecord(
  client: PublicClient,
  kms: Hex,
  file: string | undefined,
): Promise<Deployment | undefined> {
  const isOurs = (record: Deployment | undefined) =>
    record?.contracts.kmsAuth?.address.toLowerCase() === kms
  if (file !== undefined) {
    const record = parseDeployment(JSON.parse((await readBytes(file)).toString('utf8')))
    if (isOurs(record)) return record
    throw new AssentError('INPUT_INVALID', `${file} is the record of another KmsAuth.`, {
      facts: { expected: kms, found: record.contracts.kmsAuth?.address ?? null },
    })
  }
  const chainId = await client.getChainId().catch((cause: unknown) => {
    throw toChainError(cause, 'read the chain id')
  })
  const record = await findDeployment('deployments', chainId)
  if (record === undefined || isOurs(record)) return record
  console.error(`${deploymentFile('deployments', chainId)} is of another KmsAuth and is not used.`)
  return undefined
}
