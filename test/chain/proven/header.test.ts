/** Headers of this chain and of others: values that the hash proves are accepted, unknown ones are reported. */

import { keccak256, toRlp } from 'viem'
import { describe, expect, test } from 'vitest'

import { blockSchema, type HeaderField, readHeader } from '../../../src/chain/proven/header.ts'
import { encodeFields, readFields } from '../../../src/chain/proven/trie.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { buildChain, sealBlock } from './synthetic.ts'
import { lookAt } from './view-fixture.ts'

const hash: Hex = `0x${'07'.repeat(32)}`
const plain = { number: 5n, timestamp: 1_700_000_000, parentHash: hash, stateRoot: hash }
const list: HeaderField = { name: 'blockAccessListHash', kind: 'bytes' }
const slot: HeaderField = { name: 'slotNumber', kind: 'quantity' }
const read = (json: object, further: readonly HeaderField[] = []) =>
  readHeader(blockSchema.parse(json), further)

/** A block of a fork with two more fields. */
function forked(): Record<string, unknown> {
  const { json } = sealBlock(plain)
  const { rlp } = read(json)
  const body = rlp.slice(8)
  const more = toRlp([hash, '0x2a']).slice(4)
  const size = (body.length + more.length) / 2
  const header: Hex = `0xf9${size.toString(16).padStart(4, '0')}${body}${more}`
  return { ...json, blockAccessListHash: hash, slotNumber: '0x2a', hash: keccak256(header) }
}

describe('a header with fields of a later fork', () => {
  test('is read with the configured fields in their order', () => {
    expect(read(forked(), [list, slot])).toMatchObject({ number: 5n, stateRoot: hash })
  })

  test.each([
    ['none is set', []],
    ['one is missing', [list]],
  ])('is reported to have unknown fields if %s', (_, further) => {
    expect(() => read(forked(), further)).toThrow(
      expect.objectContaining({
        code: 'CHAIN_HEADER_UNKNOWN',
        message: expect.stringContaining('slotNumber'),
      }),
    )
  })

  test('is refused in another order or with another kind', () => {
    expect(() => read(forked(), [slot, list])).toThrow(
      expect.objectContaining({ code: 'CHAIN_HEADER_INVALID' }),
    )
    expect(() => read(forked(), [{ ...list, kind: 'quantity' }, slot])).toThrow(
      expect.objectContaining({ code: 'CHAIN_HEADER_INVALID' }),
    )
  })

  test('is unchanged before the fork', () => {
    expect(read(sealBlock(plain).json, [list, slot])).toMatchObject({ number: 5n })
  })

  test('stops a node with this reason', async () => {
    const chain = await buildChain({ apps: 1 })
    const { view } = lookAt({
      ...chain,
      answer: async (method, params, known) => {
        const answer = await chain.answer(method, params, known)
        return method === 'eth_getBlockByNumber' ? forked() : answer
      },
    })
    await expect(
      view.authorize('isAppAllowed', chain.boot(chain.apps[0] as Hex)),
    ).rejects.toMatchObject({
      code: 'CHAIN_HEADER_UNKNOWN',
    })
  })
})

describe('a header with a wrong hash', () => {
  test.each(['size', 'transactions', 'withdrawals', 'totalDifficulty', 'sendRoot'])(
    'is refused even if it has %s',
    (name) => {
      const json = { ...sealBlock(plain).json, gasUsed: '0x1', [name]: '0x1' }
      expect(() => read(json)).toThrow(expect.objectContaining({ code: 'CHAIN_HEADER_INVALID' }))
    },
  )

  test('causes an error with few and short unknown members', () => {
    const many = Object.fromEntries(
      Array.from({ length: 500 }, (_, index) => [`m${index}${'x'.repeat(500)}\n`, 1]),
    )
    try {
      read({ ...sealBlock(plain).json, gasUsed: '0x1', ...many })
      expect.unreachable()
    } catch (error) {
      expect((error as Error).message.length).toBeLessThan(500)
      expect((error as Error).message).not.toContain('\n')
    }
  })
})

describe('the extra data of a header', () => {
  test.each([
    [0, true],
    [32, true],
    [1_025, true],
    [16_384, true],
    [16_385, false],
  ])('may have %i bytes', (size, isRead) => {
    const extraData: Hex = `0x${'ab'.repeat(size)}`
    const { json } = sealBlock({ ...plain, more: isRead ? { extraData } : {} })
    expect(blockSchema.safeParse({ ...json, extraData }).success).toBe(isRead)
    if (isRead) expect(read(json)).toMatchObject({ hash: json.hash })
  })
})

describe('the fields that a fork added', () => {
  test('are all present with those of earlier forks, or the header is incomplete', () => {
    const { json } = sealBlock(plain)
    const { baseFeePerGas: _, ...missing } = json as Record<string, unknown>
    expect(() => read(missing)).toThrow('lacks fields')
  })

  test.each([
    [2n ** 40n - 1n, true],
    [2n ** 40n, false],
  ])('contain a time of %i', (timestamp, isSane) => {
    const sealed = () => read(sealBlock({ ...plain, timestamp: Number(timestamp) }).json)
    if (isSane) expect(sealed().timestamp).toBe(Number(timestamp))
    else expect(sealed).toThrow('out of range')
  })
})

test('header fields are encoded like in another library, at each boundary of a length', () => {
  const lengths = [0, 1, 2, 54, 55, 56, 57, 255, 256, 257, 65_535, 65_536]
  const fields = lengths.map((length): Hex => `0x${'81'.repeat(length)}`)
  const single = ['00', '01', '7f', '80', 'ff'].map((byte): Hex => `0x${byte}`)

  for (const list of [[], single, fields, ...fields.map((field) => [field])]) {
    expect(encodeFields(list)).toBe(toRlp(list))
    expect(readFields(encodeFields(list))).toEqual(list)
  }
})
