/** A node keeps its last final block: across restarts, kills and foreign writes into its folder. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { beforeEach, describe, expect, test } from 'vitest'

import { inputs } from '../../../scripts/test-effort.ts'
import {
  type BlockReference,
  type CheckpointOptions,
  openCheckpoint,
} from '../../../src/chain/proven/checkpoint.ts'
import { startChild } from '../../child-process.ts'

const key = new Uint8Array(32).fill(7)
let options: CheckpointOptions & { readonly key: Uint8Array }

beforeEach(async () => {
  const folder = join(await mkdtemp(join(tmpdir(), 'memory-')), 'chain')
  options = { folder, chainId: 1, kms: `0x${'ab'.repeat(20)}`, key }
})

function mark(number: number): BlockReference {
  return {
    number: BigInt(number),
    hash: `0x${number.toString(16).padStart(64, '0')}`,
    timestamp: number * 12,
  }
}

const stored = async () => (await readdir(options.folder)).sort()
const nameOf = (number: number) => `block-${String(number).padStart(20, '0')}.json`

describe('the trusted checkpoint', () => {
  test('is created once and only by init-checkpoint', async () => {
    const memory = openCheckpoint(options)
    await expect(memory.read()).rejects.toMatchObject({ code: 'CHAIN_CHECKPOINT_MISSING' })
    await memory.start(mark(5))

    expect(await openCheckpoint(options).read()).toEqual(mark(5))
    await expect(memory.start(mark(6))).rejects.toMatchObject({ code: 'CHAIN_CHECKPOINT_EXISTS' })
  })

  test('keeps the highest block if a lower one is written later', async () => {
    const [one, other] = [openCheckpoint(options), openCheckpoint(options)]
    await one.start(mark(5))
    await other.write(mark(9))
    await one.write(mark(7))

    expect(await one.read()).toEqual(mark(9))
    await other.write(mark(10))
    expect(await stored()).toEqual([nameOf(10)])
  })

  test.each([
    ['cut short', (text: string) => text.slice(0, -5)],
    ['empty', () => ''],
    ['another block', (text: string) => text.replace('"number":"5"', '"number":"4"')],
    ['another hash', (text: string) => text.replace(/"hash":"0x00/, '"hash":"0x01')],
    ['another time', (text: string) => text.replace('"timestamp":60', '"timestamp":61')],
    ['of another chain', (text: string) => text.replace('"chainId":1', '"chainId":2')],
    ['a word more', (text: string) => text.replace('{', '{"more":1,')],
  ])('that is %s is refused', async (_, change) => {
    const memory = openCheckpoint(options)
    await memory.start(mark(5))
    const path = join(options.folder, nameOf(5))
    await writeFile(path, change(await readFile(path, 'utf8')))

    await expect(memory.read()).rejects.toMatchObject({ code: 'CHAIN_CHECKPOINT_INVALID' })
  })

  test('is refused under another name, with another key, or for another contract', async () => {
    await openCheckpoint(options).start(mark(5))
    const text = await readFile(join(options.folder, nameOf(5)), 'utf8')
    const others = [
      { ...options, key: new Uint8Array(32) },
      { ...options, chainId: 2 },
      { ...options, kms: `0x${'cd'.repeat(20)}` as const },
    ]
    for (const other of others) {
      await expect(openCheckpoint(other).read()).rejects.toMatchObject({
        code: 'CHAIN_CHECKPOINT_INVALID',
      })
    }
    await writeFile(join(options.folder, nameOf(6)), text)
    await expect(openCheckpoint(options).read()).rejects.toMatchObject({
      code: 'CHAIN_CHECKPOINT_INVALID',
    })
  })

  test('stays as it was if it cannot be written', async () => {
    const memory = openCheckpoint(options)
    await memory.start(mark(5))
    // a folder in place of the file that the block would be renamed to
    await mkdir(join(options.folder, nameOf(6), 'x'), { recursive: true })

    await expect(memory.write(mark(6))).rejects.toMatchObject({
      code: 'CHAIN_CHECKPOINT_UNWRITABLE',
    })
    await rm(join(options.folder, nameOf(6)), { recursive: true })
    expect(await memory.read()).toEqual(mark(5))
  })

  test('is reported as missing, and not created, if its folder was removed', async () => {
    const memory = openCheckpoint(options)
    await memory.start(mark(5))
    await rm(options.folder, { recursive: true })

    await expect(memory.read()).rejects.toMatchObject({ code: 'CHAIN_CHECKPOINT_MISSING' })
  })
})

describe('a killed process', () => {
  const writer = fileURLToPath(new URL('./checkpoint-writer.ts', import.meta.url))

  /** Two processes that write ever higher blocks and say so after each; killed at any moment. */
  async function writeUntilKilled(from: number): Promise<number> {
    let acknowledged = 0
    const children = [0, 1].map((offset): ChildProcess => {
      const args = [writer, options.folder, String(from + offset)]
      return startChild(process.execPath, args)
    })
    const ready = children.map(
      (child) =>
        new Promise<void>((begun) => {
          child.stdout?.on('data', (chunk: Buffer) => {
            const numbers = String(chunk).trim().split('\n').map(Number)
            acknowledged = Math.max(acknowledged, ...numbers)
            begun()
          })
        }),
    )
    await Promise.all(ready)
    await new Promise((later) => setTimeout(later, Math.random() * 40))
    const ends = children.map((child) => once(child, 'exit'))
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(ends)
    return acknowledged
  }

  test('loses no checkpoint that was acknowledged', async () => {
    const memory = openCheckpoint(options)
    await memory.start(mark(1))
    let highest = 1
    for (let round = 0; round < inputs(3, 200); round++) {
      const acknowledged = await writeUntilKilled(highest + 1)
      const { number } = (await memory.read()) ?? mark(0)

      expect(Number(number)).toBeGreaterThanOrEqual(acknowledged)
      expect(acknowledged).toBeGreaterThan(highest)
      highest = Number(number)
    }
  })
})
