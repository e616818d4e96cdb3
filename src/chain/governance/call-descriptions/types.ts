/** What a function of a contract does, in words: read from calldata, so that nothing else can be signed. */
import type { Abi, Address, ContractFunctionArgs, ContractFunctionName } from 'viem'

import { type Kind, kinds } from '../../approval.ts'
import { formatDeadline, formatDuration, formatTime } from '../format-time.ts'

/** Who may call a function. */
export type CallerRole =
  /** `owner()` of the contract */
  | 'owner'
  /** `guardian()` of the contract, or its owner */
  | 'guardian'
  /** the timelock: the DAO itself */
  | 'dao'
  /** whoever holds what it is about: votes, an offer, a proof */
  | 'anyone'

export interface FunctionDescription<args = readonly unknown[]> {
  readonly caller: CallerRole
  /** One sentence, or one for each thing that changes. */
  readonly describe: (args: args, context: DescriptionContext) => string | readonly string[]
  /** What nobody can undo afterwards. */
  readonly irreversible?: string
  /** The command that does it; or, in brackets, why there is none. */
  readonly command: string
}

/** What the words need to know beside the arguments. */
export interface DescriptionContext {
  /** The chain's time; left out in texts that are read later. */
  readonly now?: number
  /** An address with its name, if it has one. */
  readonly name: (address: Address) => string
}

type WriteFunctionName<abi extends Abi> = ContractFunctionName<abi, 'nonpayable' | 'payable'>

/** A deed for each function that changes something; test/chain/call-descriptions.test.ts finds a missing one. */
export type FunctionDescriptions<abi extends Abi> = {
  readonly [name in WriteFunctionName<abi>]?: FunctionDescription<
    ContractFunctionArgs<abi, 'nonpayable' | 'payable', name>
  >
}

/** The last second that a contract can name. */
const never = 2 ** 40 - 1

/** What becomes of a decision that is carried out late. */
export function describeDeadline(notAfter: number, { now }: DescriptionContext): string {
  return notAfter >= never
    ? 'do it however late it is carried out'
    : `refuse all of it if it is carried out after ${formatDeadline(notAfter, now)}`
}

const kindNames: Record<Kind, string> = {
  osImage: 'OS image',
  kmsMeasurement: 'KMS measurement',
  kmsDevice: 'KMS device',
  app: 'app',
  release: 'release',
  device: 'device',
  host: 'host',
  rootKey: 'root key',
  measurements: 'measurements',
}

export function kindLabel(number: number): string {
  const kind = (Object.keys(kinds) as Kind[]).find((each) => kinds[each] === number)
  return kind === undefined ? `subject of the unknown kind ${number}` : kindNames[kind]
}

/** `OS image 0x…, 0x…` */
export function formatIds(kind: number, ids: readonly string[]): string {
  return `${kindLabel(kind)} ${ids.join(', ')}`
}

const host = kinds.host

/** What ends or stops a machine's approval also ends or stops that of the id under which it goes on. */
export function describeEverywhere(kind: number): string {
  return kind === host ? ', and the id under which such a machine goes on' : ''
}

/** 0 = at once, or when the activation delay of its kind is over. */
export function describeStart(time: number, { now }: DescriptionContext): string {
  return time <= (now ?? 0)
    ? 'as soon as its activation delay is over'
    : `from ${formatDeadline(time, now)}`
}

/** 0 = for ever */
export function describeEnd(time: number, { now }: DescriptionContext): string {
  return time === 0 ? 'without an end' : `until ${formatDeadline(time, now)}`
}

export { formatDeadline, formatDuration, formatTime }
