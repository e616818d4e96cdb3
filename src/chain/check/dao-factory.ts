/** Checks which creation code the DAO factory uses. `checkCode` compares the code of the contracts that store it. */
import { type Hex, size } from 'viem'

import { daoFactoryAbi } from '../abi.ts'
import type { Deployment } from '../record/deployments.ts'
import type { Sources } from './code.ts'
import type { CheckContext } from './context.ts'
import { heldContracts } from './contract-types.ts'
import { type DeploymentFinding, exactly } from './finding.ts'

/** The factory's functions that return its `CreationCode` contracts. The record uses the same names. */
const parts = ['governorHead', 'governorTail', 'timelockCode', 'votesCode', 'wrapperCode'] as const

/** No findings if there is no factory. @throws CHAIN_UNREACHABLE */
export async function checkDaoFactory(
  { client, addresses, deployment }: CheckContext,
  sources: Sources | undefined,
): Promise<DeploymentFinding[]> {
  const { daoFactory } = addresses
  if (daoFactory === undefined) return []
  const findings: DeploymentFinding[] = []
  for (const part of parts) {
    const found = await client.readContract({
      address: daoFactory,
      abi: daoFactoryAbi,
      functionName: part,
    })
    const recorded = deployment.contracts[part]
    findings.push(
      exactly(
        'DAO_FACTORY',
        `${part} of daoFactory, as recorded`,
        [found],
        recorded === undefined ? [] : [recorded.address],
      ),
    )
  }
  return sources === undefined ? findings : [...findings, await checkWhole(deployment, sources)]
}

/** The recorded parts of a creation code follow each other and are all of it. */
async function checkWhole(
  { contracts }: Deployment,
  { artifacts }: Sources,
): Promise<DeploymentFinding> {
  const ends = new Map<string, number>()
  const gaps: string[] = []
  for (const part of parts) {
    const contract = heldContracts[part] as string
    const { from, to } = contracts[part]?.creationCodePart ?? { from: -1, to: -1 }
    if (from !== (ends.get(contract) ?? 0)) gaps.push(part)
    ends.set(contract, to)
  }
  for (const [contract, end] of ends) {
    if (end !== size((await artifacts(contract)).bytecode as Hex)) gaps.push(contract)
  }
  return {
    code: 'DAO_FACTORY',
    holds: gaps.length === 0,
    what: 'daoFactory has the whole creation code of each contract',
    found: gaps.length === 0 ? 'yes' : `not of ${gaps.join(', ')}`,
  }
}
