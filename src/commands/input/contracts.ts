/** Reads arguments that name a contract, and checks that such a contract is there. */
import type { Abi, Address, PublicClient } from 'viem'
import { appAbi, assentGovernorAbi } from '../../chain/abi.ts'
import { toChainError } from '../../chain/call.ts'
import { isOtherAnswer } from '../../chain/check/check.ts'
import { requireContract } from '../../chain/record/deployments.ts'
import { AssentError } from '../../errors/index.ts'
import type { Session } from '../session/session.ts'
import { readAddress } from './arguments.ts'
import { resolveApp } from './names.ts'

/**
 * The governor of `--governor`, of the profile, or of the deployment.
 *
 * @throws USAGE_INVALID, CONTRACT_MISSING, CONTRACT_MISMATCH if the contract is not a governor of Assent, CHAIN_UNREACHABLE
 */
export async function requireGovernor(
  { addresses, publicClient, profile }: Session,
  option: string | undefined,
): Promise<Address> {
  const named = option ?? profile.governor
  if (named === undefined) return addresses.governor
  const governor = readAddress(named, '--governor')
  await requireAnswer(publicClient, governor, {
    name: '--governor',
    abi: assentGovernorAbi,
    functionName: 'proposalCount',
    expected: 'a governor of Assent',
    hint: 'Pass the address of the governor that `assent dao create` printed.',
  })
  return governor
}

interface ExpectedContract {
  /** The option or argument that named the contract. */
  readonly name: string
  readonly abi: Abi
  /** A view function that only this type of contract has. */
  readonly functionName: string
  readonly args?: readonly unknown[]
  /** The type of contract, for the message. */
  readonly expected: string
  readonly hint?: string
}

/**
 * Checks that a contract is of the expected type: that it answers one of its functions.
 *
 * @throws CONTRACT_MISSING, CONTRACT_MISMATCH, CHAIN_UNREACHABLE
 */
export async function requireAnswer(
  client: PublicClient,
  address: Address,
  { name, abi, functionName, args = [], expected, hint }: ExpectedContract,
): Promise<void> {
  await requireContract(client, address, name)
  await client.readContract({ address, abi, functionName, args }).catch((cause: unknown) => {
    const error = toChainError(cause, `ask ${name} for ${functionName}`)
    if (error.code === 'CHAIN_UNREACHABLE' && !isOtherAnswer(cause)) throw error
    throw new AssentError('CONTRACT_MISMATCH', `${name}: ${address} is not ${expected}.`, {
      cause: error,
      facts: { name, address, expected, asked: functionName },
      ...(hint === undefined ? {} : { hint }),
    })
  })
}

/**
 * The app of `--app`, or of the profile.
 *
 * @throws USAGE_INVALID, NAME_UNKNOWN, NAME_AMBIGUOUS, CONTRACT_MISSING, CONTRACT_MISMATCH, CHAIN_UNREACHABLE
 */
export async function requireApp(session: Session, option: string | undefined): Promise<Address> {
  const text = option ?? session.profile.app
  if (text === undefined) {
    throw new AssentError('USAGE_INVALID', 'The option --app is missing.', {
      facts: { option: '--app' },
      hint: 'Pass --app, or set app in a profile of assent.toml.',
    })
  }
  const app = await resolveApp(session, text)
  await requireAnswer(session.publicClient, app, {
    name: 'app',
    abi: appAbi,
    functionName: 'noticePeriod',
    expected: 'an app of Assent',
    hint: 'Pass the app id that `assent app create` printed.',
  })
  return app
}

/** Contracts of a deployment that have an owner. */
export const ownedNames = ['kmsAuth', 'images', 'hosts', 'rootKeys', 'hostBonds'] as const

/** An owned contract by its name in the deployment. @throws USAGE_INVALID */
export function readContract({ addresses }: Session, text: string): Address {
  const name = ownedNames.find((each) => each === text)
  const address = name === undefined ? undefined : addresses[name]
  if (address !== undefined) return address
  throw new AssentError(
    'USAGE_INVALID',
    `contract: one of ${ownedNames.join(', ')}, if it is deployed.`,
    { facts: { found: text } },
  )
}

/** An address with code. @throws USAGE_INVALID, CONTRACT_MISSING, CHAIN_UNREACHABLE */
export async function readCode(session: Session, text: string, what: string): Promise<Address> {
  const address = readAddress(text, what)
  await requireContract(session.publicClient, address, what)
  return address
}
