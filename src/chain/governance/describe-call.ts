/** Describes calls from their calldata, so that a description cannot differ from the call. */
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

import { escapeText } from '../../lib/printable.ts'
import * as abis from '../abi.ts'
import { noEnd } from '../approval.ts'
import type { Call } from '../call.ts'
import type { Addresses } from '../record/deployments.ts'
import {
  governorDescriptions,
  timelockDescriptions,
  votesDescriptions,
} from './call-descriptions/dao.ts'
import {
  appSignersDescriptions,
  assentValidatorDescriptions,
  instancesDescriptions,
} from './call-descriptions/instances.ts'
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
import { requestsDescriptions } from './call-descriptions/requests.ts'
import type {
  CallerRole,
  DescriptionContext,
  FunctionDescription,
} from './call-descriptions/types.ts'

/** Contract types whose calls Assent can describe, with their ABIs and descriptions. */
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
  Instances: { abi: abis.instancesAbi, descriptions: instancesDescriptions },
  AppSigners: { abi: abis.appSignersAbi, descriptions: appSignersDescriptions },
  AssentValidator: { abi: abis.assentValidatorAbi, descriptions: assentValidatorDescriptions },
  Requests: { abi: abis.requestsAbi, descriptions: requestsDescriptions },
} as const

/** A contract type that Assent can describe. */
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
  instances: 'Instances',
  appSigners: 'AppSigners',
  requests: 'Requests',
}

/** Names and contract types of known addresses, by address in lower case. */
export interface AddressBook {
  /** Name for people, for example `timelock`. */
  readonly names: ReadonlyMap<string, string>
  /**
   * Contract behind the address, which decides how calldata is decoded. Only the deployment record and known apps fill
   * it, never a proposal.
   */
  readonly types: ReadonlyMap<string, ContractType>
}

/** The DAO of an app, in addition to the DAO of the deployment. */
export interface AppDao {
  /** Counts the votes of the app's DAO. */
  readonly governor: Address
  /** Owner of the app. */
  readonly timelock: Address
  /** Votes token of the app's DAO. */
  readonly token: Address
}

/** Known contracts in addition to those of a deployment. */
export interface KnownContracts {
  /** Addresses of apps with Assent's code. */
  readonly apps?: readonly Address[]
  /** The token of `hostBonds`. */
  readonly bondToken?: Address | undefined
  /** The DAO that owns the app; undefined if an account owns it. */
  readonly dao?: AppDao | undefined
}

/** The address book of a deployment, with further known contracts. */
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
  // the bond token is any ERC-20 token, whose functions AssentVotes also has
  if (bondToken !== undefined) types.set(key(bondToken), 'AssentVotes')
  for (const [name, address] of Object.entries(addresses)) {
    const type = typesInDeployments[name]
    if (type !== undefined) types.set(key(address), type)
  }
  return { names, types }
}

/** The description of one call. */
export interface CallDescription {
  /** Target, checksummed. */
  readonly to: Address
  /** The contract type, or undefined for an unknown contract. */
  readonly contract: ContractType | undefined
  /** Undefined if the target or the function is not known. */
  readonly functionName: string | undefined
  /** Account that is allowed to make the call. */
  readonly caller: CallerRole
  /** One sentence for each effect. */
  readonly effects: readonly string[]
  /** What cannot be undone afterwards, or undefined. */
  readonly irreversible: string | undefined
}

/**
 * Describes a call from its calldata. An unknown contract or function gives the effect `UNKNOWN: …`.
 *
 * @param now the chain's time in unix seconds; without it, times have no distance to now
 * @example
 * const { effects } = describeCall(addressBook(addresses), call)
 */
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
  const effects = [description.describe(args, context)].flat()
  return {
    to: call.to,
    contract,
    functionName,
    caller: description.caller,
    // descriptions quote text from calldata; this keeps one effect on one line if one of them does not
    effects: [...effects.map(escapeText), ...describeValue(call)],
    irreversible: description.irreversible,
  }
}

/** An address with its name, for example `timelock (0x…)`, or the address alone. */
export function nameOf({ names }: AddressBook, address: Address): string {
  const name = names.get(address.toLowerCase())
  return name === undefined ? address : `${name} (${address})`
}

/** Separates the execution deadline of a call from the rest, to compare calls that differ only in it. */
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

/** Functions with an execution deadline, by selector. */
const functionsWithDeadline = new Map<string, AbiFunction>(
  Object.values(describedContracts).flatMap(({ abi }) =>
    (abi as Abi).flatMap((item) =>
      item.type === 'function' && item.inputs.some(({ name }) => name === 'notAfter')
        ? [[toFunctionSelector(item), item] as const]
        : [],
    ),
  ),
)

/**
 * The earliest execution deadline in calls, in unix seconds; undefined: no deadline. It needs no address book: a function
 * of another contract with the same selector has the same arguments.
 */
export function deadlineOf(calls: readonly Pick<Call, 'data'>[]): number | undefined {
  const deadlines = calls.flatMap(({ data }) => {
    const item = functionsWithDeadline.get(data.slice(0, 10))
    if (item === undefined) return []
    try {
      const { args = [] } = decodeFunctionData({ abi: [item], data })
      return [Number(args[item.inputs.findIndex(({ name }) => name === 'notAfter')])]
    } catch {
      return []
    }
  })
  const earliest = Math.min(...deadlines)
  return earliest < noEnd ? earliest : undefined
}

function decode(contract: ContractType, data: Hex) {
  const { abi, descriptions } = describedContracts[contract] as unknown as {
    abi: Abi
    descriptions: Record<string, FunctionDescription | undefined>
  }
  try {
    const { functionName, args } = decodeFunctionData({ abi, data })
    // a contract could read extra bytes after the arguments, which the description does not cover
    if (encodeFunctionData({ abi, functionName, args: args ?? [] }) !== data) return undefined
    const description =
      functionName === 'requireNotAfter'
        ? (deadlineDescription as FunctionDescription)
        : descriptions[functionName]
    if (description === undefined) return undefined
    // overloaded functions share a name
    const { inputs } = abi.find(
      (item) => item.type === 'function' && data.startsWith(toFunctionSelector(item)),
    ) as AbiFunction
    return { description, functionName, args: args ?? [], inputs }
  } catch {
    return undefined
  }
}

/** A voter must notice a call that Assent cannot describe. */
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
