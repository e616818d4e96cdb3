/** Decides how calls are made: sent by the account, or proposed to a DAO. */
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

/** Owner, pending owner and guardian of a contract. The zero address means nobody. */
export interface ContractOwner {
  /** Account that can change the contract. */
  readonly owner: Address
  /** Account that can accept the ownership. */
  readonly pendingOwner: Address
  /** Account that can suspend approvals. */
  readonly guardian: Address
}

/**
 * Reads owner, pending owner and guardian of a contract.
 *
 * @throws CALL_REVERTED if the contract has no `owner()` and `pendingOwner()`, CHAIN_UNREACHABLE
 */
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
      // HostBonds has no guardian
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

/** The way in which an account makes calls: it sends them, or proposes them to its DAO. */
export type ExecutionMethod = 'send' | 'propose'

/** The account that signs and the DAO that it can propose to. */
export interface CallerContext {
  /** Undefined if no key is configured; then nothing can be sent. */
  readonly account: Address | undefined
  /** The DAO's timelock, which executes proposals. */
  readonly timelock: Address
}

/**
 * Chooses `send` if the account is allowed to make all calls, and `propose` if the DAO is.
 *
 * @throws AUTHORITY_MISSING with the accounts that are allowed, CHAIN_UNREACHABLE
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
    hint: 'Run one task for each owner, or export the calls with --via calldata.',
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
  // a suspension by vote is too slow to be chosen by itself; --via propose asks for it
  if (caller !== 'guardian' && entitled.some((each) => isSame(each, timelock))) return 'propose'
  throw new AssentError(
    'AUTHORITY_MISSING',
    `Only ${entitled.join(' or ')} is allowed to ${call.summary}.`,
    {
      facts: { contract: call.to, account, entitled, timelock },
    },
  )
}

/** Checks that `owner` is allowed to make all calls. @throws AUTHORITY_MISSING, CHAIN_UNREACHABLE */
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
    throw new AssentError('AUTHORITY_MISSING', `${owner} is not the owner of ${call.to}.`, {
      facts: { contract: call.to, entitled: found, given: owner },
    })
  }
}

/** The sender and state of a simulation. */
export interface SimulationContext {
  /** The account that would make the calls. */
  readonly account: Address
  /** The governor, if a DAO decides: it accepts calls to itself only while it executes them. */
  readonly governor?: Address
  /** Contracts that will exist at execution time but do not exist yet. */
  readonly stateOverride?: StateOverride
}

/**
 * Simulates each call as the account that would make it.
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

/** Storage slot of `_governanceCall` in OpenZeppelin's Governor: a queue with begin and end in one word, then a mapping. */
const governanceCall = 5n

/** Puts a call into the governor's queue, as `execute` does: the governor accepts calls to itself only from this queue. */
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
