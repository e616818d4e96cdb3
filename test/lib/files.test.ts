/** Files that a user names: reads are bounded, and writes leave the old file or the new one. */
import { execFileSync } from 'node:child_process'
import {
  chmod,
  lstat,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import {
  maxFileBytes,
  readBytes,
  readPieces,
  replaceFile,
  rewriteFile,
  writeNewFile,
} from '../../src/lib/files.ts'

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

describe.skipIf(process.platform === 'win32')('a path in a folder of others', () => {
  test.each([
    ['a device without an end', '/dev/zero'],
    ['the terminal or pipe of a process', '/proc/self/fd/0'],
  ])('is refused as a link to %s', async (_, target) => {
    await rm(file('link'), { force: true })
    await symlink(target, file('link'))

    await expect(readBytes(file('link'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
  })

  test('is refused as a named pipe without a writer', async () => {
    execFileSync('mkfifo', [file('pipe')])

    await expect(readBytes(file('pipe'))).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: `${file('pipe')} is not a regular file.`,
    })
    await expect(readPieces(file('pipe')).next()).rejects.toMatchObject({ code: 'FILE_UNREADABLE' })
  })

  test('is read as a link to a regular file', async () => {
    await writeFile(file('target'), 'content')
    await symlink('target', file('good-link'))

    expect(String(await readBytes(file('good-link')))).toBe('content')
  })
})

test.skipIf(process.platform === 'win32')(
  'reads the pipe that a user connects, and no device to its end',
  async () => {
    const code = `const { readBytes } = await import('${import.meta.resolve('../../src/lib/files.ts')}')
    const read = await readBytes('/dev/stdin', 100).catch(({ code }) => code)
    console.log(String(read))`
    const run = (command: string) =>
      execFileSync('sh', ['-c', `${command}`], {
        env: { ...process.env, CODE: code, NODE: process.execPath },
      })
        .toString()
        .trim()

    expect(run('printf piped | "$NODE" --input-type=module -e "$CODE"')).toBe('piped')
    expect(run('"$NODE" --input-type=module -e "$CODE" < /dev/zero')).toBe('INPUT_TOO_LARGE')
  },
)

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

test.skipIf(process.platform === 'win32')(
  'a rewritten file keeps its mode and the link to it',
  async () => {
    await writeFile(file('private'), 'old', { mode: 0o600 })
    await writeFile(file('shared'), 'old')
    await chmod(file('shared'), 0o666)
    await symlink('private', file('private-link'))

    await rewriteFile(file('private-link'), 'new')
    await rewriteFile(file('shared'), 'new')

    expect(await readFile(file('private'), 'utf8')).toBe('new')
    expect((await stat(file('private'))).mode & 0o777).toBe(0o600)
    expect((await stat(file('shared'))).mode & 0o777).toBe(0o666)
    expect((await lstat(file('private-link'))).isSymbolicLink()).toBe(true)
    await expect(rewriteFile(file('gone'), 'new')).rejects.toMatchObject({
      code: 'FILE_UNWRITABLE',
    })
  },
)

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
