/**
 * Finds the proposal that gave an approval, in the receipt of the approval's transaction.
 *
 * Anyone may execute a proposal, through a contract of their own that emits any event before and after it. So only two
 * governors are asked: the recorded one, and the one that the recorded factory created for the registry's owner. Their
 * timelock says in its own event which call it made. Every other address decides nothing.
 */
import {
  type Address,
  encodeAbiParameters,
  isAddressEqual,
  keccak256,
  type Log,
  type PublicClient,
  parseAbiParameters,
  parseEventLogs,
  type TransactionReceipt,
} from 'viem'

import {
  assentGovernorAbi,
  daoFactoryAbi,
  kmsAuthAbi,
  timelockControllerAbi,
} from '../chain/abi.ts'
import type { Kind } from '../chain/approval.ts'
import { revertData, toChainError } from '../chain/call.ts'
import { type ProposalFacts, readProposal } from '../chain/governance/proposals.ts'
import { historyOf } from '../chain/rpc/history.ts'
import type { Hex } from '../lib/bytes.ts'

/** The DAO of a deployment, and the factory of further DAOs. */
export interface KnownGovernance {
  readonly governor: Address
  readonly timelock: Address
  readonly daoFactory: { readonly address: Address; readonly block: bigint } | undefined
}

/** An approval in one registry. */
export interface ApprovalRef {
  readonly registry: Address
  readonly kind: Kind
  readonly id: Hex
}

/** The vote behind an approval. Votes in smallest units. */
export interface DecidingVote {
  readonly governor: Address
  readonly proposal: bigint
  readonly proposer: Address
  readonly votes: { readonly for: bigint; readonly against: bigint; readonly abstain: bigint }
}

interface Dao {
  readonly governor: Address
  readonly timelock: Address
}

/**
 * The executed proposal one of whose calls gave the approval.
 *
 * @param logIndex of the approval's event in the receipt
 * @returns undefined if no known governor executed such a proposal
 * @throws CHAIN_UNREACHABLE
 */
export async function findVote(
  client: PublicClient,
  approval: ApprovalRef,
  { logs, logIndex }: { logs: TransactionReceipt['logs']; logIndex: number },
  known: KnownGovernance,
): Promise<DecidingVote | undefined> {
  const after = logs.filter((log) => log.logIndex > logIndex)
  for (const dao of await daosOf(client, approval.registry, after, known)) {
    const operation = operationOf(after, approval, dao)
    if (operation === undefined) continue
    for (const id of executedBy(after, dao)) {
      const { state, calls, descriptionHash, proposer, votes } = await readProposal(
        client,
        dao.governor,
        id,
      )
      if (state !== 'executed') continue
      if (operationId(dao.governor, calls, descriptionHash) !== operation) continue
      return { governor: dao.governor, proposal: id, proposer, votes }
    }
  }
  return undefined
}

/** The DAO of the deployment, and the DAO that the factory created as the owner of the registry. */
async function daosOf(
  client: PublicClient,
  registry: Address,
  logs: readonly Log[],
  { governor, timelock, daoFactory }: KnownGovernance,
): Promise<Dao[]> {
  const recorded = { governor, timelock }
  const owner = await ownerOf(client, registry)
  const isForeign = owner !== undefined && !isAddressEqual(owner, timelock)
  const spoke = logs.some(({ address }) => owner !== undefined && isAddressEqual(address, owner))
  if (!isForeign || !spoke || daoFactory === undefined) return [recorded]
  const created = await historyOf(client, daoFactory.address, daoFactory.block, {
    abi: daoFactoryAbi,
    events: ['DaoCreated'],
    args: { timelock: owner },
  })
  const daos = parseEventLogs({ abi: daoFactoryAbi, eventName: 'DaoCreated', logs: created })
  const own = daos.filter(({ args }) => isAddressEqual(args.timelock, owner))
  return [recorded, ...own.map(({ args }) => ({ governor: args.governor, timelock: owner }))]
}

/** undefined: the registry says none. A registry of strangers may revert. */
async function ownerOf(client: PublicClient, registry: Address): Promise<Address | undefined> {
  try {
    return await client.readContract({ address: registry, abi: kmsAuthAbi, functionName: 'owner' })
  } catch (cause) {
    if (revertData(cause) !== undefined) return undefined
    throw toChainError(cause, `read the owner of ${registry}`)
  }
}

/**
 * The operation whose call gave the approval. A timelock logs each call right after it, so it is the first one after the
 * approval. It must call this registry and name this id: an approval by another account can come before it.
 */
function operationOf(
  after: readonly Log[],
  { registry, kind, id }: ApprovalRef,
  { timelock }: Dao,
): Hex | undefined {
  const [call] = parseEventLogs({
    abi: timelockControllerAbi,
    eventName: 'CallExecuted',
    logs: after.filter(({ address }) => isAddressEqual(address, timelock)),
  })
  if (call === undefined || !isAddressEqual(call.args.target, registry)) return undefined
  const named = kind === 'app' ? id.slice(-40) : id.slice(2)
  return call.args.data.toLowerCase().includes(named.toLowerCase()) ? call.args.id : undefined
}

function executedBy(after: readonly Log[], { governor }: Dao): bigint[] {
  const own = after.filter(({ address }) => isAddressEqual(address, governor))
  const events = parseEventLogs({
    abi: assentGovernorAbi,
    eventName: 'ProposalExecuted',
    logs: own,
  })
  return events.map(({ args }) => args.proposalId)
}

/** The timelock's id of a proposal: `hashOperationBatch`, with the salt of OpenZeppelin's GovernorTimelockControl. */
function operationId(governor: Address, calls: ProposalFacts['calls'], descriptionHash: Hex): Hex {
  const salt = BigInt(descriptionHash) ^ (BigInt(governor) << 96n)
  return keccak256(
    encodeAbiParameters(parseAbiParameters('address[], uint256[], bytes[], bytes32, bytes32'), [
      calls.map(({ to }) => to),
      calls.map(({ value }) => value ?? 0n),
      calls.map(({ data }) => data),
      `0x${'00'.repeat(32)}`,
      `0x${salt.toString(16).padStart(64, '0')}`,
    ]),
  )
}
