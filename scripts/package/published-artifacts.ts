/** The compiled contracts that Assent publishes: ours, and what it deploys of OpenZeppelin's. */
import hre from 'hardhat'
import type { Abi } from 'viem'

import type { Hex } from '../../src/lib/bytes.ts'

export interface PublishedContract {
  readonly name: string
  readonly abi: Abi
  readonly bytecode: Hex
}

/** Interfaces that others implement; of the rest the contract says all that its interface says. */
const keptInterfaces = new Set(['IAppAuth'])

/** Sorted by name; without contracts of tests and without libraries that nobody can call. */
export async function publishedContracts(): Promise<PublishedContract[]> {
  const names = [...(await hre.artifacts.getAllFullyQualifiedNames())].filter(
    (name) => !/^(contracts\/test|test)\//.test(name),
  )
  const all = await Promise.all(names.map((name) => hre.artifacts.readArtifact(name)))
  return all
    .map(({ contractName, abi, bytecode }) => ({
      name: contractName,
      abi: abi as Abi,
      bytecode: bytecode as Hex,
    }))
    .filter(({ name }) => keptInterfaces.has(name) || !/^I[A-Z][a-z]/.test(name))
    .filter(({ abi }) =>
      abi.some((item) => item.type === 'function' || item.type === 'constructor'),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}
