/** A DAO with all registries on anvil, for simulations and for the real execution afterwards. */

import hre from 'hardhat'
import { type Abi, type EIP1193Provider, encodeFunctionData, http, parseEther } from 'viem'
import { appAbi, erc1967ProxyAbi } from '../../../src/chain/abi.ts'
import { noEnd } from '../../../src/chain/approval.ts'
import { type Call, sendCall, waitForReceipt } from '../../../src/chain/call.ts'
import { addressBook } from '../../../src/chain/governance/describe-call.ts'
import {
  executeCall,
  propose,
  queueCall,
  timelockDelay,
  vote,
} from '../../../src/chain/governance/governance.ts'
import { type ProposalFacts, readProposal } from '../../../src/chain/governance/proposals.ts'
import { deployAndRegisterApp, deployedApp } from '../../../src/chain/registries/registry.ts'
import { openBlockState } from '../../../src/chain/simulate/block-state.ts'
import { LocalChain } from '../../../src/chain/simulate/local-chain.ts'
import {
  type ProposalSimulation,
  simulateProposal,
} from '../../../src/chain/simulate/simulate-proposal.ts'
import { standardHostRules } from '../../../src/deploy/deploy.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { type Anvil, startAnvil } from '../../anvil.ts'
import { syntheticRoot } from '../../synthetic.ts'
import { createDao, type Dao, hardhatArtifacts } from '../dao.ts'

/** No execution deadline. */
export const never = noEnd

/** A 32-byte id of one repeated byte. */
export const idOf = (byte: string): Hex => `0x${byte.repeat(32)}`

export interface LocalDao extends Dao {
  readonly anvil: Anvil
  /** An app that belongs to the DAO. */
  readonly app: Hex
  deploy(contract: string, args?: readonly unknown[]): Promise<Hex>
  /** A proxy for an implementation, with its initializer. */
  deployProxy(implementation: Hex, initializer: Hex): Promise<Hex>
}

export async function createLocalDao(): Promise<LocalDao> {
  const anvil = await startAnvil({ args: ['--chain-id', '31337'] })
  const { request } = http(anvil.url)({ retryCount: 0 })
  const artifacts = hardhatArtifacts(hre)
  const dao = await createDao({
    provider: { request } as unknown as EIP1193Provider,
    artifacts,
    mode: 'anvil',
    attestation: { root: syntheticRoot, hosts: standardHostRules },
  })
  const { deployer } = dao.clients
  const deploy = async (contract: string, args: readonly unknown[] = []): Promise<Hex> => {
    const { abi, bytecode } = await artifacts(contract)
    const hash = await deployer.walletClient.deployContract({
      abi,
      bytecode: bytecode as Hex,
      args,
    })
    const { contractAddress } = await waitForReceipt(dao.publicClient, hash)
    return contractAddress?.toLowerCase() as Hex
  }
  const created = await sendCall(
    deployer,
    deployAndRegisterApp(dao.addresses.kmsAuth, { owner: dao.addresses.timelock }),
  )
  await deployer.walletClient.sendTransaction({
    to: dao.addresses.timelock,
    value: parseEther('1'),
  })
  return {
    ...dao,
    anvil,
    app: deployedApp(created).toLowerCase() as Hex,
    deploy,
    deployProxy: async (implementation, initializer) => {
      const { bytecode } = await artifacts('ERC1967Proxy')
      const hash = await deployer.walletClient.deployContract({
        abi: erc1967ProxyAbi as Abi,
        bytecode: bytecode as Hex,
        args: [implementation, initializer],
      })
      return (await waitForReceipt(dao.publicClient, hash)).contractAddress as Hex
    },
  }
}

/** What a transaction did on the chain. */
export interface RealExecution {
  readonly succeeded: boolean
  readonly revertData: Hex
  readonly gasUsed: bigint
  readonly logs: readonly { address: Hex; topics: readonly Hex[]; data: Hex }[]
  /** Storage words that the transaction changed, as `address_slot`. */
  readonly changed: readonly string[]
}

/** Sends a call in a block with this time, also if it reverts. */
async function sendAt(
  { anvil, clients }: LocalDao,
  { to, data }: Pick<Call, 'to' | 'data'>,
  timestamp: number,
): Promise<RealExecution> {
  await anvil.client.setNextBlockTimestamp({ timestamp: BigInt(timestamp) })
  const { walletClient, publicClient } = clients.stranger
  const hash = await walletClient.sendTransaction({ to, data, gas: 16_000_000n })
  const receipt = await waitForReceipt(publicClient, hash)
  const trace = (tracer: string, tracerConfig: object = {}) =>
    anvil.client.request({
      method: 'debug_traceTransaction',
      params: [hash, { tracer, tracerConfig }],
    } as never) as Promise<never>
  const { output = '0x' } = (await trace('callTracer')) as { output?: Hex }
  const diff = (await trace('prestateTracer', { diffMode: true })) as Record<
    'pre' | 'post',
    Record<Hex, { storage?: Record<Hex, Hex> }>
  >
  const keys = (side: 'pre' | 'post') =>
    Object.entries(diff[side]).flatMap(([address, { storage = {} }]) =>
      Object.keys(storage).map((slot) => `${address.toLowerCase()}_${slot}`),
    )
  return {
    succeeded: receipt.status === 'success',
    revertData: receipt.status === 'success' ? '0x' : output,
    gasUsed: receipt.gasUsed,
    logs: receipt.logs.map(({ address, topics, data: bytes }) => ({
      address: address.toLowerCase() as Hex,
      topics: topics as readonly Hex[],
      data: bytes,
    })),
    changed: [...new Set([...keys('pre'), ...keys('post')])].sort(),
  }
}

/** Proposes calls as the voter, and simulates the proposal on a local copy of the newest block. */
export async function proposeAndSimulate(dao: LocalDao, calls: readonly Call[], text: string) {
  const { addresses, publicClient, app, clients } = dao
  const { id } = await propose(clients.voter, addresses.governor, calls, text)
  const chain = await LocalChain.open(await openBlockState(publicClient))
  const before = await chain.fork()
  const facts = await readProposal(publicClient, addresses.governor, id)
  const simulation = await simulateProposal(chain, facts, {
    dao: addresses,
    book: addressBook(addresses, { apps: [app] }),
    timelockDelay: await timelockDelay(publicClient, addresses.timelock),
  })
  return { chain, before, facts, simulation }
}

/** Votes for a proposal in the first second of the vote, and queues it at the time of its simulation. */
export async function voteAndQueue(
  dao: LocalDao,
  { id, voteStart }: Pick<ProposalFacts, 'id' | 'voteStart'>,
  { queuedAt = 0 }: Pick<ProposalSimulation, 'queuedAt'>,
): Promise<RealExecution> {
  const { governor } = dao.addresses
  await dao.anvil.client.setNextBlockTimestamp({ timestamp: BigInt(voteStart + 1) })
  await dao.anvil.client.mine({ blocks: 1 })
  await vote(dao.clients.voter, governor, id, 'for')
  return sendAt(dao, queueCall(governor, id), queuedAt)
}

/** Executes a queued proposal at the time of its simulation. */
export async function executeQueued(
  dao: LocalDao,
  { id }: Pick<ProposalFacts, 'id'>,
  { executedAt }: Pick<ProposalSimulation, 'executedAt'>,
): Promise<RealExecution> {
  return sendAt(dao, executeCall(dao.addresses.governor, id), executedAt)
}

/** Calldata of any function of an app. */
export function appData(functionName: string, args: readonly unknown[]): Hex {
  return encodeFunctionData({ abi: appAbi as Abi, functionName, args: args as unknown[] })
}
