import { readdir, readFile } from 'node:fs/promises'

import { validateDescriptor } from '@erc7730/sdk'
import { type Abi, type AbiFunction, decodeFunctionData, toFunctionSelector } from 'viem'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import {
  type ClearSigningDescriptor,
  clearSigningFiles,
  clearSigningOf,
} from '../../../src/chain/governance/clear-signing.ts'
import {
  type ContractType,
  describedContracts,
} from '../../../src/chain/governance/describe-call.ts'
import { supports, type VoteChoice, voteCall } from '../../../src/chain/governance/governance.ts'
import type { Hex } from '../../../src/lib/bytes.ts'

const governor: Hex = `0x${'11'.repeat(20)}`
const at = [{ chainId: 1, address: governor }]
const types = Object.keys(describedContracts) as ContractType[]
const files = clearSigningFiles(Object.fromEntries(types.map((type) => [type, at])))

const plain = { path: z.string().min(1), label: z.string().min(1) }
/** The fields of ERC-7730 that these descriptors use, each with the parameters that its format needs. */
const field = z.discriminatedUnion('format', [
  z.strictObject({ ...plain, format: z.enum(['raw', 'addressName', 'duration']) }),
  z.strictObject({
    ...plain,
    format: z.literal('unit'),
    params: z.strictObject({ base: z.literal('wei') }),
  }),
  z.strictObject({
    ...plain,
    format: z.literal('date'),
    params: z.strictObject({ encoding: z.literal('timestamp') }),
  }),
  z.strictObject({
    ...plain,
    format: z.literal('enum'),
    params: z.strictObject({ $ref: z.string() }),
  }),
  z.strictObject({
    ...plain,
    format: z.literal('calldata'),
    params: z.strictObject({ calleePath: z.string() }),
  }),
])

describe('a clear-signing descriptor', () => {
  test.each(Object.entries(files))('is accepted by the SDK: %s', (name, descriptor) => {
    const { errors } = validateDescriptor(descriptor)
    expect([name, errors]).toEqual([name, []])
  })

  test.each(types)('has a format for each described function with named arguments: %s', (type) => {
    const { abi, descriptions } = describedContracts[type] as unknown as {
      abi: Abi
      descriptions: Record<string, unknown>
    }
    const { formats } = clearSigningOf(type).display
    const selectors = new Set(Object.keys(formats).map((each) => toFunctionSelector(each)))
    const missing = abi
      .filter((item): item is AbiFunction => item.type === 'function')
      .filter(
        ({ name, inputs }) => descriptions[name] !== undefined && inputs.every((each) => each.name),
      )
      .filter((item) => !selectors.has(toFunctionSelector(item)))
    expect(missing.map(({ name }) => name)).toEqual([])
  })

  test.each(types)('names only paths that its ABI has, and shows every value: %s', (type) => {
    const { context, display } = clearSigningOf(type)
    const { abi } = context.contract as { abi: readonly AbiFunction[] }
    for (const [signature, { fields, required }] of Object.entries(display.formats)) {
      const item = abi.find((each) => toFunctionSelector(each) === toFunctionSelector(signature))
      const leaves = leavesOf(item?.inputs ?? [], '')
      expect([signature, fields.map(({ path }) => path)]).toEqual([signature, leaves])
      expect(required).toEqual(leaves)
    }
  })

  test.each(Object.entries(files))(
    'refers only to enums that it has: %s',
    (_, { metadata, display }) => {
      for (const { fields } of Object.values(display.formats)) {
        for (const { format, params } of fields.map((each) => ({
          ...each,
          ...field.parse(each),
        }))) {
          if (format !== 'enum') continue
          const name = /^\$\.metadata\.enums\.(\w+)$/.exec(params?.$ref ?? '')?.[1] ?? ''
          expect(Object.keys(metadata.enums)).toContain(name)
        }
      }
    },
  )

  test.each(Object.keys(supports) as VoteChoice[])('shows a vote %s in words', (choice) => {
    const descriptor = clearSigningOf('AssentGovernor', at)
    const { data } = voteCall(governor, 7n, choice, 'because')
    expect(shown(descriptor, data)).toMatchObject({
      Vote: choice.slice(0, 1).toUpperCase() + choice.slice(1),
      'Proposal id': '7',
    })
  })

  test('says what cannot be undone', () => {
    const { formats } = clearSigningOf('KmsAuth').display
    expect(formats['revoke(uint8,bytes32[])']?.intent).toBe('Revoke (cannot be undone)')
    expect(formats['suspend(uint8,bytes32[])']?.intent).toBe('Suspend')
  })

  test('is the file in deploy/erc7730', async () => {
    const folder = new URL('../../../deploy/erc7730/', import.meta.url)
    const written = clearSigningFiles()
    expect((await readdir(folder)).sort()).toEqual(Object.keys(written).sort())
    for (const [name, descriptor] of Object.entries(written)) {
      expect(JSON.parse(await readFile(new URL(name, folder), 'utf8'))).toEqual(
        JSON.parse(JSON.stringify(descriptor)),
      )
    }
  })
})

interface Parameter {
  readonly name?: string | undefined
  readonly type: string
  readonly components?: readonly Parameter[] | undefined
}

function leavesOf(inputs: readonly Parameter[], prefix: string): string[] {
  return inputs.flatMap(({ name, type, components }) => {
    const path = `${prefix}${name}${type.endsWith('[]') ? '.[]' : ''}`
    return components === undefined ? [path] : leavesOf(components, `${path}.`)
  })
}

/** The labels and values that a wallet shows, by the rules of ERC-7730 for enums and plain values. */
function shown({ context, metadata, display }: ClearSigningDescriptor, data: Hex) {
  const { abi } = context.contract as { abi: readonly AbiFunction[] }
  const item = abi.find((each) => data.startsWith(toFunctionSelector(each))) as AbiFunction
  const { args = [] } = decodeFunctionData({ abi: [item], data })
  const [, format] = Object.entries(display.formats).find(
    ([signature]) => toFunctionSelector(signature) === toFunctionSelector(item),
  ) as [string, ClearSigningDescriptor['display']['formats'][string]]
  return Object.fromEntries(
    format.fields.map(({ path, label, params }) => {
      const value = String(args[item.inputs.findIndex(({ name }) => name === path)])
      const name = params?.$ref?.split('.').at(-1)
      return [label, name === undefined ? value : metadata.enums[name]?.[value]]
    }),
  )
}
