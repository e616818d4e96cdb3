/** The type of a function description: sentences that are generated from calldata, so that they cannot differ from it. */
import type { Abi, Address, ContractFunctionArgs, ContractFunctionName } from 'viem'

import { type Kind, kinds, noEnd } from '../../approval.ts'
import { formatDeadline, formatDuration, formatTime } from '../format-time.ts'

/** The account that may call a function. */
export type CallerRole =
  /** `owner()` of the contract */
  | 'owner'
  /** `guardian()` of the contract, or its owner */
  | 'guardian'
  /** the timelock: the DAO itself */
  | 'dao'
  /** no fixed account: the function checks the caller's votes, offer or signature itself, or is permissionless */
  | 'anyone'

/** Describes one function of a contract. */
export interface FunctionDescription<args = readonly unknown[]> {
  /** Account that the contract accepts as caller. */
  readonly caller: CallerRole
  /** One sentence for each change that the call makes. */
  readonly describe: (args: args, context: DescriptionContext) => string | readonly string[]
  /** One sentence about what cannot be undone afterwards; absent if the owner can undo everything. */
  readonly irreversible?: string
  /** The command that makes this call, or in brackets the reason why no command does. */
  readonly command: string
}

/** Names and time for a description. */
export interface DescriptionContext {
  /** The chain's time in unix seconds; absent in texts that are stored, such as a proposal. */
  readonly now?: number
  /** Formats an address with its name, if it has one. */
  readonly name: (address: Address) => string
}

type WriteFunctionName<abi extends Abi> = ContractFunctionName<abi, 'nonpayable' | 'payable'>

/** One description for each function of an ABI that changes state; `call-descriptions.test.ts` finds a missing one. */
export type FunctionDescriptions<abi extends Abi> = {
  readonly [name in WriteFunctionName<abi>]?: FunctionDescription<
    ContractFunctionArgs<abi, 'nonpayable' | 'payable', name>
  >
}

/** Describes the execution deadline of a call. @param notAfter unix seconds */
export function describeDeadline(notAfter: number, { now }: DescriptionContext): string {
  return notAfter >= noEnd
    ? 'allow execution at any later time'
    : `revert the whole transaction if it is executed after ${formatDeadline(notAfter, now)}`
}

const kindNames: Record<Kind, string> = {
  osImage: 'base image',
  kmsMeasurement: 'KMS measurement',
  kmsDevice: 'KMS device',
  app: 'app',
  release: 'release',
  device: 'device',
  host: 'host',
  rootKey: 'root key',
  measurements: 'measurement set',
}

/** The name of a kind. @param number the kind's number in the contracts */
export function kindLabel(number: number): string {
  const kind = (Object.keys(kinds) as Kind[]).find((each) => kinds[each] === number)
  return kind === undefined ? `id of the unknown kind ${number}` : kindNames[kind]
}

/** Ids with their kind, for example `base image 0x…, 0x…`. */
export function formatIds(kind: number, ids: readonly string[]): string {
  return `${kindLabel(kind)} ${ids.join(', ')}`
}

const host = kinds.host

/** For hosts: ending or suspending a device id also affects the device ids that continue it. Empty for other kinds. */
export function describeEverywhere(kind: number): string {
  return kind === host ? ' and every device id that continues it' : ''
}

/** Describes the start of an approval. @param time unix seconds; 0 = after the activation delay */
export function describeStart(time: number, { now }: DescriptionContext): string {
  return time <= (now ?? 0)
    ? 'active after the activation delay of its kind'
    : `active from ${formatDeadline(time, now)}`
}

/** Describes the end of an approval. @param time unix seconds; 0 = no end */
export function describeEnd(time: number, { now }: DescriptionContext): string {
  return time === 0 ? 'without end time' : `until ${formatDeadline(time, now)}`
}

/** Describes until when a signature is valid. @param deadline unix seconds; values beyond year 275,000 mean "no end" */
export function describeValidity(deadline: number): string {
  return deadline >= noEnd ? 'valid without end' : `valid until ${formatTime(deadline)}`
}

export { formatDeadline, formatDuration, formatTime }
