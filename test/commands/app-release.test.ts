/** From a Docker Compose file to a release that boots, with the commands of an app owner, on a live chain. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { p256 } from '@noble/curves/nist.js'
import { type Address, createTestClient, createWalletClient, http, publicActions } from 'viem'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { noEnd } from '../../src/chain/approval.ts'
import { sendCall } from '../../src/chain/call.ts'
import { approveManifest, supersede } from '../../src/chain/registries/app.ts'
import {
  deployAndRegisterApp,
  deployedApp,
  setKmsInfo,
} from '../../src/chain/registries/registry.ts'
import { releaseCommands } from '../../src/commands/app-release.ts'
import { issueSelfSigned, keyToPem, toPem } from '../../src/kms/certificates/certificate.ts'
import {
  deriveEnvKey,
  encodeSpki,
  envPublicKey,
  k256PublicKey,
  signEnvPublicKey,
} from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import { fromHex, type Hex, to0x, toHex } from '../../src/lib/bytes.ts'
import { readManifest } from '../../src/manifest/manifest.ts'
import { openEnvironment } from '../../src/manifest/seal-environment.ts'
import { findAnvil } from '../anvil.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'
import { vectorsFolder } from '../vectors.ts'
import { assent } from './run-command.ts'

const absent = findAnvil() === undefined
const digest = `sha256:${'ab'.repeat(32)}`
const compose = `name: shop
services:
  web:
    image: nginx:1.29@${digest}
    environment: [TOKEN]
`
const image: Hex = `0x${'22'.repeat(32)}`
const device: Hex = `0x${'33'.repeat(32)}`
const keys = generateKeys()

let fixture: TaskFixture
let folder: string
let app: Address
let kms: Server
let kmsUrl: string
let file: (name: string) => string

/** The JSON value, checked by the command's own schema. */
async function json(...args: string[]) {
  const { text, exitCode } = await assent(...args, '--json')
  const value = JSON.parse(text)
  const command = releaseCommands.find(({ path }) => path.every((word, i) => args[i] === word))
  const loaded = (await command?.load()) as
    | { schema: { parse(value: unknown): unknown } }
    | undefined
  if (value.error === undefined) loaded?.schema.parse(value)
  return { value, exitCode }
}

const failure = async (...args: string[]) => {
  const { value, exitCode } = await json(...args)
  return [value.error?.code, exitCode]
}

describe.skipIf(absent)('an app owner', () => {
  beforeAll(async () => {
    fixture = await createTaskFixture()
    folder = await mkdtemp(join(tmpdir(), 'assent-owner-'))
    file = (name) => join(folder, name)
    vi.spyOn(process, 'cwd').mockReturnValue(folder)
    await writeFile(file('docker-compose.yml'), compose)
    await writeFile(file('.env'), 'TOKEN="hunter 22"\n')
    const owner = fixture.people.voter
    const { kmsAuth, timelock } = fixture.addresses
    const create = deployAndRegisterApp(kmsAuth, {
      owner: fixture.account('voter'),
      deviceId: device,
    })
    app = deployedApp(await sendCall(owner, create))
    // what the DAO decides, without the days of a vote
    const info = {
      k256Pubkey: to0x(k256PublicKey(keys.k256)),
      caPubkey: to0x(encodeSpki(keys.ca)),
      quote: '0x',
      eventlog: '0x',
    } as const
    await asTimelock(timelock, setKmsInfo(kmsAuth, info).data)
    await startKms()
    await writeFile(
      file('assent.toml'),
      `[profiles.local]\nrpcUrls = ["${fixture.url}"]\ndeployments = "${fixture.folder}"\napp = "${app}"\nkms = "${kmsUrl}"\n`,
    )
  }, 120_000)
  afterAll(async () => {
    vi.restoreAllMocks()
    kms?.closeAllConnections()
    kms?.close()
    await fixture?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function asTimelock(timelock: Address, data: Hex): Promise<void> {
    const transport = http(fixture.url)
    const client = createTestClient({ mode: 'anvil', transport }).extend(publicActions)
    await client.impersonateAccount({ address: timelock })
    await client.setBalance({ address: timelock, value: 10n ** 18n })
    const wallet = createWalletClient({ transport })
    const to = fixture.addresses.kmsAuth
    const hash = await wallet.sendTransaction({ account: timelock, to, data, chain: null })
    await client.waitForTransactionReceipt({ hash, pollingInterval: 20 })
  }

  /** Answers as a KMS of these keys. The real one is in test/kms/env-public-key.test.ts. */
  async function startKms(): Promise<void> {
    const key = p256.utils.randomSecretKey()
    const now = () => Math.floor(Date.now() / 1000)
    const certificate = await issueSelfSigned(key, { commonName: 'kms' }, now())
    kms = createServer({ key: keyToPem(key), cert: toPem(certificate) }, (_, response) => {
      const appId = fromHex(app, 'app')
      const publicKey = envPublicKey(deriveEnvKey(keys, appId))
      const timestamp = now()
      response.end(
        JSON.stringify({
          public_key: toHex(publicKey),
          signature: '',
          timestamp,
          signature_v1: toHex(signEnvPublicKey(keys, appId, publicKey, timestamp)),
        }),
      )
    })
    await new Promise<void>((resolve) => kms.listen(0, '127.0.0.1', resolve))
    kmsUrl = `https://127.0.0.1:${(kms.address() as AddressInfo).port}`
  }

  const manifestFile = () => file('app-compose.json')
  const readHash = async () => readManifest(await readFile(manifestFile())).composeHash

  test('writes a manifest and does not overwrite it', async () => {
    const { value } = await json('app', 'init', file('docker-compose.yml'), '--out', manifestFile())

    expect(value).toMatchObject({ variableNames: ['TOKEN'], services: [{ name: 'web', digest }] })
    expect(value.composeHash).toBe(await readHash())
    expect(
      await failure('app', 'init', file('docker-compose.yml'), '--out', manifestFile()),
    ).toEqual(['FILE_EXISTS', 2])
  })

  test('exits with 1 if lint finds errors in what it wrote', async () => {
    const compose = file('privileged.yml')
    const service = `image: nginx@${digest}\n    privileged: true`
    await writeFile(compose, `name: x\nservices:\n  web:\n    ${service}\n`)

    const { exitCode } = await assent('app', 'init', compose, '--out', file('privileged.json'))

    expect(exitCode).toBe(1)
    expect((await assent('app', 'lint', file('privileged.json'))).exitCode).toBe(1)
  })

  test('seals the environment with the key of the KMS and pins its digest', async () => {
    const before = await readHash()
    const sealedFile = file('env.sealed')
    const { value } = await json(
      'app',
      'env',
      'seal',
      manifestFile(),
      '--env-file',
      file('.env'),
      '--out',
      sealedFile,
    )

    expect(value).toMatchObject({ names: ['TOKEN'], epoch: 1, isPinned: true })
    expect(value.composeHash).not.toBe(before)
    expect(value.composeHash).toBe(await readHash())
    const opened = openEnvironment(
      deriveEnvKey(keys, fromHex(app, 'app')),
      await readFile(sealedFile),
    )
    expect(opened).toEqual(new Map([['TOKEN', 'hunter 22']]))
    expect(JSON.stringify(value)).not.toContain('hunter')
    expect((await json('app', 'lint', manifestFile())).value.findings).toEqual([])
  })

  test('refuses to seal for a manifest that names another KMS', async () => {
    const foreign = file('foreign.json')
    const sealed = file('foreign.sealed')
    const members = JSON.parse(await readFile(manifestFile(), 'utf8'))
    const text = JSON.stringify({ ...members, key_provider_id: '11'.repeat(91) })
    await writeFile(foreign, text)

    const args = [foreign, '--env-file', file('.env'), '--out', sealed]
    expect(await failure('app', 'env', 'seal', ...args)).toEqual(['MANIFEST_KMS_DIFFERS', 2])
    expect(await readFile(foreign, 'utf8')).toBe(text)
    await expect(readFile(sealed)).rejects.toThrow('ENOENT')
  })

  test('sees why the release does not boot yet, and when it will', async () => {
    const question = ['app', 'why', manifestFile(), '--image', image, '--device', device]
    const before = await json(...question)
    expect([before.value.answer, before.exitCode]).toEqual(['denied', 1])
    expect(unmetOf(before.value)).toEqual(['imageNotAllowed', 'releaseNotAllowed'])

    const notAfter = noEnd
    const manifest = await readFile(manifestFile())
    const call = approveManifest(app, await readHash(), manifest, { notAfter })
    await sendCall(fixture.people.voter, call)
    expect(unmetOf((await json(...question)).value)).toEqual(['imageNotAllowed'])
    const { text } = await assent(...question)
    expect(text).toContain('OS image is not allowed')
    expect(text).toMatch(/✓ Release 1: active since/)
    expect(text).toMatch(/✗ The base image: never approved/)
  })

  test('sees that a proposal would allow the release, and later that it is allowed', async () => {
    const question = ['app', 'why', manifestFile(), '--image', image, '--device', device]
    const from = fixture.account('voter')
    const { text } = await assent(
      'dao',
      'approve',
      'os-image',
      image,
      '--from',
      from,
      '--yes',
      '--json',
    )
    const proposal = JSON.parse(text).proposals[0].id as string

    const after = await json(...question, '--after', proposal)
    expect([after.value.answer, after.exitCode]).toEqual(['allowed', 0])
    expect(after.value.notes.length).toBeGreaterThan(0)
    expect((await json(...question)).value.answer).toBe('denied')
    expect((await json(...question, '--after', 'queued')).value.answer).toBe('denied')
  })

  test('sees what the next manifest changes compared with the published one', async () => {
    const next = JSON.parse((await readFile(manifestFile())).toString())
    next.public_logs = true
    await writeFile(file('next.json'), JSON.stringify(next))
    const { value, exitCode } = await json('app', 'changes', file('next.json'))

    expect(exitCode).toBe(1)
    expect(value.changes).toEqual([
      { kind: 'changed', place: 'public_logs', before: false, after: true },
    ])
    expect((await json('app', 'changes', manifestFile())).value.result).toBe('same-bytes')
    const between = await json('app', 'diff', manifestFile(), file('next.json'))
    expect(between.value.changes).toEqual(value.changes)
    for (const side of ['chain', 'chain:1', `chain:${(await readHash()).slice(0, 12)}`]) {
      expect((await json('app', 'diff', side, file('next.json'))).value).toEqual(between.value)
    }
    expect((await json('app', 'diff', manifestFile(), 'chain')).exitCode).toBe(0)
    expect(await failure('app', 'diff', 'chain:7', manifestFile())).toEqual([
      'MANIFEST_UNPUBLISHED',
      1,
    ])
  })

  test('sees the end of a superseded release in advance', async () => {
    const next = await readFile(file('next.json'))
    const { composeHash } = readManifest(next)
    const notAfter = noEnd
    await sendCall(fixture.people.voter, approveManifest(app, composeHash, next, { notAfter }))
    const end = Number((await fixture.anvil.client.getBlock()).timestamp) + 3_600
    await sendCall(fixture.people.voter, supersede(app, 2, end, false))
    const { value, exitCode } = await json('app', 'why', manifestFile())

    const release = value.conditions.find(
      ({ denial }: { denial: string }) => denial === 'releaseNotAllowed',
    )
    expect(release).toMatchObject({ state: 'met', until: end })
    expect(release.found).toContain('superseded by release 2 from')
    expect(value.timeline[1]).toMatchObject({ from: end, reason: 'Compose hash not allowed' })
    // neither image nor device were named
    expect([value.answer, exitCode]).toEqual(['unknown', 3])
    const later = await json('app', 'why', manifestFile(), '--at', String(end))
    expect(later.value.answer).toBe('denied')
  })

  test.skipIf(vectorsFolder === undefined)('asks with the quote of a machine', async () => {
    const quote = join(vectorsFolder as string, 'dstack/verifier/tdx-lite-getquote.json')
    const { value } = await json('app', 'why', '--quote', quote)

    expect(value).toMatchObject({ answer: 'denied', reason: 'App not registered' })
    expect(value.notes).toEqual(['The quote is not verified: --collateral is missing.'])
    expect((await json('app', 'diff', quote, manifestFile())).value).toMatchObject({
      result: 'different',
      changes: null,
    })
    const node = await assent('kms', 'why', '--quote', quote)
    expect(node.exitCode).toBe(1)
  })

  describe('an app command with wrong input', () => {
    test.each<[string, () => string[], string, number]>([
      ['no manifest', () => ['app', 'lint', file('none.json')], 'FILE_UNREADABLE', 2],
      [
        'a Compose file as manifest',
        () => ['app', 'hash', file('docker-compose.yml')],
        'MANIFEST_INVALID',
        2,
      ],
      [
        'a manifest as Compose file',
        () => ['app', 'init', file('.env'), '--name', 'x'],
        'COMPOSE_INVALID',
        2,
      ],
      ['a folder', () => ['app', 'hash', folder], 'FILE_UNREADABLE', 2],
      ['an image that nobody knows', () => ['app', 'why', '--image', 'nothing'], 'NAME_UNKNOWN', 2],
      ['a device of few digits', () => ['app', 'why', '--device', '33'], 'USAGE_INVALID', 2],
      ['a time that is none', () => ['app', 'why', '--at', 'soon'], 'USAGE_INVALID', 2],
      ['a proposal that is none', () => ['app', 'why', '--after', 'x'], 'USAGE_INVALID', 2],
      ['a quote that is none', () => ['app', 'why', '--quote', manifestFile()], 'INPUT_INVALID', 2],
      [
        'pins that are none',
        () => ['app', 'why', '--pinned-code', manifestFile()],
        'INPUT_INVALID',
        2,
      ],
      ['another app', () => ['app', 'why', '--app', `0x${'12'.repeat(20)}x`], 'USAGE_INVALID', 2],
      [
        'a release that does not exist',
        () => ['app', 'changes', manifestFile(), '--release', '9'],
        'MANIFEST_UNPUBLISHED',
        1,
      ],
      ['an environment without its variable', () => seal(file('assent.toml')), 'ENV_INVALID', 2],
      [
        'a KMS that does not answer',
        () => [...seal(file('.env')), '--kms-url', 'https://127.0.0.1:1'],
        'KMS_UNREACHABLE',
        3,
      ],
      [
        'a chain that does not answer',
        () => ['app', 'why', '--rpc-url', 'http://127.0.0.1:1'],
        'CHAIN_UNREACHABLE',
        3,
      ],
    ])('%s', async (_, args, code, exitCode) => {
      const silent = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
      expect(await failure(...args())).toEqual([code, exitCode])
      silent.mockRestore()
    })

    const seal = (variables: string) => [
      'app',
      'env',
      'seal',
      manifestFile(),
      '--env-file',
      variables,
    ]

    test('refuses a KMS with other root keys than those on-chain', async () => {
      const other = generateKeys()
      const info = {
        k256Pubkey: to0x(k256PublicKey(other.k256)),
        caPubkey: to0x(encodeSpki(other.ca)),
        quote: '0x',
        eventlog: '0x',
      } as const
      await asTimelock(fixture.addresses.timelock, setKmsInfo(fixture.addresses.kmsAuth, info).data)
      const before = await readHash()

      expect(await failure(...seal(file('.env')))).toEqual(['ENV_KEY_UNTRUSTED', 1])
      expect(await readHash()).toBe(before)
    })
  })
})

function unmetOf({ conditions }: { conditions: { state: string; denial: string }[] }): string[] {
  return conditions.filter(({ state }) => state === 'unmet').map(({ denial }) => denial)
}
