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
import { type LogDisk, systemDisk } from '../../../src/kms/log/file-system.ts'
import { lineDigest, nextChain } from '../../../src/kms/log/format.ts'
import { deriveLogKey } from '../../../src/kms/log/key.ts'
import { createReleaseLog, openReleaseLog } from '../../../src/kms/log/log.ts'
import { headToJson } from '../../../src/kms/log/witness-response.ts'
import type { LogLocation } from '../../../src/kms/log/writer.ts'
import { type Hex, toHex } from '../../../src/lib/bytes.ts'
import { type LogExpectations, verifyLog } from '../../../src/log-verify/verify.ts'
import { begin, denial, failingDisk, named, newLocation, rootKey } from './log-fixture.ts'

const first = (location: LogLocation) => join(location.folder, '00000000.log')
const linesOf = async (path: string) => (await readFile(path, 'utf8')).split('\n').slice(0, -1)

/** A log of so many entries in batches of one, closed. */
async function written(entries: number, changed: Partial<LogLocation> = {}): Promise<LogLocation> {
  const location = await newLocation(changed)
  const log = await begin(location)
  for (let index = 0; index < entries; index++) await log.append(denial(index))
  await log.close()
  return location
}

/** With the path of each file, as often as it was flushed. */
async function watchedPlace() {
  const flushed: string[] = []
  const disk = failingDisk((operation, path) => {
    if (operation === 'sync') flushed.push(path)
  })
  return { location: await newLocation({ disk }), flushed }
}

describe('release log: appending', () => {
  test('keeps acknowledged entries in order over a restart', async () => {
    const location = await newLocation()
    const log = await begin(location)
    await Promise.all(Array.from({ length: 50 }, (_, index) => log.append(denial(index))))
    const { entries, chain } = log.head()
    await log.close()
    const again = await openReleaseLog(location)

    expect(entries).toBe(50)
    expect(again.head()).toMatchObject({ entries, chain })
    const lines = (await linesOf(first(location))).filter((line) => line.startsWith('{"seq"'))
    expect(lines.map((line) => JSON.parse(line).reason)).toEqual(
      Array.from({ length: 50 }, (_, index) => `reason ${index}`),
    )
    const header = JSON.parse((await linesOf(first(location)))[0] ?? '')
    const folded = lines.reduce(
      (chain: Uint8Array, line) => nextChain(chain, lineDigest(line)),
      new Uint8Array(Buffer.from(header.previous, 'hex')),
    )
    expect(folded).toEqual(chain)
    await again.close()
  })

  test('writes one seal for entries that arrive together', async () => {
    const location = await newLocation()
    const log = await begin(location)
    await Promise.all(Array.from({ length: 100 }, (_, index) => log.append(denial(index))))
    await log.close()

    const seals = (await linesOf(first(location))).filter((line) => line.startsWith('{"seal"'))
    expect(seals.length).toBeLessThan(5)
  })

  test('flushes once for several entries of a steady stream', async () => {
    const { location, flushed } = await watchedPlace()
    const log = await begin(location)
    const turns = Array.from({ length: 60 }, (_, index) => index)
    const appended: Promise<void>[] = []
    for (const index of turns) {
      appended.push(log.append(denial(index)), log.append(denial(index)))
      await nextTurn()
    }
    await Promise.all(appended)
    const shared = flushed.filter((path) => path === first(location)).length
    expect(shared).toBeLessThan(turns.length / 4)
    await log.close()
  })

  test('flushes the head file once for many entries, and when the log is closed', async () => {
    const { location, flushed } = await watchedPlace()
    const log = await begin(location)
    for (let index = 0; index < 50; index++) await log.append(denial(index))
    const before = flushed.filter((path) => path === location.headFile).length
    await log.close()

    expect(flushed.filter((path) => path === first(location))).toHaveLength(50)
    expect(before).toBeLessThan(10)
    expect(flushed.at(-1)).toBe(location.headFile)
  })

  test('stores a trie node once per file, also after a restart', async () => {
    const location = await newLocation()
    const [shared, own, later] = ['0x81', '0x82', '0x83'] as const
    const evidence = (part: string, nodes: readonly [Hex, ...Hex[]]) => ({
      ...{ digest: '0xab', json: '{}', part },
      ...named(nodes),
    })
    const log = await begin(location)
    await log.append(denial(0), evidence('a', [shared, own]))
    await log.append(denial(1), evidence('b', [shared]))
    await log.close()
    const reopened = await openReleaseLog(location)
    await reopened.append(denial(2), evidence('c', [shared, own, later]))
    await reopened.close()

    const lines = await linesOf(join(location.folder, '00000000.log'))
    const stored = lines.flatMap((line) => JSON.parse(line).nodes ?? [])
    expect(stored).toEqual(
      [shared, own, later].map((node) => Buffer.from(node.slice(2), 'hex').toString('base64')),
    )
  })

  test('stores evidence once per file, before the entry that refers to it', async () => {
    const location = await newLocation({ segmentBytes: 8_000 })
    const log = await begin(location)
    const json = `{"pad":"${'x'.repeat(3_000)}"}`
    const evidence = { digest: '0xab', json, ...named(['0x80']), part: 'a' }
    for (let index = 0; index < 4; index++) await log.append(denial(index), evidence)
    await log.close()

    const names = (await readdir(location.folder)).sort()
    const files = await Promise.all(names.map((name) => linesOf(join(location.folder, name))))
    const kinds = files.map((lines) => lines.map((line) => JSON.parse(line).kind ?? '-'))
    expect(kinds[0]).toEqual([
      '-',
      'nodes',
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
    const again = await openReleaseLog(location)
    await again.append(denial(9), evidence)
    await again.close()
    expect((await readFile(first(location), 'utf8')).match(/"kind":"evidence"/g)).toHaveLength(1)
  })

  test('continues in the next file and reads all files again', async () => {
    const location = await newLocation({ segmentBytes: 1_000 })
    const log = await begin(location)
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
    const again = await openReleaseLog(location)
    expect(again.head().chain).toEqual(chains[40])
    await again.close()
  })

  test('creates a log once', async () => {
    const location = await written(1)

    await expect(createReleaseLog(location)).rejects.toMatchObject({ code: 'KMS_LOG_EXISTS' })
    await rm(location.headFile)
    await expect(createReleaseLog(location)).rejects.toMatchObject({ code: 'KMS_LOG_EXISTS' })
  })

  test('repeats an interrupted creation', async () => {
    const location = await newLocation()
    await createReleaseLog(location)
    await rm(location.headFile)
    const log = await begin(location)

    expect(log.head().entries).toBe(0)
    await log.close()
  })
})

describe('release log: an interrupted append', () => {
  test('keeps acknowledged entries if any part of the last append is missing', async () => {
    const location = await newLocation()
    const log = await begin(location)
    await log.append(denial(0))
    await log.append(denial(1))
    const acknowledged = (await readFile(first(location))).length
    await log.close()
    const headFile = await readFile(location.headFile)
    const more = await openReleaseLog(location)
    await more.append(denial(2))
    await more.close()
    const whole = await readFile(first(location))

    for (let length = acknowledged; length < whole.length; length += 7) {
      await writeFile(first(location), whole.subarray(0, length))
      await writeFile(location.headFile, headFile)
      const again = await openReleaseLog(location)
      expect(again.head().entries).toBe(length === acknowledged ? 2 : 3)
      await again.append(denial(3))
      await again.close()
      const lines = await linesOf(first(location))
      if (length > acknowledged) expect(lines.join()).toContain('"kind":"recovered"')
      expect(lines.join()).not.toContain('reason 2')
    }
  })

  test('drops bytes after the last seal', async () => {
    const location = await written(3)
    await appendFile(
      first(location),
      Buffer.concat([Buffer.alloc(100), Buffer.from('\n{"seal":9}\n')]),
    )
    const again = await openReleaseLog(location)

    expect(again.head().entries).toBe(4)
    await again.close()
  })
})

describe('release log: a changed log is not opened', () => {
  const refusal = (location: LogLocation) =>
    openReleaseLog(location).then(
      async (log) => {
        await log.close()
        return 'opened'
      },
      (error) => error.code,
    )

  test('if it was cut at a seal', async () => {
    const location = await written(5)
    const lines = await linesOf(first(location))
    await writeFile(first(location), `${lines.slice(0, -2).join('\n')}\n`)

    expect(await refusal(location)).toBe('KMS_LOG_CUT')
  })

  test('if a file is empty or missing', async () => {
    const location = await written(5)
    await truncate(first(location), (await linesOf(first(location)))[0]?.length)
    expect(await refusal(location)).toBe('KMS_LOG_BROKEN')
    await rm(first(location))
    expect(await refusal(location)).toBe('KMS_LOG_MISSING')
  })

  test('if the head file is missing, older, or of another node', async () => {
    const location = await written(5)
    const other = await written(2)
    const foreign = await written(5, { key: deriveLogKey(new Uint8Array(32).fill(8), 'kms-1') })
    await cp(other.headFile, location.headFile)
    expect(await refusal(location)).toBe('opened')

    const different = await newLocation()
    const log = await begin(different)
    await log.append(denial(77))
    await log.close()
    await cp(different.headFile, location.headFile)
    expect(await refusal(location)).toBe('KMS_LOG_CUT')
    await cp(foreign.headFile, location.headFile)
    expect(await refusal(location)).toBe('KMS_LOG_HEAD_UNREADABLE')
    await rm(location.headFile)
    expect(await refusal(location)).toBe('KMS_LOG_MISSING')
  })

  test('if one entry was edited at any position', async () => {
    for (const index of [0, 2, 4]) {
      const location = await written(5)
      const lines = await linesOf(first(location))
      const edited = lines.map((line) => line.replace(`"reason ${index}"`, '"reason X"'))
      expect(edited).not.toEqual(lines)
      await writeFile(first(location), `${edited.join('\n')}\n`)

      expect(await refusal(location)).toBe('KMS_LOG_BROKEN')
    }
  })

  test('if an entry was removed and the seals renumbered', async () => {
    const location = await written(5)
    const lines = await linesOf(first(location))
    await writeFile(first(location), `${lines.toSpliced(3, 2).join('\n')}\n`)

    expect(await refusal(location)).toBe('KMS_LOG_BROKEN')
  })

  test('if files were exchanged or removed', async () => {
    const location = await written(20, { segmentBytes: 1_000 })
    const path = (number: number) => join(location.folder, `0000000${number}.log`)
    await rename(path(1), `${path(1)}.x`)
    expect(await refusal(location)).toBe('KMS_LOG_CUT')
    await rename(path(2), path(1))
    await rename(`${path(1)}.x`, path(2))
    expect(await refusal(location)).toBe('KMS_LOG_BROKEN')
  })

  test('if an old file was edited, which a second reading shows', async () => {
    const location = await written(20, { segmentBytes: 1_000 })
    const text = await readFile(first(location), 'utf8')
    await writeFile(first(location), text.replace('reason 1"', 'reason 2"'))
    const log = await openReleaseLog(location)

    await expect(log.scrub()).rejects.toMatchObject({ code: 'KMS_LOG_BROKEN' })
    await log.close()
  })
})

describe('release log: a failing disk', () => {
  test('that is full acknowledges nothing, and the log works again when space is free', async () => {
    let full = false
    const disk = failingDisk(async (operation, path, bytes) => {
      if (!full || operation !== 'write' || !path.endsWith('.log')) return
      // as much as fitted is there
      await appendFile(path, bytes?.subarray(0, 20) ?? '')
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    })
    const location = await newLocation({ disk })
    const log = await begin(location)
    await log.append(denial(0))
    full = true
    await expect(log.append(denial(1))).rejects.toMatchObject({ code: 'KMS_LOG_UNWRITABLE' })
    full = false
    await log.append(denial(2))
    await log.close()

    const again = await openReleaseLog({ ...location, disk: systemDisk })
    expect(again.head().entries).toBe(2)
    expect(await readFile(first(location), 'utf8')).not.toContain('reason 1')
    await again.close()
  })

  test('that is full at the start of a file acknowledges nothing', async () => {
    let full = false
    const disk = failingDisk((operation) => {
      if (full && operation === 'create') throw Object.assign(new Error('full'), { code: 'ENOSPC' })
    })
    const log = await begin(await newLocation({ disk, segmentBytes: 10 }))
    await log.append(denial(9))
    full = true
    await expect(log.append(denial(0))).rejects.toMatchObject({ code: 'KMS_LOG_UNWRITABLE' })
    full = false
    await log.append(denial(1))
    expect(log.head().entries).toBe(2)
    await log.close()
  })

  test('stops the log after a failed flush until a restart', async () => {
    let failing = false
    const disk = failingDisk((operation) => {
      if (failing && operation === 'sync') throw Object.assign(new Error('I/O'), { code: 'EIO' })
    })
    const log = await begin(await newLocation({ disk }))
    failing = true
    await expect(log.append(denial(0))).rejects.toMatchObject({ code: 'KMS_LOG_UNWRITABLE' })
    failing = false
    await expect(log.append(denial(1))).rejects.toMatchObject({ code: 'KMS_LOG_UNWRITABLE' })
    await log.close()
  })
})

describe('release log: deletion of old segments', () => {
  const day = 86_400
  const path = (location: LogLocation, number: number) =>
    join(location.folder, `0000000${number}.log`)
  const exists = (file: string) =>
    readFile(file).then(
      () => true,
      () => false,
    )
  const rootKeyHex = toHex(deriveLogKey(rootKey, 'kms-1').identity.rootKey)
  const verify = async (location: LogLocation, asked: Partial<LogExpectations> = {}) => {
    const names = await readdir(location.folder)
    const files = names.map(async (name) => ({
      name,
      content: await readFile(join(location.folder, name)),
    }))
    return verifyLog(await Promise.all(files), { rootKey: rootKeyHex, ...asked })
  }

  /** Each entry begins a file, ten days after the one before. */
  async function spread(entries: number, changed: Partial<LogLocation> = {}) {
    let now = 1_787_184_000
    const location = await newLocation({
      segmentBytes: 1,
      keepDays: 35,
      clock: () => now,
      ...changed,
    })
    const log = await begin(location)
    const heads = [headToJson(log.head())]
    for (let index = 0; index < entries; index++) {
      await log.append(denial(index))
      heads.push(headToJson(log.head()))
      now += 10 * day
    }
    return { location, log, heads }
  }

  test('happens when all entries are old enough, and is logged', async () => {
    const { location, log } = await spread(9)
    const kept = (await readdir(location.folder)).filter((name) => /^\d+\.log$/.test(name)).sort()
    expect(kept).toEqual(['5', '6', '7', '8'].map((number) => `0000000${number}.log`))
    expect(await readdir(location.folder)).not.toContain('00000004.log.digests')
    const archived = (await linesOf(path(location, 8)))
      .map((line) => JSON.parse(line))
      .find(({ kind }) => kind === 'archived')
    const begins = JSON.parse((await linesOf(path(location, 5)))[0] ?? '')
    expect(archived).toMatchObject({ segments: 5, entries: begins.first })
    await expect(log.digests(0)).rejects.toMatchObject({ code: 'KMS_LOG_ARCHIVED' })
    await expect(log.chainAt(1)).rejects.toMatchObject({ code: 'KMS_LOG_ARCHIVED' })
    await log.close()
  })

  test('does not happen without a configured age', async () => {
    const { location, log } = await spread(9, { keepDays: undefined as never })
    expect((await readdir(location.folder)).filter((name) => name.endsWith('.log'))).toHaveLength(9)
    await log.close()
  })

  test('is accepted at a start and by the verifier, which reports the missing entries', async () => {
    const { location, log, heads } = await spread(9)
    await log.close()
    const again = await openReleaseLog(location)
    await again.append(denial(99))
    await again.scrub()
    await again.close()
    const report = await verify(location, { heads: heads.slice(-1) })

    expect(report.problems).toEqual([])
    expect(report.unchecked).toContainEqual(
      expect.stringMatching(/^entries 0 to \d+: their segments/),
    )
    expect(await verify(location, { heads: heads.slice(1, 2) })).toMatchObject({
      holds: true,
      unchecked: expect.arrayContaining([expect.stringContaining('1 observed heads')]),
    })
  })

  test('does not hide another missing segment', async () => {
    const { location, log } = await spread(9)
    await log.close()
    await rm(path(location, 5))

    await expect(openReleaseLog(location)).rejects.toMatchObject({ code: 'KMS_LOG_CUT' })
    expect((await verify(location)).problems).toMatchObject([{ code: 'FILES' }])
    expect((await verify(location, { fromFirstFile: true })).problems).toEqual([])
  })

  test('is finished at the next start after an interruption', async () => {
    const dropped: string[] = []
    const disk: LogDisk = {
      ...systemDisk,
      remove: async (file) => {
        if (dropped.push(file) > 2) return systemDisk.remove(file)
        throw new Error('cut off')
      },
    }
    const { location, log } = await spread(6, { disk })
    expect(await exists(path(location, 0))).toBe(true)
    await log.close()
    const again = await openReleaseLog({ ...location, disk: systemDisk })

    expect(await exists(path(location, 0))).toBe(false)
    await again.close()
    expect((await verify(location)).problems).toEqual([])
  })

  test('does not accept a start of the log that the node did not seal', async () => {
    const { location, log } = await spread(9)
    await log.close()
    const lines = await linesOf(path(location, 5))
    const { seal, ...header } = JSON.parse(lines[0] ?? '')
    const write = (changed: object) =>
      writeFile(path(location, 5), `${[JSON.stringify(changed), ...lines.slice(1)].join('\n')}\n`)
    for (const changed of [
      { ...header, seal: seal.replace(/^../, 'ff') },
      { ...header, seal, at: 5 },
    ]) {
      await write(changed)
      await expect(openReleaseLog(location)).rejects.toMatchObject({ code: 'KMS_LOG_BROKEN' })
      expect((await verify(location)).problems.map(({ code }) => code)).toContain('SEAL')
    }
    const { at: _, ...bare } = header
    await write(bare)
    await expect(openReleaseLog(location)).rejects.toMatchObject({ code: 'KMS_LOG_CUT' })
    expect((await verify(location)).holds).toBe(false)
  })

  test('works for a log of the previous version without checkpoints', async () => {
    const location = await written(20, { segmentBytes: 1_000 })
    const names = (await readdir(location.folder)).filter((name) => name.endsWith('.log'))
    for (const name of names) {
      const [first = '', ...rest] = await linesOf(join(location.folder, name))
      const { at: _, seal: __, ...header } = JSON.parse(first)
      await writeFile(
        join(location.folder, name),
        `${[JSON.stringify(header), ...rest].join('\n')}\n`,
      )
      await rm(join(location.folder, `${name}.digests`), { force: true })
    }
    const log = await openReleaseLog({ ...location, keepDays: 30, clock: () => 1_887_184_000 })
    for (let index = 0; index < 20; index++) await log.append(denial(index))
    expect(nextChain(await log.chainAt(3), (await log.digests(3)).subarray(0, 32))).toEqual(
      await log.chainAt(4),
    )
    await log.close()

    expect((await verify(location)).problems).toEqual([])
    expect(await exists(path(location, 0))).toBe(true)
  })
})

describe('release log: cost of older segments', () => {
  /** A log over several files, and the entries that are read from them. */
  async function watched() {
    const read: { path: string; bytes: number }[] = []
    const disk: LogDisk = {
      ...systemDisk,
      read: async (path) => {
        const bytes = await systemDisk.read(path)
        read.push({ path, bytes: bytes?.length ?? 0 })
        return bytes
      },
      readPart: async (path, from, length) => {
        const bytes = await systemDisk.readPart(path, from, length)
        read.push({ path, bytes: bytes.length })
        return bytes
      },
    }
    const location = await newLocation({ segmentBytes: 200_000, disk })
    const log = await begin(location)
    await Promise.all(Array.from({ length: 9_000 }, (_, index) => log.append(denial(index))))
    return { location, log, read }
  }

  test('is bounded for a page of digests and for a start', async () => {
    const { location, log, read } = await watched()
    expect(log.size().segments).toBeGreaterThan(3)
    read.length = 0
    const page = await log.digests(1_000)
    expect(page.length).toBeGreaterThan(0)
    expect(read.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(page.length)
    read.length = 0
    await log.chainAt(5)
    await log.chainAt(5)
    expect(read.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(200_000)
    await log.close()
    read.length = 0
    const again = await openReleaseLog(location)
    const older = read.filter(({ path }) => /0000000[01]\.log$/.test(path))
    expect(older.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(2 * 5_120)
    await again.close()
  })

  test('includes a rebuild of a foreign index', async () => {
    const { location, log } = await watched()
    const index = join(location.folder, '00000000.log.digests')
    const whole = await readFile(index)
    const lie = Buffer.from(whole)
    lie[40] = (lie[40] ?? 0) ^ 1
    await writeFile(index, lie)

    await expect(log.chainAt(7)).rejects.toMatchObject({ code: 'KMS_LOG_BROKEN' })
    await log.scrub()
    expect(await readFile(index)).toEqual(whole)
    await rm(index)
    expect(Buffer.from(await log.digests(0)).equals(whole.subarray(0, 4096 * 32))).toBe(true)
    await log.close()
  })

  test('does not block the writer', async () => {
    const { log, location } = await watched()
    const { length } = await readFile(first(location))
    let turns = 0
    let isReading = true
    const count = async () => {
      for (; isReading; turns++) await nextTurn()
    }
    const counting = count()
    await log.scrub()
    isReading = false
    await counting
    await log.close()

    expect(turns).toBeGreaterThan(length / 2 ** 16)
  })
})
