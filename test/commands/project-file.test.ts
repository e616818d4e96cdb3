/** Whose `assent.toml` is used: it decides which endpoints and contracts are asked. */
import { chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeEach, describe, expect, test } from 'vitest'

import { readProfile } from '../../src/commands/session/profile.ts'

/** Only root can give files away. */
const isRoot = process.geteuid?.() === 0
const somebodyElse = 65_534

const folder = await mkdtemp(join(tmpdir(), 'assent-owner-'))
const file = join(folder, 'assent.toml')
const below = join(folder, 'project')
const read = (from: string) => readProfile({}, {}, from)

describe.skipIf(!isRoot)('a project file of another user', () => {
  beforeEach(async () => {
    await rm(folder, { recursive: true })
    await mkdir(below, { recursive: true })
    await writeFile(file, '[profiles.local]\n')
    await chown(file, somebodyElse, somebodyElse)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('in a folder above is refused, and the error names the file', async () => {
    await expect(read(below)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      facts: { file, owner: somebodyElse },
    })
  })

  test('in a shared folder is refused', async () => {
    await expect(read(folder)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test('is refused behind a symbolic link', async () => {
    await symlink(file, join(below, 'assent.toml'))

    await expect(read(below)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
  })

  test('is used in its owner’s folder, because the user went there', async () => {
    await chown(folder, somebodyElse, somebodyElse)

    expect(await read(folder)).toMatchObject({ name: 'local', file })
  })

  test('is used after the user has made it their own', async () => {
    await chown(file, 0, 0)

    expect(await read(below)).toMatchObject({ name: 'local', file })
  })
})
