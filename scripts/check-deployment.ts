/**
 * Checks a deployment against the chain: `node scripts/check-deployment.ts <rpc url> [folder]`.
 *
 * Exit code 0 only if everything is as it must be.
 */
import { createPublicClient, http } from 'viem'

import { checkDeployment } from '../src/chain/check.ts'
import { readDeployment } from '../src/chain/deployments.ts'

const [url, folder = 'deployments'] = process.argv.slice(2)
if (url === undefined) {
  console.error('usage: node scripts/check-deployment.ts <rpc url> [folder]')
  process.exit(2)
}
const client = createPublicClient({ transport: http(url) })
const deployment = await readDeployment(folder, await client.getChainId())
const findings = await checkDeployment(client, deployment)
for (const { holds, what, found } of findings) {
  console.log(`${holds ? 'ok   ' : 'WRONG'}  ${what}: ${found}`)
}
process.exitCode = findings.every(({ holds }) => holds) ? 0 : 1
