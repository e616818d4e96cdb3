/**
 * `assent deployment clear-signing`: writes the ERC-7730 descriptors with the addresses of this deployment, for a wallet or a
 * registry of descriptors. Reads the deployment record and which token bonds are deposited in; sends nothing.
 */
import { join } from 'node:path'

import type { Address } from 'viem'
import { z } from 'zod'

import {
  type ClearSigningDeployment,
  clearSigningFiles,
} from '../../chain/governance/clear-signing.ts'
import type { ContractType } from '../../chain/governance/describe-call.ts'
import { makeFolder, replaceFile } from '../../lib/files.ts'
import { readAddressBook } from '../calls/read-address-book.ts'
import type { ArgumentsOf } from '../command.ts'
import type { clearSigning } from '../deployment.ts'
import { requireApp } from '../input/contracts.ts'
import { address } from '../output/json.ts'
import type { Session } from '../session/session.ts'

export const schema = z.strictObject({
  folder: z.string(),
  files: z.array(z.string()).describe('names of the descriptors, one for each type of contract'),
  contracts: z.array(z.strictObject({ type: z.string(), address })),
})

/** @throws FILE_UNWRITABLE, and as `requireApp` */
export async function run(args: ArgumentsOf<typeof clearSigning>, session: Session) {
  const { chainId, output } = session
  const apps = await Promise.all((args.app ?? []).map((name) => requireApp(session, name)))
  const { types } = await readAddressBook(session, apps)
  const contracts = [...types].map(([at, type]) => ({ type, address: at as Address }))
  const deployments: Partial<Record<ContractType, ClearSigningDeployment[]>> = {}
  for (const each of contracts) {
    const known = deployments[each.type] ?? []
    deployments[each.type] = [...known, { chainId, address: each.address }]
  }
  // a descriptor without addresses is for no contract of this deployment
  const descriptors = Object.entries(clearSigningFiles(deployments)).filter(([, { context }]) =>
    hasDeployments(context),
  )
  await makeFolder(args.out)
  for (const [name, descriptor] of descriptors) {
    await replaceFile(join(args.out, name), `${JSON.stringify(descriptor, null, 2)}\n`)
  }
  const files = descriptors.map(([name]) => name)
  output.line(`Written to ${args.out}: ${files.length} descriptors for chain ${chainId}.`)
  return { folder: args.out, files, contracts }
}

function hasDeployments(context: object): boolean {
  const { deployments } = Object.values(context).find(
    (value) => typeof value === 'object' && value !== null && 'deployments' in value,
  ) as { deployments: readonly unknown[] }
  return deployments.length > 0
}
