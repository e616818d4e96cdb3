/** Files that a user names: reads are bounded, and writes leave the old file or the new one. */
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { maxFileBytes, readBytes, replaceFile, writeNewFile } from '../../src/lib/files.ts'

let folder: string
const file = (name: string) => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-files-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** A file of zeros, which takes no space on the disk. */
async function zeros(name: string, length: number): Promise<string> {
  const handle = await open(file(name), 'w')
  await handle.truncate(length)
  await handle.close()
  return file(name)
}

test('reads the longest file that is allowed, and no longer one', async () => {
  expect((await readBytes(await zeros('longest', maxFileBytes))).length).toBe(maxFileBytes)
  await expect(readBytes(await zeros('longer', maxFileBytes + 1))).rejects.toMatchObject({
    code: 'INPUT_TOO_LARGE',
    facts: { file: file('longer') },
  })
})

test.skipIf(process.platform === 'win32')('stops to read a device without an end', async () => {
  await expect(readBytes('/dev/zero')).rejects.toMatchObject({ code: 'INPUT_TOO_LARGE' })
})

test.each(['absent', '.'])('names the path if %s cannot be read', async (name) => {
  await expect(readBytes(file(name))).rejects.toMatchObject({
    code: 'FILE_UNREADABLE',
    facts: { file: file(name) },
  })
})

test('replaces a file as a whole, and leaves no other file', async () => {
  await writeFile(file('replaced'), 'old')

  await replaceFile(file('replaced'), 'new', { mode: 0o600 })

  expect(await readFile(file('replaced'), 'utf8')).toBe('new')
  expect((await stat(file('replaced'))).mode & 0o777).toBe(0o600)
  expect((await readdir(folder)).filter((name) => name.includes('.new-'))).toEqual([])
})

test('a reader never sees a part of a replaced file', async () => {
  const length = 1 << 20
  await replaceFile(file('whole'), 'a'.repeat(length))
  let isDone = false
  const writing = (async () => {
    for (const letter of 'bcdefghij') await replaceFile(file('whole'), letter.repeat(length))
    isDone = true
  })()

  while (!isDone) {
    const text = await readFile(file('whole'), 'utf8')
    expect(text.length).toBe(length)
    expect(text.at(0)).toBe(text.at(-1))
  }
  await writing
})

test('writes a new file, and refuses one that exists', async () => {
  await writeNewFile(file('first'), 'one')

  await expect(writeNewFile(file('first'), 'two')).rejects.toMatchObject({ code: 'FILE_EXISTS' })
  expect(await readFile(file('first'), 'utf8')).toBe('one')
})

test('leaves nothing behind if the folder does not exist', async () => {
  const place = join(folder, 'absent', 'file')

  await expect(replaceFile(place, 'text')).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' })
})
