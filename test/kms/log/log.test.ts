import {
  appendFile,
  cp,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { systemDisk } from '../../../src/kms/log/disk.ts'
import { lineDigest, nextChain } from '../../../src/kms/log/format.ts'
import { deriveLogKey } from '../../../src/kms/log/key.ts'
import { createReleaseLog, openReleaseLog } from '../../../src/kms/log/log.ts'
import type { LogPlace } from '../../../src/kms/log/writer.ts'
import { begin, denial, failingDisk, newPlace } from './place.ts'

const first = (place: LogPlace) => join(place.folder, '00000000.log')
const linesOf = async (path: string) => (await readFile(path, 'utf8')).split('\n').slice(0, -1)

/** A log of so many entries in batches of one, closed. */
async function written(entries: number, changed: Partial<LogPlace> = {}): Promise<LogPlace> {
  const place = await newPlace(changed)
  const log = await begin(place)
  for (let index = 0; index < entries; index++) await log.append(denial(index))
  await log.close()
  return place
}

/** With the path of each file, as often as it was flushed. */
async function watchedPlace() {
  const flushed: string[] = []
  const disk = failingDisk((operation, path) => {
    if (operation === 'sync') flushed.push(path)
  })
  return { place: await newPlace({ disk }), flushed }
}

describe('appending', () => {
  test('what was acknowledged is there after a restart, in its order, chained', async () => {
    const place = await newPlace()
    const log = await begin(place)
    await Promise.all(Array.from({ length: 50 }, (_, index) => log.append(denial(index))))
    const { entries, chain } = log.head()
    await log.close()
    const again = await openReleaseLog(place)

    expect(entries).toBe(50)
    expect(again.head()).toMatchObject({ entries, chain })
    const lines = (await linesOf(first(place))).filter((line) => line.startsWith('{"seq"'))
    expect(lines.map((line) => JSON.parse(line).reason)).toEqual(
      Array.from({ length: 50 }, (_, index) => `reason ${index}`),
    )
    const header = JSON.parse((await linesOf(first(place)))[0] ?? '')
    const folded = lines.reduce(
      (chain: Uint8Array, line) => nextChain(chain, lineDigest(line)),
      new Uint8Array(Buffer.from(header.previous, 'hex')),
    )
    expect(folded).toEqual(chain)
    await again.close()
  })

  test('entries that come together share one seal', async () => {
    const place = await newPlace()
    const log = await begin(place)
    await Promise.all(Array.from({ length: 100 }, (_, index) => log.append(denial(index))))
    await log.close()

    const seals = (await linesOf(first(place))).filter((line) => line.startsWith('{"seal"'))
    expect(seals.length).toBeLessThan(5)
  })

  test('entries that keep coming share flushes', async () => {
    const { place, flushed } = await watchedPlace()
    const log = await begin(place)
    const turns = Array.from({ length: 60 }, (_, index) => index)
    const appended: Promise<void>[] = []
    for (const index of turns) {
      appended.push(log.append(denial(index)), log.append(denial(index)))
      await nextTurn()
    }
    await Promise.all(appended)
    const shared = flushed.filter((path) => path === first(place)).length
    expect(shared).toBeLessThan(turns.length / 4)
    await log.close()
  })

  test('the head file is flushed once for many entries, and when the log is closed', async () => {
    const { place, flushed } = await watchedPlace()
    const log = await begin(place)
    for (let index = 0; index < 50; index++) await log.append(denial(index))
    const before = flushed.filter((path) => path === place.headFile).length
    await log.close()

    expect(flushed.filter((path) => path === first(place))).toHaveLength(50)
    expect(before).toBeLessThan(10)
    expect(flushed.at(-1)).toBe(place.headFile)
  })

  test('evidence is stored once a file, before the entry that names it', async () => {
    const place = await newPlace({ segmentBytes: 8_000 })
    const log = await begin(place)
    const evidence = { digest: '0xab', json: `{"pad":"${'x'.repeat(3_000)}"}` }
    for (let index = 0; index < 4; index++) await log.append(denial(index), evidence)
    await log.close()

    const names = (await readdir(place.folder)).sort()
    const files = await Promise.all(names.map((name) => linesOf(join(place.folder, name))))
    const kinds = files.map((lines) => lines.map((line) => JSON.parse(line).kind ?? '-'))
    expect(kinds[0]).toEqual([
      '-',
      'evidence',
      'denial',
      '-',
      'denial',
      '-',
      'denial',
      '-',
      'denial',
      '-',
    ])
    const again = await openReleaseLog(place)
    await again.append(denial(9), evidence)
    await again.close()
    expect((await readFile(first(place), 'utf8')).match(/"kind":"evidence"/g)).toHaveLength(1)
  })

  test('goes over several files, and finds its way back through them', async () => {
    const place = await newPlace({ segmentBytes: 1_000 })
    const log = await begin(place)
    const chains = [log.head().chain]
    for (let index = 0; index < 40; index++) {
      await log.append(denial(index))
      chains.push(log.head().chain)
    }
    expect(log.size().segments).toBeGreaterThan(5)
    for (const at of [0, 1, 17, 39, 40]) expect(await log.chainAt(at)).toEqual(chains[at])
    const from = await log.digests(3)
    expect(nextChain(chains[3] as Uint8Array, from.subarray(0, 32))).toEqual(chains[4])
    for (let index = 0; index < 40; index++) await log.scrub()
    await log.close()
    const again = await openReleaseLog(place)
    expect(again.head().chain).toEqual(chains[40])
    await again.close()
  })

  test('a log is begun once', async () => {
    const place = await written(1)

    await expect(createReleaseLog(place)).rejects.toMatchObject({ code: 'KMS_LOG_EXISTS' })
    await rm(place.headFile)
    await expect(createReleaseLog(place)).rejects.toMatchObject({ code: 'KMS_LOG_EXISTS' })
  })

  test('a beginning that was cut off is done again', async () => {
    const place = await newPlace()
    await createReleaseLog(place)
    await rm(place.headFile)
    const log = await begin(place)

    expect(log.head().entries).toBe(0)
    await log.close()
  })
})

describe('a torn end', () => {
  test('whatever part of the last append is missing, what was acknowledged stays', async () => {
    const place = await newPlace()
    const log = await begin(place)
    await log.append(denial(0))
    await log.append(denial(1))
    const acknowledged = (await readFile(first(place))).length
    await log.close()
    const headFile = await readFile(place.headFile)
    const more = await openReleaseLog(place)
    await more.append(denial(2))
    await more.close()
    const whole = await readFile(first(place))

    for (let length = acknowledged; length < whole.length; length += 7) {
      await writeFile(first(place), whole.subarray(0, length))
      await writeFile(place.headFile, headFile)
      const again = await openReleaseLog(place)
      expect(again.head().entries).toBe(length === acknowledged ? 2 : 3)
      await again.append(denial(3))
      await again.close()
      const lines = await linesOf(first(place))
      if (length > acknowledged) expect(lines.join()).toContain('"kind":"recovered"')
      expect(lines.join()).not.toContain('reason 2')
    }
  })

  test('garbage after the last seal goes', async () => {
    const place = await written(3)
    await appendFile(
      first(place),
      Buffer.concat([Buffer.alloc(100), Buffer.from('\n{"seal":9}\n')]),
    )
    const again = await openReleaseLog(place)

    expect(again.head().entries).toBe(4)
    await again.close()
  })
})

describe('a log that was changed is not opened', () => {
  const refusal = (place: LogPlace) =>
    openReleaseLog(place).then(
      async (log) => {
        await log.close()
        return 'opened'
      },
      (error) => error.code,
    )

  test('cut at a seal', async () => {
    const place = await written(5)
    const lines = await linesOf(first(place))
    await writeFile(first(place), `${lines.slice(0, -2).join('\n')}\n`)

    expect(await refusal(place)).toBe('KMS_LOG_CUT')
  })

  test('cut to nothing, or away', async () => {
    const place = await written(5)
    await truncate(first(place), (await linesOf(first(place)))[0]?.length)
    expect(await refusal(place)).toBe('KMS_LOG_BROKEN')
    await rm(first(place))
    expect(await refusal(place)).toBe('KMS_LOG_MISSING')
  })

  test('without its head file, or with one of another time or node', async () => {
    const place = await written(5)
    const other = await written(2)
    const foreign = await written(5, { key: deriveLogKey(new Uint8Array(32).fill(8), 'kms-1') })
    await cp(other.headFile, place.headFile)
    expect(await refusal(place)).toBe('opened')

    const different = await newPlace()
    const log = await begin(different)
    await log.append(denial(77))
    await log.close()
    await cp(different.headFile, place.headFile)
    expect(await refusal(place)).toBe('KMS_LOG_CUT')
    await cp(foreign.headFile, place.headFile)
    expect(await refusal(place)).toBe('KMS_LOG_HEAD_UNREADABLE')
    await rm(place.headFile)
    expect(await refusal(place)).toBe('KMS_LOG_MISSING')
  })

  test('with one edited entry, wherever it is', async () => {
    for (const index of [0, 2, 4]) {
      const place = await written(5)
      const lines = await linesOf(first(place))
      const edited = lines.map((line) => line.replace(`"reason ${index}"`, '"reason X"'))
      expect(edited).not.toEqual(lines)
      await writeFile(first(place), `${edited.join('\n')}\n`)

      expect(await refusal(place)).toBe('KMS_LOG_BROKEN')
    }
  })

  test('with an entry taken out and the seals renumbered', async () => {
    const place = await written(5)
    const lines = await linesOf(first(place))
    await writeFile(first(place), `${lines.toSpliced(3, 2).join('\n')}\n`)

    expect(await refusal(place)).toBe('KMS_LOG_BROKEN')
  })

  test('with files that changed places, or one that is gone', async () => {
    const place = await written(20, { segmentBytes: 1_000 })
    const path = (number: number) => join(place.folder, `0000000${number}.log`)
    await rename(path(1), `${path(1)}.x`)
    expect(await refusal(place)).toBe('KMS_LOG_CUT')
    await rename(path(2), path(1))
    await rename(`${path(1)}.x`, path(2))
    expect(await refusal(place)).toBe('KMS_LOG_BROKEN')
  })

  test('an edit deep in an old file is found by reading it again', async () => {
    const place = await written(20, { segmentBytes: 1_000 })
    const text = await readFile(first(place), 'utf8')
    await writeFile(first(place), text.replace('reason 1"', 'reason 2"'))
    const log = await openReleaseLog(place)

    await expect(log.scrub()).rejects.toMatchObject({ code: 'KMS_LOG_BROKEN' })
    await log.close()
  })
})

describe('a disk that fails', () => {
  test('full: the entry is not acknowledged, nothing of it stays, later ones pass', async () => {
    let full = false
    const disk = failingDisk(async (operation, path, bytes) => {
      if (!full || operation !== 'write' || !path.endsWith('.log')) return
      // as much as fitted is there
      await appendFile(path, bytes?.subarray(0, 20) ?? '')
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    })
    const place = await newPlace({ disk })
    const log = await begin(place)
    await log.append(denial(0))
    full = true
    await expect(log.append(denial(1))).rejects.toMatchObject({ code: 'KMS_LOG_UNWRITABLE' })
    full = false
    await log.append(denial(2))
    await log.close()

    const again = await openReleaseLog({ ...place, disk: systemDisk })
    expect(again.head().entries).toBe(2)
    expect(await readFile(first(place), 'utf8')).not.toContain('reason 1')
    await again.close()
  })

  test('full when the next file is to begin: the same', async () => {
    let full = false
    const disk = failingDisk((operation) => {
      if (full && operation === 'create') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    })
    const log = await begin(await newPlace({ disk, segmentBytes: 10 }))
    await log.append(denial(9))
    full = true
    await expect(log.append(denial(0))).rejects.toMatchObject({ code: 'KMS_LOG_UNWRITABLE' })
    full = false
    await log.append(denial(1))
    expect(log.head().entries).toBe(2)
    await log.close()
  })

  test('a flush that fails ends it until a restart, and nothing more is acknowledged', async () => {
    let failing = false
    const disk = failingDisk((operation) => {
      if (failing && operation === 'sync') throw Object.assign(new Error('I/O'), { code: 'EIO' })
    })
    const log = await begin(await newPlace({ disk }))
    failing = true
    await expect(log.append(denial(0))).rejects.toMatchObject({ code: 'KMS_LOG_UNWRITABLE' })
    failing = false
    await expect(log.append(denial(1))).rejects.toMatchObject({ code: 'KMS_LOG_UNWRITABLE' })
    await log.close()
  })
})
