/** What a call would do, read from its bytes and not from what someone says of it. */
import {
  type Abi,
  type AbiFunction,
  type Address,
  decodeFunctionData,
  encodeFunctionData,
  type Hex,
  size,
  slice,
  toFunctionSelector,
} from 'viem'

import * as abis from '../abi.ts'
import type { Call } from '../call.ts'
import type { Addresses } from '../deployments.ts'
import {
  governorDescriptions,
  timelockDescriptions,
  votesDescriptions,
} from './call-descriptions/dao.ts'
import {
  appDescriptions,
  daoFactoryDescriptions,
  hostBondsDescriptions,
  hostsDescriptions,
  imagesDescriptions,
  kmsAuthDescriptions,
  rootKeysDescriptions,
  verifierDescriptions,
} from './call-descriptions/kms.ts'
import { deadlineDescription } from './call-descriptions/registry.ts'
import type {
  CallerRole,
  DescriptionContext,
  FunctionDescription,
} from './call-descriptions/types.ts'

/** Contracts whose calls Assent has words for. */
export const describedContracts = {
  AssentGovernor: { abi: abis.assentGovernorAbi, descriptions: governorDescriptions },
  TimelockController: { abi: abis.timelockControllerAbi, descriptions: timelockDescriptions },
  AssentVotes: { abi: abis.assentVotesAbi, descriptions: votesDescriptions },
  KmsAuth: { abi: abis.kmsAuthAbi, descriptions: kmsAuthDescriptions },
  App: { abi: abis.appAbi, descriptions: appDescriptions },
  Hosts: { abi: abis.hostsAbi, descriptions: hostsDescriptions },
  RootKeys: { abi: abis.rootKeysAbi, descriptions: rootKeysDescriptions },
  QuoteVerifier: { abi: abis.quoteVerifierAbi, descriptions: verifierDescriptions },
  Images: { abi: abis.imagesAbi, descriptions: imagesDescriptions },
  HostBonds: { abi: abis.hostBondsAbi, descriptions: hostBondsDescriptions },
  DaoFactory: { abi: abis.daoFactoryAbi, descriptions: daoFactoryDescriptions },
} as const

export type ContractType = keyof typeof describedContracts

const typesInDeployments: Readonly<Record<string, ContractType>> = {
  governor: 'AssentGovernor',
  timelock: 'TimelockController',
  votes: 'AssentVotes',
  kmsAuth: 'KmsAuth',
  hosts: 'Hosts',
  rootKeys: 'RootKeys',
  quoteVerifier: 'QuoteVerifier',
  images: 'Images',
  hostBonds: 'HostBonds',
  daoFactory: 'DaoFactory',
}

/** Who is who: addresses that have a name, and the contracts among them. */
export interface AddressBook {
  readonly names: ReadonlyMap<string, string>
  readonly types: ReadonlyMap<string, ContractType>
}

/** Another DAO than that of the deployment, as an app may have. */
export interface AppDao {
  readonly governor: Address
  readonly timelock: Address
  readonly token: Address
}

/** Who else is known beside the contracts of a deployment. */
export interface KnownContracts {
  /** Addresses that are known to be apps. */
  readonly apps?: readonly Address[]
  /** The token of `hostBonds`. */
  readonly bondToken?: Address | undefined
  readonly dao?: AppDao | undefined
}

export function addressBook(
  addresses: Addresses,
  { apps = [], bondToken, dao }: KnownContracts = {},
): AddressBook {
  const key = (address: string) => address.toLowerCase()
  const names = new Map<string, string>([
    ...(bondToken === undefined ? [] : [[key(bondToken), 'bond token'] as const]),
    ...Object.entries(addresses).map(([name, address]) => [key(address), name] as const),
    ...apps.map((app) => [key(app), 'app'] as const),
  ])
  const types = new Map<string, ContractType>(apps.map((app) => [key(app), 'App']))
  if (dao !== undefined) {
    names.set(key(dao.governor), 'governor of the app’s DAO')
    names.set(key(dao.timelock), 'timelock of the app’s DAO')
    names.set(key(dao.token), 'votes of the app’s DAO')
    types.set(key(dao.governor), 'AssentGovernor')
    types.set(key(dao.timelock), 'TimelockController')
    types.set(key(dao.token), 'AssentVotes')
  }
  // an ERC-20 is all that is asked of it
  if (bondToken !== undefined) types.set(key(bondToken), 'AssentVotes')
  for (const [name, address] of Object.entries(addresses)) {
    const type = typesInDeployments[name]
    if (type !== undefined) types.set(key(address), type)
  }
  return { names, types }
}

/** One call in words. */
export interface CallDescription {
  readonly to: Address
  /** The contract's name, or undefined for a stranger. */
  readonly contract: ContractType | undefined
  readonly functionName: string | undefined
  readonly caller: CallerRole
  /** What it does, a sentence each. */
  readonly effects: readonly string[]
  /** What cannot be undone afterwards. */
  readonly irreversible: string | undefined
}

export function describeCall(
  book: AddressBook,
  call: Pick<Call, 'to' | 'data' | 'value'>,
  now?: number,
): CallDescription {
  const contract = book.types.get(call.to.toLowerCase())
  const context: DescriptionContext = {
    ...(now === undefined ? {} : { now }),
    name: (address) => nameOf(book, address),
  }
  const decoded = contract === undefined ? undefined : decode(contract, call.data)
  if (contract === undefined || decoded === undefined) return describeUnknownCall(call, contract)
  const { description, functionName, args } = decoded
  const effects = description.describe(args, context)
  return {
    to: call.to,
    contract,
    functionName,
    caller: description.caller,
    effects: [...(typeof effects === 'string' ? [effects] : effects), ...describeValue(call)],
    irreversible: description.irreversible,
  }
}

/** `timelock (0x…)`, or the address alone. */
export function nameOf({ names }: AddressBook, address: Address): string {
  const name = names.get(address.toLowerCase())
  return name === undefined ? address : `${name} (${address})`
}

/** What a call decides, apart from until when it may be decided; that beside it. */
export function withoutDeadline(
  { types }: AddressBook,
  { to, data, value = 0n }: Pick<Call, 'to' | 'data' | 'value'>,
): { readonly decides: string; readonly notAfter: number | undefined } {
  const contract = types.get(to.toLowerCase())
  const decoded = contract === undefined ? undefined : decode(contract, data)
  const inputs = decoded === undefined ? [] : decoded.inputs
  const at = inputs.findIndex(({ name }) => name === 'notAfter')
  const rest = at < 0 || decoded === undefined ? data : decoded.args.filter((_, i) => i !== at)
  const decides = [to.toLowerCase(), slice(data, 0, Math.min(4, size(data))), rest, value]
  return {
    decides: JSON.stringify(decides, (_, each) => (typeof each === 'bigint' ? `${each}` : each)),
    notAfter: at < 0 || decoded === undefined ? undefined : Number(decoded.args[at]),
  }
}

function decode(contract: ContractType, data: Hex) {
  const { abi, descriptions } = describedContracts[contract] as unknown as {
    abi: Abi
    descriptions: Record<string, FunctionDescription | undefined>
  }
  try {
    const { functionName, args } = decodeFunctionData({ abi, data })
    // bytes beyond the arguments could be read by the contract, and not by us
    if (encodeFunctionData({ abi, functionName, args: args ?? [] }) !== data) return undefined
    const description =
      functionName === 'requireNotAfter'
        ? (deadlineDescription as FunctionDescription)
        : descriptions[functionName]
    if (description === undefined) return undefined
    // overloads have one name
    const { inputs } = abi.find(
      (item) => item.type === 'function' && data.startsWith(toFunctionSelector(item)),
    ) as AbiFunction
    return { description, functionName, args: args ?? [], inputs }
  } catch {
    return undefined
  }
}

/** A voter must notice what nobody can tell him the meaning of. */
function describeUnknownCall(
  call: Pick<Call, 'to' | 'data' | 'value'>,
  contract: ContractType | undefined,
): CallDescription {
  const what =
    contract === undefined
      ? 'a contract that is not part of this deployment'
      : `an unknown function of ${contract}`
  return {
    to: call.to,
    contract,
    functionName: undefined,
    caller: 'dao',
    effects: [`UNKNOWN: call ${what} with calldata ${call.data}`, ...describeValue(call)],
    irreversible: 'Assent cannot tell what this call does.',
  }
}

function describeValue({ value }: Pick<Call, 'value'>): string[] {
  return value === undefined || value === 0n ? [] : [`send ${value} wei with the call`]
}
