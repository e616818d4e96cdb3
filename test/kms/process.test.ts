import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { fetchAppKeys, verifyFetchedKeys } from '../../src/kms/client.ts'
import { runBootstrap, runKms } from '../../src/kms/main.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { decodeAttestation } from '../../src/quote/attestation.ts'
import { bootstrapReportData } from '../../src/quote/measure.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { createMachine, type Machine } from './machine.ts'

let machine: Machine
let folder: string

beforeAll(async () => {
  machine = await createMachine()
}, 60_000)
beforeEach(async () => {
  folder = await machine.newFolder()
  await machine.chain.setBehaviour('allow')
})
afterAll(() => machine.stop())

const configure = (changed: Record<string, unknown> = {}) => machine.configure(folder, changed)

const aborted = AbortSignal.abort()

describe('bootstrap', () => {
  test('makes sealed keys once, and a quote over both public keys', async () => {
    const configFile = await configure()
    const info = await runBootstrap({ configFile, env: {} })
    const { quote } = decodeAttestation(info.attestation)

    expect(parseQuote(quote).report.reportData).toEqual(
      bootstrapReportData(info.caPubkey, info.k256Pubkey),
    )
    expect((await readdir(join(folder, 'keys'))).sort()).toEqual([
      'bootstrap-info.json',
      'root-keys.bin',
    ])
    expect((await stat(join(folder, 'keys', 'bootstrap-info.json'))).mode & 0o077).toBe(0)
    await expect(runBootstrap({ configFile, env: {} })).rejects.toMatchObject({
      code: 'KMS_KEYS_EXIST',
    })
  })

  test('cut off between the keys and the quote, it goes on with the same keys', async () => {
    const configFile = await configure()
    const first = await runBootstrap({ configFile, env: {} })
    await rm(join(folder, 'keys', 'bootstrap-info.json'))
    const second = await runBootstrap({ configFile, env: {} })

    expect(toHex(second.caPubkey)).toBe(toHex(first.caPubkey))
    expect(toHex(second.k256Pubkey)).toBe(toHex(first.k256Pubkey))
  })

  test('is refused where the chain does not approve this KMS, and leaves nothing', async () => {
    await machine.chain.setBehaviour('self-deny')

    await expect(runBootstrap({ configFile: await configure(), env: {} })).rejects.toMatchObject({
      code: 'KMS_SELF_DENIED',
      message: expect.stringMatching(/^KMS is not allowed to bootstrap: /),
    })
    expect(await readdir(folder)).toEqual(['config.json'])
  })
})

describe('run', () => {
  test('never makes root keys by the way', async () => {
    await expect(
      runKms({ configFile: await configure(), env: {}, signal: aborted }),
    ).rejects.toMatchObject({ code: 'KMS_NOT_BOOTSTRAPPED' })
    expect(await readdir(folder)).toEqual(['config.json'])
  })

  test('refuses a statement about other keys', async () => {
    const configFile = await configure()
    await runBootstrap({ configFile, env: {} })
    const path = join(folder, 'keys', 'bootstrap-info.json')
    const info = JSON.parse(await readFile(path, 'utf8'))
    await writeFile(path, JSON.stringify({ ...info, k256_pubkey: `02${'11'.repeat(32)}` }))

    await expect(runKms({ configFile, env: {}, signal: aborted })).rejects.toMatchObject({
      code: 'KMS_KEYS_UNREADABLE',
    })
  })

  test('the settings are checked whole, and nothing that matters has a default', async () => {
    const needed = [
      'chainView',
      'chainId',
      'kmsContract',
      'finality',
      'maxBlockAgeSeconds',
      'domain',
      'keyProtection',
      'trustedRoot',
      'collateral',
      'imageVerification',
      'selfAuthorization',
    ]
    for (const name of needed) {
      const configFile = await configure({ [name]: undefined })
      await expect(runKms({ configFile, env: {}, signal: aborted })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(name),
      })
    }
    const wrong = [
      { unknownSetting: 1 },
      { kmsContract: '0x12' },
      { finality: 'latest' },
      { trustedRoot: 'any' },
      { domain: 'a b' },
      { images: { zz: [] } },
      { quotePolicy: { statuses: [] } },
    ]
    for (const change of wrong) {
      const configFile = await configure(change)
      await expect(runKms({ configFile, env: {}, signal: aborted })).rejects.toMatchObject({
        code: expect.stringMatching(/^(CONFIG_INVALID|POLICY_INVALID)$/),
      })
    }
  })
})

test('as a process of its own: serves, releases a key, stops on SIGTERM', async () => {
  const configFile = await configure()
  const info = await runBootstrap({ configFile, env: {} })
  const node = await machine.run(configFile)
  const cvm = machine.boot('app')
  const keys = await fetchAppKeys(
    { url: node.url, caPublicKey: info.caPubkey },
    cvm.source,
    cvm.vmConfig,
  )
  verifyFetchedKeys(cvm.appId, keys, info.k256Pubkey)

  expect(await node.stop('SIGTERM')).toBe(0)
  // nothing but the log, not even a warning of the runtime's
  const lines = node.output().trim().split('\n')
  expect(lines.filter((line) => !line.startsWith('{'))).toEqual([])
  expect(node.output()).toContain('KMS stopped')
  expect(node.output()).not.toContain(toHex(keys.k256Key))
})
