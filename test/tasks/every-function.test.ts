/** Every function that changes state has a description, and a command or a reason why there is none. */
import { type Abi, encodeFunctionData, type Hex, toFunctionSignature } from 'viem'
import { describe, expect, test } from 'vitest'

import { publishedContracts } from '../../scripts/package/published-artifacts.ts'
import {
  type AddressBook,
  type ContractType,
  describeCall,
  describedContracts,
} from '../../src/chain/governance/describe-call.ts'
import { loadCommands } from '../../src/commands/groups.ts'

/** Published contracts without descriptions, and the reason. */
const unexplained: Readonly<Record<string, string>> = {
  CollateralStore: 'a part of QuoteVerifier, never deployed alone',
  ApprovalRegistry: 'a part of every registry, never deployed alone',
  RenounceableUpgrades: 'a part of every registry, never deployed alone',
  AssentVotesWrapper:
    'a token like any other: any wallet or voting front end deposits and takes back',
  Heartbeat: 'only relayers call it, and what they post decides nothing',
}

const here: Hex = `0x${'11'.repeat(20)}`

function writes(abi: Abi) {
  return abi.filter(
    (item) =>
      item.type === 'function' &&
      (item.stateMutability === 'nonpayable' || item.stateMutability === 'payable'),
  ) as Extract<Abi[number], { type: 'function' }>[]
}

type Parameter = { readonly type: string; readonly components?: readonly Parameter[] }

/** Some value of a type: what the words say of it does not matter, that they can be said does. */
function sample({ type, components = [] }: Parameter): unknown {
  const array = /^(.*)\[\d*\]$/.exec(type)
  if (array?.[1] !== undefined) return [sample({ type: array[1], components })]
  if (type === 'tuple') return components.map((each) => sample(each)).reduce(nameBy(components), {})
  if (type === 'address') return here
  if (type === 'bool') return true
  if (type === 'string') return 'text'
  if (type === 'bytes') return '0x1234'
  const bytes = /^bytes(\d+)$/.exec(type)?.[1]
  if (bytes !== undefined) return `0x${'ab'.repeat(Number(bytes))}`
  const bits = Number(/^uint(\d+)$/.exec(type)?.[1])
  return bits <= 48 ? 1 : 1n
}

function nameBy(components: readonly Parameter[]) {
  return (all: object, value: unknown, i: number) => ({
    ...all,
    [(components[i] as { name?: string }).name ?? i]: value,
  })
}

const commands = new Set((await loadCommands()).map(({ path }) => path.join(' ')))

describe.each(Object.entries(describedContracts))(
  'the description of the contract %s',
  (name, { abi, descriptions }) => {
    const book: AddressBook = { names: new Map(), types: new Map([[here, name as ContractType]]) }

    test.each(writes(abi).map((item) => [toFunctionSignature(item), item] as const))(
      'exists for the function %s',
      (_, item) => {
        const description = (descriptions as Record<string, { command: string } | undefined>)[
          item.name
        ]
        const args = item.inputs.map((input) => sample(input as Parameter))
        const data = encodeFunctionData({ abi: [item], functionName: item.name, args })
        const { effects, functionName } = describeCall(book, { to: here, data }, 1_000)

        expect(description, 'it has no description').toBeDefined()
        expect(functionName).toBe(item.name)
        expect(effects.join()).not.toMatch(/UNKNOWN|undefined|NaN|\[object/)
        const command = description?.command ?? ''
        if (command.startsWith('[')) expect(command).toMatch(/^\[.{20,}\]$/)
        else expect(commands, `there is no command ${command}`).toContain(command)
      },
    )
  },
)

test('every published contract with state-changing functions has descriptions', async () => {
  const contracts = await publishedContracts()
  const missing = contracts
    .filter(({ abi }) => writes(abi).length > 0)
    .map(({ name }) => name)
    .filter((name) => !(name in describedContracts) && !(name in unexplained))

  expect(missing).toEqual([])
})

test('calldata with extra bytes after its arguments gets the description UNKNOWN', () => {
  const book: AddressBook = { names: new Map(), types: new Map([[here, 'KmsAuth']]) }
  const data = encodeFunctionData({
    abi: describedContracts.KmsAuth.abi,
    functionName: 'addKmsDevice',
    args: [`0x${'d1'.repeat(32)}`],
  })

  expect(describeCall(book, { to: here, data }).functionName).toBe('addKmsDevice')
  const { functionName, effects } = describeCall(book, { to: here, data: `${data}00` })
  expect(functionName).toBeUndefined()
  expect(effects.join()).toContain('UNKNOWN')
  expect(describeCall(book, { to: `0x${'22'.repeat(20)}`, data }).effects.join()).toContain(
    'not part of this deployment',
  )
})
