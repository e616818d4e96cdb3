import fc from 'fast-check'
import { keccak256, toBytes } from 'viem'
import { describe, expect, test } from 'vitest'

import type { Call } from '../../../src/chain/call.ts'
import {
  safeBatch,
  safeChecksum,
  timelockOperation,
} from '../../../src/chain/governance/export-calls.ts'
import { proposalCall } from '../../../src/chain/governance/governance.ts'
import {
  areSameCalls,
  callsOfProposal,
  readExportedCalls,
} from '../../../src/chain/governance/read-exports.ts'
import type { Hex } from '../../../src/lib/bytes.ts'

const contract: Hex = `0x${'11'.repeat(20)}`
const hex = (bytes: Uint8Array): Hex => `0x${Buffer.from(bytes).toString('hex')}`
const someCalls = fc
  .array(
    fc.record({
      to: fc.uint8Array({ minLength: 20, maxLength: 20 }).map(hex),
      data: fc.uint8Array({ maxLength: 100 }).map(hex),
      value: fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((calls): Call[] => calls.map((each) => ({ ...each, summary: 'a test' })))

function exported(calls: readonly Call[]) {
  const raw = calls.map(({ to, data, value = 0n }) => ({ to, value: `${value}`, data }))
  const batch = safeBatch(calls, {
    chainId: 1,
    now: 5,
    name: 'A name',
    description: 'Words, "quoted"',
  })
  const { id, salt, schedule, execute } = timelockOperation(contract, calls, {
    delay: 60,
    reason: 'x',
  })
  const step = ({ to, data }: Call) => ({ to, value: '0', data })
  return {
    draft: { chainId: 1, calls: raw },
    safe: batch,
    timelock: {
      operation: id,
      salt,
      schedule: step(schedule),
      afterSeconds: 60,
      execute: step(execute),
    },
    calldata: raw,
  }
}

describe('an exported proposal in every format', () => {
  test('has exactly the calls that were exported', () => {
    fc.assert(
      fc.property(someCalls, (calls) => {
        for (const [form, json] of Object.entries(exported(calls))) {
          const found = readExportedCalls(JSON.parse(JSON.stringify(json)), 1)
          expect(found.form).toBe(form)
          expect(areSameCalls(found.calls, calls)).toBe(true)
        }
        const { data } = proposalCall(contract, calls, 'Text')
        expect(areSameCalls(callsOfProposal(data), calls)).toBe(true)
      }),
      { numRuns: 50 },
    )
  })

  const calls: Call[] = [{ to: contract, data: '0x1234', value: 1n, summary: 'x' }]
  const forms = exported(calls)

  test.each([
    ['a draft of another chain', { ...forms.draft, chainId: 5 }],
    ['a Safe batch of another chain', { ...forms.safe, chainId: '5' }],
    [
      'a Safe batch with another call than its checksum',
      {
        ...forms.safe,
        transactions: forms.safe.transactions.map((each) => ({ ...each, data: '0x1235' })),
      },
    ],
    [
      'a Safe batch that the web app would encode anew',
      {
        ...forms.safe,
        transactions: forms.safe.transactions.map((each) => ({ ...each, contractMethod: {} })),
      },
    ],
    [
      'a timelock with another operation id',
      { ...forms.timelock, operation: `0x${'00'.repeat(32)}` },
    ],
    ['a timelock with another delay', { ...forms.timelock, afterSeconds: 61 }],
    [
      'a timelock that executes other calls',
      {
        ...forms.timelock,
        execute: exported([{ ...(calls[0] as Call), data: '0x1235' }]).timelock.execute,
      },
    ],
    ['a timelock with swapped steps', { ...forms.timelock, schedule: forms.timelock.execute }],
    ['a call with an unknown member', [{ ...forms.calldata[0], gas: '5' }]],
    ['a number', 5],
  ])('is refused: %s', (_, json) => {
    expect(() => readExportedCalls(json, 1)).toThrow(
      expect.objectContaining({ code: 'DRAFT_INVALID' }),
    )
  })

  test('is refused if the calldata is a vote and not a proposal', () => {
    expect(() => callsOfProposal('0x56781388')).toThrow(
      expect.objectContaining({ code: 'DRAFT_INVALID' }),
    )
  })
})

test('the checksum of a Safe batch sorts keys, then values, and has null for the name', () => {
  const batch = {
    version: '1.0',
    chainId: '1',
    createdAt: 0,
    meta: { name: 'N', b: undefined, a: [1, {}] },
    transactions: [],
  }
  const text =
    '{["chainId","createdAt","meta","transactions","version"]"1",0,{["a","b","name"][1,{[]}],null,null,},[],"1.0",}'
  expect(safeChecksum(batch)).toBe(keccak256(toBytes(text)))
})
