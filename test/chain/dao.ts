/** A deployed Assent with a DAO of short rules, on Hardhat's in-process chain or any other. */
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import {
  type Account,
  type Address,
  type Chain,
  createPublicClient,
  createTestClient,
  createWalletClient,
  custom,
  type EIP1193Provider,
  type PublicClient,
  parseEther,
  type Transport,
  type WalletClient,
} from 'viem'
import { hardhat } from 'viem/chains'
import type { Call, Clients } from '../../src/chain/call.ts'
import { delegate, execute, propose, queue, vote } from '../../src/chain/governance/governance.ts'
import type { Addresses } from '../../src/chain/record/deployments.ts'
import {
  type Artifact,
  type AttestationRules,
  type DaoRules,
  deploy,
} from '../../src/deploy/deploy.ts'

export interface Dao {
  readonly addresses: Addresses
  readonly publicClient: PublicClient
  /** Deployer, voter, guardian, app owner, stranger. */
  readonly clients: People
  /** Lets the chain's clock run on. */
  readonly pass: (seconds: number) => Promise<void>
  /** Proposes, votes, queues and executes. */
  readonly decide: (calls: readonly Call[], description: string) => Promise<void>
}

export const daoTimes = {
  votingDelay: 10,
  votingPeriod: 100,
  timelockDelay: 50,
  suspension: 86_400,
}

export function hardhatArtifacts(
  hre: Pick<HardhatRuntimeEnvironment, 'artifacts'>,
): (contract: string) => Promise<Artifact> {
  return async (contract) => {
    const { abi, bytecode, linkReferences } = await hre.artifacts.readArtifact(contract)
    return { abi, bytecode, linkReferences }
  }
}

export interface DaoOptions {
  readonly provider: EIP1193Provider
  readonly artifacts: (contract: string) => Promise<Artifact>
  readonly mode: 'hardhat' | 'anvil'
  readonly attestation?: AttestationRules
}

export type People = Record<'deployer' | 'voter' | 'guardian' | 'owner' | 'stranger', Clients>

/** Five of the node's own accounts. */
export async function connect(provider: EIP1193Provider): Promise<People> {
  const transport = custom(provider, { retryCount: 0 })
  const publicClient = createPublicClient({
    chain: hardhat,
    transport,
    pollingInterval: 20,
  }) as PublicClient
  const accounts = (await provider.request({ method: 'eth_accounts' })) as readonly Address[]
  const as = (index: number): Clients => ({
    publicClient,
    walletClient: createWalletClient({
      account: accounts[index] as Address,
      chain: hardhat,
      transport,
    }) as unknown as WalletClient<Transport, Chain, Account>,
  })
  return { deployer: as(0), voter: as(1), guardian: as(2), owner: as(3), stranger: as(4) }
}

export async function createDao({
  provider,
  artifacts,
  mode,
  attestation,
}: DaoOptions): Promise<Dao> {
  const clients = await connect(provider)
  const { publicClient } = clients.deployer
  const transport = custom(provider, { retryCount: 0 })
  const testClient = createTestClient({ chain: hardhat, transport, mode })
  const addresses = await deploy({
    ...clients.deployer,
    artifacts,
    rules: testRules(clients.voter, clients.guardian),
    ...(attestation === undefined ? {} : { attestation }),
  })
  await delegate(clients.voter, addresses.votes, clients.voter.walletClient.account.address)
  const pass = async (seconds: number) => {
    await testClient.increaseTime({ seconds })
    await testClient.mine({ blocks: 1 })
  }
  // a proposer's votes are those of the second before
  await pass(2)

  const decide = async (calls: readonly Call[], description: string) => {
    const { governor } = addresses
    const { id } = await propose(clients.voter, governor, calls, description)
    await pass(daoTimes.votingDelay + 1)
    await vote(clients.voter, governor, id, 'for')
    await pass(daoTimes.votingPeriod + 1)
    await queue(clients.stranger, governor, id)
    await pass(daoTimes.timelockDelay + 1)
    await execute(clients.stranger, governor, id)
  }
  return { addresses, publicClient, clients, pass, decide }
}

export function testRules(voter: Clients, guardian: Clients): DaoRules {
  return {
    token: {
      name: 'Assent votes',
      symbol: 'VOTE',
      holder: voter.walletClient.account.address,
      supply: parseEther('1000'),
    },
    votingDelay: daoTimes.votingDelay,
    votingPeriod: daoTimes.votingPeriod,
    proposalThreshold: 1n,
    quorumPercent: 4,
    lateQuorumExtension: 20,
    timelockDelay: daoTimes.timelockDelay,
    suspension: daoTimes.suspension,
    guardian: guardian.walletClient.account.address,
  }
}

/** The current time of the chain. */
export async function chainTime(client: PublicClient): Promise<number> {
  return Number((await client.getBlock()).timestamp)
}
