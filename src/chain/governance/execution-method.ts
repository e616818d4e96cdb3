/** Who may make a call: the account itself, a DAO, or somebody else whose calls can only be printed. */
import {
  type Abi,
  type Address,
  concat,
  type Hex,
  keccak256,
  numberToHex,
  type PublicClient,
  parseAbi,
  type StateOverride,
  zeroAddress,
} from 'viem'

import { AssentError } from '../../errors/index.ts'
import { type Call, revertData, toChainError } from '../call.ts'
import type { CallDescription } from './describe-call.ts'

const ownedAbi = parseAbi([
  'function owner() view returns (address)',
  'function pendingOwner() view returns (address)',
  'function guardian() view returns (address)',
])

/** Who decides about a contract. */
export interface ContractOwner {
  readonly owner: Address
  readonly pendingOwner: Address
  readonly guardian: Address
}

/** @throws CALL_REVERTED if nobody owns it in the usual way, CHAIN_UNREACHABLE */
export async function readContractOwner(
  client: PublicClient,
  contract: Address,
): Promise<ContractOwner> {
  const ask = (functionName: 'owner' | 'pendingOwner' | 'guardian') =>
    client.readContract({
      address: contract,
      abi: ownedAbi as Abi,
      functionName,
    }) as Promise<Address>
  try {
    const [owner, pendingOwner, guardian] = await Promise.all([
      ask('owner'),
      ask('pendingOwner'),
      // bonds have none
      ask('guardian').catch((cause: unknown) => {
        if (revertData(cause) === undefined) throw cause
        return zeroAddress
      }),
    ])
    return { owner, pendingOwner, guardian }
  } catch (cause) {
    throw toChainError(cause, `read who owns ${contract}`)
  }
}

/** How calls can be carried out by this account. */
export type ExecutionMethod = 'send' | 'propose'

export interface CallerContext {
  readonly account: Address | undefined
  /** The DAO's timelock, in whose name proposals are carried out. */
  readonly timelock: Address
}

/**
 * Sends what the account may do itself, proposes what the DAO may do.
 *
 * @throws AUTHORITY_MISSING naming who could
 */
export async function chooseExecutionMethod(
  client: PublicClient,
  calls: readonly { call: Call; description: CallDescription }[],
  caller: CallerContext,
): Promise<ExecutionMethod> {
  const methods = await Promise.all(
    calls.map(({ call, description }) => executionMethodOf(client, call, description, caller)),
  )
  if (methods.every((each) => each === 'either' || each === 'send')) return 'send'
  if (methods.every((each) => each === 'either' || each === 'propose')) return 'propose'
  throw new AssentError('AUTHORITY_MISSING', 'These calls have different owners.', {
    facts: { calls: calls.map(({ call }, i) => `${call.to}: ${methods[i]}`) },
    hint: 'Carry them out one after another, or print them with --via calldata.',
  })
}

async function executionMethodOf(
  client: PublicClient,
  call: Call,
  { caller, functionName }: CallDescription,
  { account, timelock }: CallerContext,
): Promise<ExecutionMethod | 'either'> {
  if (caller === 'dao') return 'propose'
  if (caller === 'anyone' && functionName !== 'acceptOwnership') return 'either'
  const contractOwner = await readContractOwner(client, call.to)
  const entitled =
    functionName === 'acceptOwnership'
      ? [contractOwner.pendingOwner]
      : caller === 'guardian'
        ? [contractOwner.owner, contractOwner.guardian]
        : [contractOwner.owner]
  if (account !== undefined && entitled.some((each) => isSame(each, account))) return 'send'
  // a suspension that has to be voted on is none: whoever wants it says so
  if (caller !== 'guardian' && entitled.some((each) => isSame(each, timelock))) return 'propose'
  throw new AssentError(
    'AUTHORITY_MISSING',
    `Only ${entitled.join(' or ')} may do this: ${call.summary}.`,
    {
      facts: { contract: call.to, account, entitled, timelock },
    },
  )
}

/** Whether a contract can only be changed through `owner`. @throws AUTHORITY_MISSING */
export async function requireOwner(
  client: PublicClient,
  calls: readonly { call: Call; description: CallDescription }[],
  owner: Address,
): Promise<void> {
  for (const { call, description } of calls) {
    if (description.caller === 'anyone' || description.contract === undefined) continue
    if (description.caller === 'dao') continue
    const contractOwner = await readContractOwner(client, call.to)
    const found =
      description.caller === 'guardian'
        ? [contractOwner.owner, contractOwner.guardian]
        : [contractOwner.owner]
    if (found.some((each) => isSame(each, owner))) continue
    throw new AssentError('AUTHORITY_MISSING', `${call.to} does not obey ${owner}.`, {
      facts: { contract: call.to, entitled: found, given: owner },
    })
  }
}

/** By whom, and where what. */
export interface SimulationContext {
  /** Who would carry it out. */
  readonly account: Address
  /** The governor that would be told of each call to itself, if a DAO decides. */
  readonly governor?: Address
  /** What would be there by then. */
  readonly stateOverride?: StateOverride
}

/**
 * Tries each call in the name of who would carry it out.
 *
 * @throws PROPOSAL_WOULD_FAIL with the contract's reason
 */
export async function requireCallsSucceed(
  client: PublicClient,
  calls: readonly Call[],
  { account, governor, stateOverride = [] }: SimulationContext,
): Promise<void> {
  for (const { to, data, value = 0n, summary } of calls) {
    const isToGovernor = governor !== undefined && isSame(to, governor)
    const override = isToGovernor ? [...stateOverride, expecting(to, data)] : stateOverride
    try {
      await client.call({ account, to, data, value, stateOverride: override })
    } catch (cause) {
      const error = toChainError(cause, summary)
      if (error.code !== 'CALL_REVERTED') throw error
      throw new AssentError('PROPOSAL_WOULD_FAIL', `${error.message}`, {
        cause: error,
        facts: { to, ...error.facts },
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      })
    }
  }
}

/** OpenZeppelin's Governor, `_governanceCall`: a queue, its begin and end in one word, and the mapping of what is in it. */
const governanceCall = 5n

/** A governor obeys its timelock only in calls that it has itself put into this queue, as it does while it executes. */
function expecting(governor: Address, data: Hex): StateOverride[number] {
  const word = (value: bigint) => numberToHex(value, { size: 32 })
  const first = keccak256(concat([word(0n), word(governanceCall + 1n)]))
  return {
    address: governor,
    stateDiff: [
      // from 0 to 1
      { slot: word(governanceCall), value: word(1n << 128n) },
      { slot: first, value: keccak256(data) },
    ],
  }
}

function isSame(a: Address, b: Address): boolean {
  return a !== zeroAddress && a.toLowerCase() === b.toLowerCase()
}
