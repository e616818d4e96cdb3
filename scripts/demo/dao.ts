/** A DAO on a development chain with two voters and a guardian. Votes take no real time, because the chain's clock is moved. */
import { rm } from 'node:fs/promises'

import hre from 'hardhat'
import { encodeFunctionData, parseEther, type TransactionReceipt } from 'viem'

import { assentVotesAbi } from '../../src/chain/abi.ts'
import { type Call, type Clients, sendCall } from '../../src/chain/call.ts'
import { delegate, execute, propose, queue, vote } from '../../src/chain/governance/governance.ts'
import { type Addresses, deploymentFile } from '../../src/chain/record/deployments.ts'
import { compiledSources } from '../../src/deploy/contract-sources.ts'
import { type DaoRules, deploy, standardHostRules } from '../../src/deploy/deploy.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import type { DevChain } from './chain.ts'

export interface Dao {
  readonly addresses: Addresses & Required<Pick<Addresses, 'quoteVerifier' | 'hosts' | 'rootKeys'>>
  /** The accounts of the demo, by role. */
  readonly people: Record<Part, Clients>
  /** Proposes, votes, queues and executes `calls` in one proposal. */
  decide(calls: readonly Call[], description: string): Promise<Decision>
  /** Proposes `calls`, and waits until voting starts. Returns the proposal's id. */
  open(calls: readonly Call[], description: string): Promise<bigint>
}

export interface Decision {
  readonly proposalId: bigint
  readonly executed: TransactionReceipt
  /** Time from the proposal to its execution on the chain's clock, in seconds. */
  readonly seconds: number
}

const parts = ['deployer', 'alice', 'bob', 'guardian', 'anyone', 'relayer', 'operator'] as const
type Part = (typeof parts)[number]

/** Index of the relayer's development account. */
export const relayerAccount = parts.indexOf('relayer')

const minute = 60
const supply = parseEther('1000')

/** Short times in seconds, so that the collateral is valid until the end of the demo. A real DAO uses days. */
const times = { votingDelay: minute, votingPeriod: 60 * minute, timelockDelay: 5 * minute }

/**
 * Deploys Assent with its DAO and delegates the votes of both token holders.
 *
 * @param root root of trust for quotes on this chain: a root certificate in DER
 * @param recordFolder folder for the deployment record; the record of an earlier demo is replaced
 */
export async function createDemoDao(
  chain: DevChain,
  root: Uint8Array,
  recordFolder: string,
): Promise<Dao> {
  const people = Object.fromEntries(
    parts.map((part, index) => [
      part,
      { publicClient: chain.client, walletClient: chain.wallet(index) },
    ]),
  ) as unknown as Record<Part, Clients>
  const address = (part: Part) => people[part].walletClient.account.address

  const rules: DaoRules = {
    ...times,
    token: { name: 'Demo votes', symbol: 'DEMO', holder: address('alice'), supply },
    proposalThreshold: 1n,
    quorumPercent: 50,
    lateQuorumExtension: minute,
    guardian: address('guardian'),
    suspension: 86_400,
  }
  const { artifact, storage, commit, compiler } = compiledSources(hre)
  // the chain is new, so a record of an earlier demo is of another chain
  await rm(deploymentFile(recordFolder, chain.chain.id), { force: true })
  const addresses = await deploy({
    ...people.deployer,
    artifacts: artifact,
    storage,
    rules,
    record: { folder: recordFolder, commit, compiler },
    // Hardhat's node has only the last 256 block hashes
    attestation: { root, hosts: { ...standardHostRules, window: 255 } },
  })
  const { quoteVerifier, hosts, rootKeys } = addresses
  if (!quoteVerifier || !hosts || !rootKeys) throw new TypeError('Not deployed.')

  await sendCall(people.alice, transferVotes(addresses.votes, address('bob'), (supply * 2n) / 5n))
  await delegate(people.alice, addresses.votes, address('alice'))
  await delegate(people.bob, addresses.votes, address('bob'))
  // the governor counts the votes of the second before the proposal
  await chain.advanceTime(2)

  const { governor } = addresses
  const open = async (calls: readonly Call[], description: string) => {
    const { id } = await propose(people.alice, governor, calls, description)
    await chain.advanceTime(times.votingDelay + 1)
    return id
  }
  return {
    addresses: { ...addresses, quoteVerifier, hosts, rootKeys },
    people,
    open,
    async decide(calls, description) {
      const start = chain.clock()
      const id = await open(calls, description)
      await vote(people.alice, governor, id, 'for')
      await vote(people.bob, governor, id, 'for')
      await chain.advanceTime(times.votingPeriod + minute)
      await queue(people.anyone, governor, id)
      await chain.advanceTime(times.timelockDelay + 1)
      const executed = await execute(people.anyone, governor, id)
      await chain.advanceTime(1)
      return { proposalId: id, executed, seconds: chain.clock() - start }
    },
  }
}

function transferVotes(votes: Hex, to: Hex, amount: bigint): Call {
  return {
    to: votes,
    data: encodeFunctionData({
      abi: assentVotesAbi,
      functionName: 'transfer',
      args: [to, amount],
    }),
    summary: `transfer a part of the votes to ${to}`,
  }
}
