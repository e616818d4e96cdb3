import { createPrivateKey, sign } from 'node:crypto'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import {
  extensionIds,
  fromPem,
  issueLeaf,
  keyFromPem,
  keyToPem,
} from '../../src/kms/certificates/certificate.ts'
import { fetchAppKeys, verifyFetchedKeys } from '../../src/kms/client.ts'
import { encodeSpki } from '../../src/kms/keys/derive.ts'
import { runBootstrap, runKms } from '../../src/kms/main.ts'
import { concatBytes, toHex } from '../../src/lib/bytes.ts'
import { scaleBytes, scaleText } from '../../src/lib/scale.ts'
import { decodeAttestation } from '../../src/quote/attestation.ts'
import { bootstrapReportData } from '../../src/quote/measurements/measure.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { type Asked, ask } from './http-fixture.ts'
import { createMachine, type Machine } from './process-fixture.ts'

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

describe('assent kms bootstrap', () => {
  test('creates sealed keys once, with a quote over both public keys', async () => {
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

  test('continues with the same keys after an interruption', async () => {
    const configFile = await configure()
    const first = await runBootstrap({ configFile, env: {} })
    await rm(join(folder, 'keys', 'bootstrap-info.json'))
    const second = await runBootstrap({ configFile, env: {} })

    expect(toHex(second.caPubkey)).toBe(toHex(first.caPubkey))
    expect(toHex(second.k256Pubkey)).toBe(toHex(first.k256Pubkey))
  })

  test('is refused and leaves no files if the chain does not approve this KMS', async () => {
    await machine.chain.setBehaviour('self-deny')

    await expect(runBootstrap({ configFile: await configure(), env: {} })).rejects.toMatchObject({
      code: 'KMS_SELF_DENIED',
      message: expect.stringMatching(/^KMS is not allowed to bootstrap: /),
    })
    expect(await readdir(folder)).toEqual(['config.json'])
  })
})

describe('assent kms run', () => {
  test('never creates root keys', async () => {
    await expect(
      runKms({ configFile: await configure(), env: {}, signal: aborted }),
    ).rejects.toMatchObject({ code: 'KMS_NOT_BOOTSTRAPPED' })
    expect(await readdir(folder)).toEqual(['config.json'])
  })

  test('refuses to start with a bootstrap statement about other keys', async () => {
    const configFile = await configure()
    await runBootstrap({ configFile, env: {} })
    const path = join(folder, 'keys', 'bootstrap-info.json')
    const info = JSON.parse(await readFile(path, 'utf8'))
    await writeFile(path, JSON.stringify({ ...info, k256_pubkey: `02${'11'.repeat(32)}` }))

    await expect(runKms({ configFile, env: {}, signal: aborted })).rejects.toMatchObject({
      code: 'KMS_KEYS_UNREADABLE',
    })
  })

  test('checks all settings and has no default for security settings', async () => {
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

test('assent kms run serves, releases a key and stops on SIGTERM', async () => {
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

test('the memory and the latency of the KMS stay small when requests claim any size', async () => {
  const configFile = await configure()
  await runBootstrap({ configFile, env: {} })
  const node = await machine.run(configFile)
  const post = (path: string, body: string | Uint8Array, identity?: Asked['identity']) =>
    ask(node, { path, body, ...(identity ? { identity } : {}) })
  const memory = async () =>
    Number(
      /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${node.child.pid}/status`, 'utf8'))?.[1],
    )
  const temp = JSON.parse((await post('/prpc/GetTempCaCert?json', '{}')).text)
  const issuer = { key: keyFromPem(temp.temp_ca_key), certificate: fromPem(temp.temp_ca_cert) }
  const before = await memory()

  const key = new Uint8Array(32).fill(9)
  const signer = createPrivateKey({ key: keyToPem(key) })
  for (const bomb of bombs()) {
    const csr = concatBytes(
      scaleText('please sign cert:'),
      scaleBytes(encodeSpki(key)),
      Uint8Array.of(0),
      scaleText('x'),
      Uint8Array.of(0, 0, 0, 0, 0, 0, 0),
      bomb,
    )
    for (const signature of [sign('sha256', csr, signer), Buffer.alloc(8)]) {
      const hex = [csr, signature].map((bytes) => Buffer.from(bytes).toString('hex'))
      const body = JSON.stringify({ api_version: 2, csr: hex[0], signature: hex[1] })
      expect((await post('/prpc/SignCert?json', body)).status).toBe(400)
    }
    if (bomb.length > 20_000) continue
    const leaf = {
      spki: encodeSpki(key),
      commonName: 'x',
      extensions: new Map([[extensionIds.attestation, bomb]]),
    }
    const certificate = await issueLeaf(issuer, leaf, Math.floor(Date.now() / 1000))
    expect((await post('/prpc/NoSuchMethod', '', { key, certificate })).status).toBe(400)
  }
  for (const body of ['['.repeat(4e6), `[${'{},'.repeat(2e6)}0]`, Buffer.alloc(4e6, '\x78\x01')]) {
    const path = typeof body === 'string' ? '/prpc/GetAppKey?json' : '/prpc/GetAppKey'
    expect((await post(path, body)).status).toBe(400)
  }

  expect((await memory()) - before).toBeLessThan(400_000)
  expect(await post('/prpc/GetTempCaCert?json', '{}')).toMatchObject({ status: 200 })
  expect(node.child.exitCode).toBeNull()
  expect(node.output().length).toBeLessThan(200_000)
  expect(await node.stop('SIGTERM')).toBe(0)
}, 120_000)

/** Attestations whose headers claim missing content, one of each family, alone and nested. */
function bombs(): Uint8Array[] {
  const start = concatBytes(Uint8Array.of(0x83, 0xa7), Buffer.from('version'))
  const heads = [0xc6, 0xc9, 0xdb, 0xdd, 0xdf].map((first) => Uint8Array.of(first, 0, 0xa0, 0, 0))
  const nested = heads.flatMap((head) =>
    [1, 60, 2_000].map((times) => concatBytes(start, ...Array.from({ length: times }, () => head))),
  )
  return [
    ...nested,
    concatBytes(start, new Uint8Array(2_000_000).fill(0x91)),
    concatBytes(start, Uint8Array.of(0xdd, 0, 0x10, 0, 0), new Uint8Array(2 ** 20).fill(0x80)),
    concatBytes(Uint8Array.of(0, 0, 0xfe, 0xff, 0xff, 0xff), new Uint8Array(100)),
    concatBytes(Uint8Array.of(0, 0, 0, 0xfe, 0xff, 0xff, 0xff), new Uint8Array(2_000_000)),
  ]
}
