/** A DAO on a development chain: two voters, a guardian, and a clock that makes a vote take no time. */
import hre from 'hardhat'
import { encodeFunctionData, parseEther, type TransactionReceipt } from 'viem'

import { assentVotesAbi } from '../../src/chain/abi.ts'
import { type Call, type Clients, sendCall } from '../../src/chain/call.ts'
import type { Addresses } from '../../src/chain/deployments.ts'
import { delegate, execute, propose, queue, vote } from '../../src/chain/governance/governance.ts'
import { type DaoRules, deploy, standardHostRules } from '../../src/deploy/deploy.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import type { DevChain } from './chain.ts'

export interface Dao {
  readonly addresses: Addresses & Required<Pick<Addresses, 'quoteVerifier' | 'hosts' | 'rootKeys'>>
  /** Everyone in the story, by part. */
  readonly people: Record<Part, Clients>
  /** Proposes, votes, queues and executes `calls` as one decision. */
  decide(calls: readonly Call[], description: string): Promise<Decision>
}

export interface Decision {
  readonly proposalId: bigint
  readonly executed: TransactionReceipt
  /** From the proposal to its execution, on the chain's clock. */
  readonly seconds: number
}

const parts = ['deployer', 'alice', 'bob', 'guardian', 'passerby', 'relayer', 'operator'] as const
type Part = (typeof parts)[number]

/** Which development account is the relayer's. */
export const relayerAccount = parts.indexOf('relayer')

const minute = 60
const supply = parseEther('1000')

/** Short, so that collateral with days to live outlasts the story; a real DAO takes days for each. */
const times = { votingDelay: minute, votingPeriod: 10 * minute, timelockDelay: 5 * minute }

/**
 * Deploys Assent, hands it to its DAO, and lets both token holders vote.
 *
 * @param root whose quotes count on this chain: a root certificate, DER
 */
export async function foundDao(chain: DevChain, root: Uint8Array): Promise<Dao> {
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
  const addresses = await deploy({
    ...people.deployer,
    artifacts: (contract) => hre.artifacts.readArtifact(contract),
    rules,
    // Hardhat's node knows the last 256 block hashes only
    attestation: { root, hosts: { ...standardHostRules, window: 255 } },
  })
  const { quoteVerifier, hosts, rootKeys } = addresses
  if (!quoteVerifier || !hosts || !rootKeys) throw new TypeError('Not deployed.')

  await sendCall(people.alice, transferVotes(addresses.votes, address('bob'), (supply * 2n) / 5n))
  await delegate(people.alice, addresses.votes, address('alice'))
  await delegate(people.bob, addresses.votes, address('bob'))
  // the governor counts the votes of the second before a proposal
  await chain.pass(2)

  return {
    addresses: { ...addresses, quoteVerifier, hosts, rootKeys },
    people,
    async decide(calls, description) {
      const start = chain.clock()
      const { governor } = addresses
      const { id } = await propose(people.alice, governor, calls, description)
      await chain.pass(times.votingDelay + 1)
      await vote(people.alice, governor, id, 'for')
      await vote(people.bob, governor, id, 'for')
      await chain.pass(times.votingPeriod + minute)
      await queue(people.passerby, governor, id)
      await chain.pass(times.timelockDelay + 1)
      const executed = await execute(people.passerby, governor, id)
      await chain.pass(1)
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
    summary: `give ${to} part of the votes`,
  }
}
