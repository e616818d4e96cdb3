/** Nodes that watch each other: what a node cannot know of itself. */
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { deriveLogKey } from '../../../src/kms/log/key.ts'
import { createReleaseLog } from '../../../src/kms/log/log.ts'
import { openNodeLog, type RunningNodeLog } from '../../../src/kms/log/node-log.ts'
import type { Peer } from '../../../src/kms/log/witness.ts'
import type { LogPlace } from '../../../src/kms/log/writer.ts'
import { createLog } from '../../../src/lib/log.ts'
import { denial, newPlace, rootKey } from './place.ts'

const logger = createLog({ service: 'kms', level: 'silent' })

/** Nodes that reach each other by name; what a name means may change. */
class Fleet {
  readonly nodes = new Map<string, RunningNodeLog>()
  now = 1_000

  async start(place: LogPlace, name: string, others: readonly string[]): Promise<RunningNodeLog> {
    const opened = await openNodeLog({
      place,
      witnesses: { urls: others, atLeast: 1, everySeconds: 3600, maxAgeSeconds: 60 },
      logger,
      uptime: () => this.now,
      connect: (url) => this.#peer(url),
    })
    this.nodes.set(name, opened)
    await opened.askWitnesses()
    return opened
  }

  #peer(url: string): Peer {
    const node = () => {
      const found = this.nodes.get(url)
      if (found === undefined) throw new Error('down')
      return found
    }
    return {
      url,
      head: async (nonce) => node().answer(nonce),
      digests: async (from) => node().digests(from),
    }
  }
}

async function place(node: string): Promise<LogPlace> {
  const made = await newPlace({ key: deriveLogKey(rootKey, node) })
  await createReleaseLog(made)
  return made
}

const codeOf = (node: RunningNodeLog) => {
  try {
    node.requireSound()
    return 'sound'
  } catch (error) {
    return (error as { code: string }).code
  }
}

/** Two nodes that have seen each other, and what the first one’s disk was like before its last entries. */
async function pair() {
  const fleet = new Fleet()
  const [one, two] = [await place('one'), await place('two')]
  let first = await fleet.start(one, 'one', ['two'])
  const second = await fleet.start(two, 'two', ['one'])
  await first.append(denial(1))
  await second.askWitnesses()
  await first.close()
  const before = await copyOf(one)
  first = await fleet.start(one, 'one', ['two'])
  return { fleet, first, second, one, two, before }
}

async function copyOf(from: LogPlace): Promise<LogPlace> {
  const copy = await newPlace({ key: from.key })
  await cp(from.folder, copy.folder, { recursive: true })
  await cp(from.headFile, copy.headFile)
  return copy
}

describe('a node that is watched', () => {
  test('serves once a witness has answered, and while answers are fresh', async () => {
    const { fleet, first, second } = await pair()
    expect([codeOf(first), codeOf(second)]).toEqual(['sound', 'sound'])

    fleet.nodes.delete('two')
    fleet.now += 61
    await first.askWitnesses()
    expect(codeOf(first)).toBe('KMS_LOG_UNWITNESSED')
    fleet.nodes.set('two', second)
    await first.askWitnesses()
    expect(codeOf(first)).toBe('sound')
  })

  test('serves nobody before the first answer', async () => {
    const lonely = await new Fleet().start(await place('one'), 'one', ['two'])

    expect(codeOf(lonely)).toBe('KMS_LOG_UNWITNESSED')
  })

  test('both disks gone back together are not noticed, one of them is', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    await first.close()
    const back = await fleet.start(before, 'one', ['two'])

    expect(codeOf(back)).toBe('KMS_LOG_ROLLED_BACK')
    await back.close()
    await expect(fleet.start(before, 'one', ['two'])).rejects.toMatchObject({
      code: 'KMS_LOG_HALTED',
    })
  })

  test('a log that was begun anew under the old name', async () => {
    const { fleet, first } = await pair()
    await first.close()

    expect(codeOf(await fleet.start(await place('one'), 'one', ['two']))).toBe(
      'KMS_LOG_ROLLED_BACK',
    )
  })

  test('set back and then written on beyond where it was: the history is another', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    await first.close()
    const lonely = await new Fleet().start(before, 'one', ['nobody'])
    for (let index = 0; index < 20; index++) await lonely.append(denial(100 + index))
    await lonely.close()

    expect(codeOf(await fleet.start(before, 'one', ['two']))).toBe('KMS_LOG_FORKED')
  })

  test('a copy that runs beside it: the witness keeps the first, and both learn', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    const copy = await fleet.start(before, 'copy', ['nobody'])
    for (let index = 0; index < 20; index++) await copy.append(denial(100 + index))
    fleet.nodes.set('one', copy)
    await second.askWitnesses()
    expect(second.status().peerFaults).toBe(1)
    fleet.nodes.set('one', first)
    await first.askWitnesses()

    expect(codeOf(first)).toBe('sound')
    const again = await fleet.start(await copyOf(before), 'copy', ['two'])
    expect(codeOf(again)).toMatch(/^KMS_LOG_(ROLLED_BACK|FORKED)$/)
  })

  test('a node that meets its own copy', async () => {
    const { fleet, first, before } = await pair()
    await first.append(denial(2))
    const copy = await fleet.start(before, 'copy', ['nobody'])
    await copy.append(denial(3))
    await copy.close()
    fleet.nodes.delete('copy')
    const met = await fleet.start(before, 'copy', ['one'])

    expect(codeOf(met)).toMatch(/^KMS_LOG_(ROLLED_BACK|FORKED)$/)
  })

  test('meeting itself is nothing', async () => {
    const { fleet, one, first } = await pair()
    await first.close()
    const self = await fleet.start(one, 'one', ['one', 'two'])

    expect(codeOf(self)).toBe('sound')
  })
})

describe('a witness that lies', () => {
  test.each([
    ['says nothing sensible', () => 'hello'],
    ['replays an old answer', (real: string, old: string) => old || real],
    ['changes the body', (real: string) => real.replace('\\"entries\\":', '\\"entries\\":1')],
  ])('%s: it does not count', async (_, lie) => {
    const fleet = new Fleet()
    const [one, two] = [await place('one'), await place('two')]
    const honest = await fleet.start(two, 'two', [])
    const old = await honest.answer('00'.repeat(16))
    const node = await openNodeLog({
      place: one,
      witnesses: { urls: ['two'], atLeast: 1, everySeconds: 3600, maxAgeSeconds: 60 },
      logger,
      uptime: () => 0,
      connect: (url) => ({
        url,
        head: async (nonce) => lie(await honest.answer(nonce), old),
        digests: async (from) => honest.digests(from),
      }),
    })
    await node.askWitnesses()

    expect(codeOf(node)).toBe('KMS_LOG_UNWITNESSED')
  })

  test('is of another root: it does not count, and cannot stop us', async () => {
    const fleet = new Fleet()
    const foreign = await newPlace({ key: deriveLogKey(new Uint8Array(32).fill(9), 'two') })
    await createReleaseLog(foreign)
    await fleet.start(foreign, 'two', [])

    expect(codeOf(await fleet.start(await place('one'), 'one', ['two']))).toBe(
      'KMS_LOG_UNWITNESSED',
    )
  })

  test('claims a longer log of ours without our signature: nothing happens', async () => {
    const { fleet, first, two, second } = await pair()
    await second.close()
    const path = join(two.folder, 'seen.json')
    const seen = JSON.parse(await readFile(path, 'utf8'))
    seen[0].head.entries += 100
    await writeFile(path, JSON.stringify(seen))
    await fleet.start(two, 'two', [])
    await first.askWitnesses()

    expect(codeOf(first)).toBe('sound')
  })
})
