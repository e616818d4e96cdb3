import { spawn } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'
import {
  generateKeys,
  loadOrBootstrap,
  openKeyStore,
  type Protection,
} from '../../src/kms/keys/key-store.ts'
import { toHex } from '../../src/lib/bytes.ts'

const newFolder = () => mkdtemp(join(tmpdir(), 'kms-keys-'))
const sealed: Protection = { kind: 'sealed', sealingKey: async () => new Uint8Array(32).fill(7) }
const plain: Protection = { kind: 'insecure-plain' }

describe.each([sealed, plain])('$kind', (protection) => {
  test('returns the stored keys from a file that only this user can read', async () => {
    const folder = await newFolder()
    const keys = generateKeys()
    const store = openKeyStore(folder, protection)

    expect(await store.load()).toBeUndefined()
    await store.create(keys)
    expect(await store.load()).toEqual(keys)
    expect((await stat(join(folder, 'root-keys.bin'))).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['root-keys.bin'])
  })

  test('never overwrites keys', async () => {
    const folder = await newFolder()
    const store = openKeyStore(folder, protection)
    const keys = generateKeys()
    await store.create(keys)

    await expect(store.create(generateKeys())).rejects.toMatchObject({ code: 'KMS_KEYS_EXIST' })
    expect(await store.load()).toEqual(keys)
    expect(await readdir(folder)).toEqual(['root-keys.bin'])
  })

  test('returns the same keys at the second start', async () => {
    const store = openKeyStore(await newFolder(), protection)
    const first = await loadOrBootstrap(store)
    const second = await loadOrBootstrap(store, () => {
      throw new Error('must not generate')
    })

    expect([first.created, second.created]).toEqual([true, false])
    expect(second.keys).toEqual(first.keys)
    expect(first.keys.ca).not.toEqual(new Uint8Array(32))
  })

  test('refuses a file with a changed or missing byte', async () => {
    const folder = await newFolder()
    const path = join(folder, 'root-keys.bin')
    const store = openKeyStore(folder, protection)
    await store.create(generateKeys())
    const good = await readFile(path)

    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good)
      bad[at] = (bad[at] ?? 0) ^ 1
      await writeFile(path, bad)
      await expect(store.load()).rejects.toMatchObject({ code: 'KMS_KEYS_UNREADABLE' })
    }
    await writeFile(path, good.subarray(0, -1))
    await expect(store.load()).rejects.toMatchObject({ code: 'KMS_KEYS_UNREADABLE' })
    await writeFile(path, '')
    await expect(store.load()).rejects.toMatchObject({ code: 'KMS_KEYS_UNREADABLE' })
  })

  test('refuses a file that others can read', async () => {
    const folder = await newFolder()
    const store = openKeyStore(folder, protection)
    await store.create(generateKeys())
    await chmod(join(folder, 'root-keys.bin'), 0o640)

    await expect(store.load()).rejects.toMatchObject({ code: 'KMS_KEYS_EXPOSED' })
  })

  test('removes the temporary file of a killed bootstrap', async () => {
    const folder = await newFolder()
    const store = openKeyStore(folder, protection)
    await writeFile(join(folder, 'root-keys.bin.new-1-abcd'), 'half', { mode: 0o600 })

    expect(await store.load()).toBeUndefined()
    await loadOrBootstrap(store)
    expect(await readdir(folder)).toEqual(['root-keys.bin'])
  })
})

test('KMS key store: sealed bytes do not contain the keys, and another CVM cannot open them', async () => {
  const folder = await newFolder()
  const { keys } = await loadOrBootstrap(openKeyStore(folder, sealed))
  const file = toHex(await readFile(join(folder, 'root-keys.bin')))
  const other: Protection = { kind: 'sealed', sealingKey: async () => new Uint8Array(32).fill(8) }

  for (const key of Object.values(keys)) expect(file).not.toContain(toHex(key))
  for (const protection of [other, plain]) {
    await expect(openKeyStore(folder, protection).load()).rejects.toMatchObject({
      code: 'KMS_KEYS_UNREADABLE',
    })
  }
})

test('KMS key store: a KMS with sealing does not read plain files', async () => {
  const folder = await newFolder()
  await loadOrBootstrap(openKeyStore(folder, plain))

  await expect(openKeyStore(folder, sealed).load()).rejects.toMatchObject({
    code: 'KMS_KEYS_UNREADABLE',
  })
})

test('KMS key store: two bootstraps at the same time end with one set of keys', async () => {
  const folder = await newFolder()
  const attempts = Array.from({ length: 8 }, () => loadOrBootstrap(openKeyStore(folder, plain)))
  const settled = await Promise.allSettled(attempts)
  const winners = settled.filter((one) => one.status === 'fulfilled').map((one) => one.value)

  expect(winners.length).toBeGreaterThan(0)
  expect(new Set(winners.map(({ keys }) => toHex(keys.ca))).size).toBe(1)
})

test('KMS key store: after a kill at any moment the next start has one complete set of keys', async () => {
  for (let round = 0; round < 6; round++) {
    const folder = await newFolder()
    const program = `
      import { loadOrBootstrap, openKeyStore } from ${JSON.stringify(join(import.meta.dirname, '../../src/kms/keys/key-store.ts'))}
      console.log('ready')
      await loadOrBootstrap(openKeyStore(${JSON.stringify(folder)}, { kind: 'insecure-plain' }))
      await new Promise((done) => setTimeout(done, 1000))`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program])
    await new Promise((ready) => child.stdout.once('data', ready))
    await new Promise((wait) => setTimeout(wait, round))
    child.kill('SIGKILL')
    await new Promise((gone) => child.once('exit', gone))

    const { keys } = await loadOrBootstrap(openKeyStore(folder, plain))
    expect((await loadOrBootstrap(openKeyStore(folder, plain))).keys).toEqual(keys)
    expect(await readdir(folder)).toEqual(['root-keys.bin'])
  }
})
