/**
 * Clear-signing descriptors (ERC-7730): with them a wallet shows a call or a vote in words before it is signed.
 *
 * They are generated from the ABIs and from the tables of the call descriptions, so a new function gets its descriptor
 * with its description. Source: https://eips.ethereum.org/EIPS/eip-7730
 */
import { type Abi, type AbiFunction, type AbiParameter, type Address, getAddress } from 'viem'

import { type Kind, kinds } from '../kinds.ts'
import { teeVariants } from '../tee-variants.ts'
import { onChainStatuses } from './call-descriptions/kms.ts'
import type { FunctionDescription } from './call-descriptions/types.ts'
import { kindLabel } from './call-descriptions/types.ts'
import { type ContractType, describedContracts } from './describe-call.ts'
import { supports } from './governance.ts'
import { ballotDomain, ballotTypes } from './proposals.ts'

/** One value that a wallet shows. */
export interface ClearSigningField {
  /** Path of the value in the calldata, such as `ids.[]` (ERC-7730, "path references"). */
  readonly path: string
  /** Label of the value on the wallet's screen. */
  readonly label: string
  /** How the wallet formats the value (ERC-7730, "field formats"). */
  readonly format: 'raw' | 'addressName' | 'unit' | 'date' | 'duration' | 'enum' | 'calldata'
  /** Parameters of the format, such as the enum or the unit. */
  readonly params?: Readonly<Record<string, string>>
}

/** The text of a wallet for one function or typed message. */
export interface ClearSigningFormat {
  /** Purpose of the function, in a few words. */
  readonly intent: string
  /** In the order of the arguments. */
  readonly fields: readonly ClearSigningField[]
  /** Paths that the wallet must show. */
  readonly required: readonly string[]
}

/** Chain and address of a contract. */
export interface ClearSigningDeployment {
  readonly chainId: number
  readonly address: Address
}

/** A descriptor, as in its file. */
export interface ClearSigningDescriptor {
  /** URL of the ERC-7730 JSON schema. */
  readonly $schema: string
  /** The contract or EIP-712 domain that the descriptor is for, with deployments. */
  readonly context: Readonly<Record<string, unknown>>
  /** Owner and the enums that fields refer to. */
  readonly metadata: {
    readonly owner: string
    readonly enums: Readonly<Record<string, Readonly<Record<string, string>>>>
  }
  /** Formats by function signature. */
  readonly display: { readonly formats: Readonly<Record<string, ClearSigningFormat>> }
}

const schemaUrl = 'https://eips.ethereum.org/assets/eip-7730/erc7730-v1.schema.json'

const byNumber = (names: readonly string[]) =>
  Object.fromEntries(names.map((name, number) => [String(number), name]))

const capital = (text: string) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`

/** Words for numbers, by the Solidity type or by the name of the parameter. */
const enums = {
  Kind: byNumber((Object.keys(kinds) as Kind[]).map((kind) => capital(kindLabel(kinds[kind])))),
  TcbStatus: byNumber(onChainStatuses),
  TeeVariant: byNumber(teeVariants),
  vote: byNumber(
    Object.entries(supports)
      .sort(([, a], [, b]) => a - b)
      .map(([choice]) => capital(choice)),
  ),
} as const

/**
 * The descriptor of a contract type.
 *
 * @param deployments where contracts of this type are; a wallet uses the descriptor for these only
 * @example
 * clearSigningOf('AssentGovernor', [{ chainId: 1, address: governor }])
 */
export function clearSigningOf(
  type: ContractType,
  deployments: readonly ClearSigningDeployment[] = [],
): ClearSigningDescriptor {
  const { abi, descriptions } = describedContracts[type] as unknown as {
    abi: Abi
    descriptions: Readonly<Record<string, FunctionDescription | undefined>>
  }
  const functions = abi.filter(
    // a field has a path only through names; receivers of tokens have parameters without, and nobody signs them
    (item): item is AbiFunction =>
      item.type === 'function' &&
      descriptions[item.name] !== undefined &&
      item.inputs.every(({ name }) => name !== undefined && name !== ''),
  )
  const formats = Object.fromEntries(
    functions.map((item): [string, ClearSigningFormat] => {
      const fields = item.inputs.flatMap((input) => fieldsOf(input, item.inputs, ''))
      const intent = intentOf(item.name, descriptions[item.name]?.irreversible)
      return [signatureOf(item), { intent, fields, required: fields.map(({ path }) => path) }]
    }),
  )
  return {
    $schema: schemaUrl,
    context: {
      $id: `Assent ${type}`,
      contract: {
        abi: functions,
        deployments: deployments.map(({ chainId, address }) => ({
          chainId,
          address: getAddress(address),
        })),
      },
    },
    metadata: { owner: 'Assent', enums },
    display: { formats },
  }
}

/** The descriptor of a signed vote (EIP-712). @param deployments the governors */
export function clearSigningOfBallot(
  deployments: readonly ClearSigningDeployment[] = [],
): ClearSigningDescriptor {
  const inputs = ballotTypes.Ballot
  const fields = inputs.flatMap((input) => fieldsOf(input, inputs, ''))
  const format = { intent: 'Vote', fields, required: fields.map(({ path }) => path) }
  const eip712Domain = [
    { name: 'name', type: 'string' },
    { name: 'version', type: 'string' },
    { name: 'chainId', type: 'uint256' },
    { name: 'verifyingContract', type: 'address' },
  ]
  return {
    $schema: schemaUrl,
    context: {
      $id: 'Assent vote',
      eip712: {
        domain: ballotDomain,
        deployments,
        schemas: [
          { primaryType: 'Ballot', types: { EIP712Domain: eip712Domain, Ballot: [...inputs] } },
        ],
      },
    },
    metadata: { owner: 'Assent', enums },
    display: { formats: { Ballot: format } },
  }
}

/** All descriptors by file name. @param deployments by contract type */
export function clearSigningFiles(
  deployments: Readonly<Partial<Record<ContractType, readonly ClearSigningDeployment[]>>> = {},
): Record<string, ClearSigningDescriptor> {
  const types = Object.keys(describedContracts) as ContractType[]
  return Object.fromEntries([
    ...types.map((type) => [`calldata-${type}.json`, clearSigningOf(type, deployments[type])]),
    ['eip712-Ballot.json', clearSigningOfBallot(deployments.AssentGovernor)],
  ])
}

/** The name of a function in words, for example `Set activation delay`. */
function intentOf(functionName: string, irreversible: string | undefined): string {
  if (functionName.startsWith('castVote')) return 'Vote'
  const words = functionName.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase()
  return `${capital(words)}${irreversible === undefined ? '' : ' (cannot be undone)'}`
}

/** `approve((uint8,bytes32)[],uint40)` */
function signatureOf({ name, inputs }: AbiFunction): string {
  return `${name}(${inputs.map(typeOf).join(',')})`
}

function typeOf(parameter: AbiParameter): string {
  if (!parameter.type.startsWith('tuple')) return parameter.type
  const { components } = parameter as { components: readonly AbiParameter[] }
  return `(${components.map(typeOf).join(',')})${parameter.type.slice('tuple'.length)}`
}

interface Parameter {
  readonly name?: string | undefined
  readonly type: string
  readonly internalType?: string | undefined
  /** Members of a struct. */
  readonly components?: readonly Parameter[] | undefined
}

/** The fields of a parameter: one, or one for each member of a struct; `[]` stands for each element of a list. */
function fieldsOf(
  parameter: Parameter,
  siblings: readonly Parameter[],
  prefix: string,
): ClearSigningField[] {
  const isList = parameter.type.endsWith('[]')
  const own = parameter.name ?? ''
  const path = `${prefix}${own}${isList ? '.[]' : ''}`
  if (parameter.type.startsWith('tuple')) {
    const { components = [] } = parameter
    return components.flatMap((member) => fieldsOf(member, components, `${path}.`))
  }
  return [{ path, label: labelOf(own), ...formatOf(parameter, siblings, prefix) }]
}

function labelOf(name: string): string {
  if (name === 'support') return 'Vote'
  const words = name
    .replace(/^_/, '')
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
  return /^\d+$/.test(words) ? `Value ${words}` : capital(words)
}

const dateNames = /^(notAfter|activeFrom|expiresAt|until|from|deadline|expiry|attestedSince)$/
const durationNames =
  /(Delay|Period|delay|suspension|Suspension|Lifetime|extension|Extension|Time|notice)$/

function formatOf(
  { name = '', type, internalType = '' }: Parameter,
  siblings: readonly Parameter[],
  prefix: string,
): Pick<ClearSigningField, 'format' | 'params'> {
  const base = type.replace('[]', '')
  const named = Object.keys(enums).find((each) =>
    new RegExp(`enum (\\w+\\.)?${each}(\\[\\])?$`).test(internalType),
  )
  if (named !== undefined) return { format: 'enum', params: { $ref: `$.metadata.enums.${named}` } }
  if (name === 'support') return { format: 'enum', params: { $ref: '$.metadata.enums.vote' } }
  if (base === 'address') return { format: 'addressName' }
  const callee = siblings.find((each) => /^targets?$/.test(each.name ?? ''))
  if (base === 'bytes' && callee !== undefined && /^(calldatas|payloads?|data)$/.test(name)) {
    const list = callee.type.endsWith('[]') ? '.[]' : ''
    return { format: 'calldata', params: { calleePath: `${prefix}${callee.name}${list}` } }
  }
  if (/^uint/.test(base) && callee !== undefined && /^values?$/.test(name)) {
    return { format: 'unit', params: { base: 'wei' } }
  }
  if (/^uint/.test(base) && dateNames.test(name)) {
    return { format: 'date', params: { encoding: 'timestamp' } }
  }
  if (/^uint/.test(base) && durationNames.test(name)) return { format: 'duration' }
  return { format: 'raw' }
}
