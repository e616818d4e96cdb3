/** A disk that fails once, at each of its operations in turn: what was acknowledged is there, and nothing else counts. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { type LogDisk, systemDisk } from '../../../src/kms/log/file-system.ts'
import { createReleaseLog, openReleaseLog } from '../../../src/kms/log/log.ts'
import type { LogLocation } from '../../../src/kms/log/writer.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import { verifyLog } from '../../../src/log-verify/verify.ts'
import { begin, denial, failingDisk, named, newLocation } from './log-fixture.ts'

const appends = 8

/** With a few files, evidence, and a failure at the n-th operation; what was acknowledged, and how often it could fail. */
async function runWith(failAt: number) {
  let operations = 0
  let isArmed = false
  const disk = failingDisk(() => {
    if (isArmed && operations++ === failAt) throw Object.assign(new Error('EIO'), { code: 'EIO' })
  })
  const location = await newLocation({ disk, segmentBytes: 900 })
  const log = await begin(location)
  isArmed = true
  const acknowledged: number[] = []
  for (let index = 0; index < appends; index++) {
    const evidence = {
      digest: `0x${index % 2}`,
      json: '{}',
      ...named(['0x80', `0xa${index}`]),
      part: `${index}`,
    }
    await log.append(denial(index), evidence).then(
      () => acknowledged.push(index),
      (error) => expect(error).toMatchObject({ code: 'KMS_LOG_UNWRITABLE' }),
    )
  }
  await log.close().catch(() => {})
  return { location: { ...location, disk: systemDisk }, acknowledged, operations }
}

async function readLog(location: LogLocation) {
  const names = (await systemDisk.list(location.folder))
    .filter((name) => name.endsWith('.log'))
    .sort()
  const read = names.map(async (name) => ({
    name,
    content: await readFile(join(location.folder, name)),
  }))
  return Promise.all(read)
}

test('release log: a fault at any disk operation loses no acknowledged entry', async () => {
  const { operations } = await runWith(Number.POSITIVE_INFINITY)
  expect(operations).toBeGreaterThan(20)
  let lost = 0
  for (let failAt = 0; failAt < operations; failAt++) {
    const { location, acknowledged } = await runWith(failAt)
    if (acknowledged.length < appends) lost++
    const again = await openReleaseLog(location)
    await again.append(denial(99))
    await again.close()
    const files = await readLog(location)
    const text = files.map(({ content }) => content.toString()).join('')
    const { identity } = location.key
    const { problems } = verifyLog(files, { rootKey: toHex(identity.rootKey) })
    // the made-up evidence proves nothing, which is not the question here
    expect(
      problems.filter(({ code }) => code !== 'PROOF'),
      `at ${failAt}`,
    ).toEqual([])
    for (const index of acknowledged) expect(text, `at ${failAt}`).toContain(`"reason ${index}"`)
    for (const { content } of files) {
      // each node that a file needs is in it, once
      const nodes = [...content.toString().matchAll(/"nodes":\[([^\]]*)\]/g)].flatMap(
        ([, list]) => list?.split(',') ?? [],
      )
      expect(new Set(nodes).size, `at ${failAt}`).toBe(nodes.length)
      const entries = content
        .toString()
        .split('\n')
        .filter((line) => line.includes('"kind":"denial"'))
      if (entries.some((line) => !line.includes('reason 99')))
        expect(nodes, `at ${failAt}`).toContain('"gA=="')
    }
  }
  expect(lost).toBeGreaterThan(10)
})

test.each(['before', 'after', 'open'] as const)(
  'release log: a temporary fault while a segment begins (%s) stops one append',
  async (moment) => {
    let isArmed = false
    const failOnce = () => {
      if (!isArmed) return
      isArmed = false
      throw Object.assign(new Error('EIO'), { code: 'EIO' })
    }
    const disk: LogDisk = {
      ...systemDisk,
      create: async (path, content) => {
        if (moment === 'before') failOnce()
        await systemDisk.create(path, content)
        // the folder could not be flushed
        if (moment === 'after') failOnce()
      },
      open: async (path) => {
        if (moment === 'open') failOnce()
        return systemDisk.open(path)
      },
    }
    const location = await newLocation({ disk, segmentBytes: 900 })
    const log = await begin(location)
    let index = 0
    while (log.size().bytes < 900) await log.append(denial(index++))
    isArmed = true

    await expect(log.append(denial(100))).rejects.toMatchObject({ code: 'KMS_LOG_UNWRITABLE' })
    await log.append(denial(101))
    expect(log.size().segments).toBe(2)
    await log.close()
    const again = await openReleaseLog(location)
    await again.append(denial(102))
    await again.close()
    const files = await readLog(location)
    const { problems } = verifyLog(files, { rootKey: toHex(location.key.identity.rootKey) })
    expect(problems).toEqual([])
    expect(files.map(({ content }) => content.toString()).join('')).not.toContain('reason 100')
  },
)

test('release log: a segment does not begin in a file with other content', async () => {
  const location = await newLocation({ segmentBytes: 900 })
  const log = await begin(location)
  let index = 0
  while (log.size().bytes < 900) await log.append(denial(index++))
  await writeFile(join(location.folder, '00000001.log'), 'entries of another log')
  const code = 'KMS_LOG_UNWRITABLE'

  await expect(log.append(denial(100))).rejects.toMatchObject({ code })
  expect(await readFile(join(location.folder, '00000001.log'), 'utf8')).toBe(
    'entries of another log',
  )
  await log.close()
})

test('release log: one valid slot of the head file is sufficient', async () => {
  const location = await newLocation()
  await createReleaseLog(location)
  const log = await openReleaseLog(location)
  const heads: Buffer[] = []
  for (let index = 0; index < 3; index++) {
    await log.append(denial(index))
    heads.push(await readFile(location.headFile))
  }
  await log.close()
  const whole = heads[2] as Buffer
  const half = whole.length / 2
  const cut = join(location.folder, '00000000.log')
  const text = await readFile(cut, 'utf8')
  const lines = text.split('\n')
  const shortened = (entries: number) => `${lines.slice(0, 1 + 2 * entries).join('\n')}\n`
  const open = async (head: Buffer, entries: number) => {
    await writeFile(location.headFile, head)
    await writeFile(cut, shortened(entries))
    return openReleaseLog(location).then(
      async (opened) => {
        await opened.close()
        return 'opened'
      },
      (error) => error.code,
    )
  }
  const damage = (slot: number) => {
    const copy = Buffer.from(whole)
    copy[slot * half + 20] = (copy[slot * half + 20] ?? 0) ^ 1
    return copy
  }
  // three entries were written, so the third lies in the first slot and the second in the other
  expect(await open(whole, 3)).toBe('opened')
  expect(await open(whole, 2)).toBe('KMS_LOG_CUT')
  expect(await open(damage(1), 2)).toBe('KMS_LOG_CUT')
  expect(await open(damage(0), 2)).toBe('opened')
  expect(await open(damage(0), 1)).toBe('KMS_LOG_CUT')
  const both = damage(0)
  both[half + 20] = (both[half + 20] ?? 0) ^ 1
  expect(await open(both, 3)).toBe('KMS_LOG_HEAD_UNREADABLE')
  expect(await open(whole.subarray(0, half), 3)).toBe('KMS_LOG_HEAD_UNREADABLE')
})

test.each([4095, 4096, 4097, 8192])(
  'release log: a peer follows %i entries page by page',
  async (entries) => {
    const log = await begin(await newLocation())
    await Promise.all(Array.from({ length: entries }, (_, index) => log.append(denial(index))))
    let from = 0
    const pages: number[] = []
    for (;;) {
      const page = await log.digests(from)
      if (page.length === 0) break
      pages.push(page.length / 32)
      from += page.length / 32
    }
    await log.close()

    expect(from).toBe(entries)
    expect(pages).toHaveLength(Math.ceil(entries / 4096))
  },
)
