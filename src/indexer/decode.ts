/** Decodes logs by the ABI of the contract that emitted them. */
import { type AbiEvent, type AbiParameter, decodeEventLog, toEventSelector } from 'viem'

import type { Hex } from '../lib/bytes.ts'
import type { IndexedEvent } from './change.ts'
import { eventsOfRole, type Role } from './contracts/index.ts'
import type { ChainLog } from './read-chain.ts'

/** Events of each role by their first topic. */
const eventsByTopic = Object.fromEntries(
  Object.entries(eventsOfRole).map(([role, { abi }]) => [
    role,
    new Map(
      abi.flatMap((item) =>
        item.type === 'event' ? [[toEventSelector(item), item] as const] : [],
      ),
    ),
  ]),
) as unknown as Record<Role, ReadonlyMap<Hex, AbiEvent>>

/**
 * Decodes a log.
 *
 * @returns undefined for an event that is not in the ABI of the role, or that does not have its form: an app can have any
 *   code and can emit anything
 */
export function decodeLog(role: Role, log: ChainLog): IndexedEvent | undefined {
  const [topic, ...indexed] = log.topics
  const item = topic === undefined ? undefined : eventsByTopic[role].get(topic)
  if (topic === undefined || item === undefined) return undefined
  let args: Readonly<Record<string, unknown>>
  try {
    const topics: [Hex, ...Hex[]] = [topic, ...indexed]
    args = decodeEventLog({ abi: [item], topics, data: log.data, strict: true }).args ?? {}
  } catch {
    return undefined
  }
  return {
    name: item.name,
    args: inLowerCase(item.inputs, args) as Readonly<Record<string, unknown>>,
    contract: log.address,
    block: log.block,
    blockHash: log.blockHash,
    logIndex: log.logIndex,
    transaction: log.transaction,
    time: log.time,
  }
}

/** Arguments that say what an event is about, in the order in which they count. */
const subjects = ['id', 'deviceId', 'proposalId', 'appId', 'osImageHash', 'callDigest', 'to']
const accounts = ['holder', 'voter', 'delegate', 'delegator', 'account']

/** What an event is about; null if it is about the contract itself. */
export function subjectOf({ args }: IndexedEvent): string | null {
  const name = [...subjects, ...accounts].find((each) => args[each] !== undefined)
  return name === undefined ? null : String(args[name])
}

/** The same value with addresses in lower case. viem returns them with a checksum. */
function inLowerCase(parameters: readonly AbiParameter[], value: unknown): unknown {
  const members = value as Readonly<Record<string, unknown>>
  return Object.fromEntries(
    parameters.map((parameter, index) => {
      const name = parameter.name ?? String(index)
      return [name, lowerValue(parameter, members[name])]
    }),
  )
}

function lowerValue(parameter: AbiParameter, value: unknown): unknown {
  if (Array.isArray(value)) {
    const type = parameter.type.replace(/\[\d*\]$/, '')
    return value.map((each) => lowerValue({ ...parameter, type }, each))
  }
  if (parameter.type === 'address') return (value as string).toLowerCase()
  if ('components' in parameter) return inLowerCase(parameter.components, value)
  return value
}
