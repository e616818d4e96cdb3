/** The chain of trust of a running app, and the log of its KMS, on a live chain with a DAO that voted. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, type Server } from 'node:tls'
import { p256 } from '@noble/curves/nist.js'
import { type Address, createTestClient, createWalletClient, http, publicActions } from 'viem'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { noEnd } from '../../src/chain/approval.ts'
import { sendCall } from '../../src/chain/call.ts'
import { approveManifest } from '../../src/chain/registries/app.ts'
import {
  approve,
  deployAndRegisterApp,
  deployedApp,
  setKmsInfo,
  shorten,
  withdraw,
} from '../../src/chain/registries/registry.ts'
import { schema } from '../../src/commands/app/verify.ts'
import { keyToPem, toPem } from '../../src/kms/certificates/certificate.ts'
import { selfIssueAttested } from '../../src/kms/certificates/ratls.ts'
import { encodeSpki, k256PublicKey } from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { headToJson } from '../../src/kms/log/witness-response.ts'
import { fromHex, type Hex, to0x, toHex } from '../../src/lib/bytes.ts'
import { readManifest } from '../../src/manifest/manifest.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator, type Simulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../anvil.ts'
import { assent } from '../commands/run-command.ts'
import { begin, denial, newLocation } from '../kms/log/log-fixture.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'

const keys = generateKeys()
const manifest = JSON.stringify({
  manifest_version: 2,
  name: 'shop',
  runner: 'docker-compose',
  docker_compose_file: `services:\n  web:\n    image: nginx@sha256:${'ab'.repeat(32)}\n`,
})

let fixture: TaskFixture
let folder: string
let simulator: Simulator
let app: Address
let cvm: SimulatedCvm
let proposal: string
let server: Server
let place: string

const file = (name: string) => join(folder, name)

async function verify(...args: string[]) {
  const trust = ['--root', file('root.der')]
  const { text, exitCode } = await assent('app', 'verify', ...args, ...trust, '--json')
  const value = JSON.parse(text)
  if (value.error === undefined) {
    schema.parse(value)
  }
  return { ...value, exitCode }
}
interface Step {
  readonly step: string
  readonly verdict: string
  readonly source: string
  readonly found: string
}
const verdictsOf = ({ steps }: { steps: Step[] }) =>
  Object.fromEntries(steps.map(({ step, verdict }) => [step, verdict]))
const stepOf = ({ steps }: { steps: Step[] }, name: string) =>
  steps.filter(({ step }) => step === name)
const collateral = () => ['--collateral', file('collateral.json')]

function boot(options: { compose?: string; provider?: Uint8Array; name?: string } = {}) {
  const { compose = manifest, provider = encodeSpki(keys.ca), name = 'image' } = options
  const booted = simulator
    .createPlatform()
    .createCvm({ image: createImage({ name }), compose, appId: fromHex(app, 'app') })
  booted.advance('ready', { keyProvider: { name: 'kms', id: provider } })
  return booted
}

async function answerOf(
  machine: SimulatedCvm,
  name: string,
  reportData = new Uint8Array(64),
): Promise<string> {
  const answer = {
    quote: toHex(machine.quote(reportData)),
    event_log: machine.eventLog('quote'),
    vm_config: machine.vmConfig,
  }
  await writeFile(file(name), JSON.stringify(answer))
  return file(name)
}

async function asTimelock(to: Address, data: Hex): Promise<void> {
  const { timelock } = fixture.addresses
  const transport = http(fixture.url)
  const client = createTestClient({ mode: 'anvil', transport }).extend(publicActions)
  await client.impersonateAccount({ address: timelock })
  await client.setBalance({ address: timelock, value: 10n ** 18n })
  const wallet = createWalletClient({ transport })
  const hash = await wallet.sendTransaction({
    ...{ account: timelock, to, data, chain: null },
    gas: 2_000_000n,
  })
  const { status } = await client.waitForTransactionReceipt({ hash, pollingInterval: 20 })
  expect(status).toBe('success')
}

describe.skipIf(findAnvil() === undefined)('an auditor', () => {
  beforeAll(async () => {
    fixture = await createTaskFixture()
    folder = await mkdtemp(join(tmpdir(), 'assent-auditor-'))
    vi.spyOn(process, 'cwd').mockReturnValue(folder)
    const { kmsAuth } = fixture.addresses
    const owner = fixture.people.voter
    const create = deployAndRegisterApp(kmsAuth, {
      owner: fixture.account('voter'),
      allowAnyDevice: true,
    })
    app = deployedApp(await sendCall(owner, create))
    const { composeHash } = readManifest(Buffer.from(manifest))
    const call = approveManifest(app, composeHash, Buffer.from(manifest), { notAfter: noEnd })
    await sendCall(owner, call)
    const info = {
      k256Pubkey: to0x(k256PublicKey(keys.k256)),
      caPubkey: to0x(encodeSpki(keys.ca)),
      quote: '0x',
      eventlog: '0x',
    } as const
    await asTimelock(kmsAuth, setKmsInfo(kmsAuth, info).data)
    const image = to0x(createImage({ name: 'image' }).osImageHash)
    proposal = await fixture.decide('dao approve', { kind: 'os-image', ids: [image] })

    const at = Number((await fixture.anvil.client.getBlock()).timestamp)
    simulator = createSimulator({ at, seed: new Uint8Array(32).fill(31) })
    cvm = boot()
    const key = p256.utils.randomSecretKey()
    const der = await selfIssueAttested(key, { commonName: 'shop' }, cvm.source, at)
    server = createServer({ key: keyToPem(key), cert: toPem(der) }, (socket) => socket.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    place = `127.0.0.1:${(server.address() as { port: number }).port}`
    await writeFile(file('root.der'), simulator.rootCertificate)
    await writeFile(file('collateral.json'), JSON.stringify(simulator.collateral()))
    await writeFile(
      file('assent.toml'),
      `[profiles.local]\nrpcUrls = ["${fixture.url}"]\ndeployments = "${fixture.folder}"\n[profiles.local.names]\nshop = "${app}"\n`,
    )
  }, 120_000)
  afterAll(async () => {
    vi.restoreAllMocks()
    server?.close()
    await fixture?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  test('sees the whole chain of trust of a running server in one answer', async () => {
    const value = await verify(place, ...collateral())

    expect(verdictsOf(value)).toMatchObject({
      running: 'yes',
      certificate: 'yes',
      quote: 'yes',
      'event-log': 'yes',
      app: 'yes',
      image: 'yes',
      manifest: 'yes',
      'key-provider': 'yes',
      imageNotAllowed: 'yes',
      releaseNotAllowed: 'yes',
      decision: 'yes',
    })
    expect(value).toMatchObject({
      exitCode: 0,
      answer: 'yes',
      app,
      composeHash: to0x(cvm.composeHash),
      deviceId: to0x(cvm.deviceId),
      osImageHash: to0x(cvm.image.osImageHash),
    })
    expect(stepOf(value, 'manifest')[0]?.found).toContain('shop, services web (nginx@sha256:abab')
    const kinds = value.decisions.map((each: { kind: string }) => each.kind)
    expect(kinds).toEqual(['app', 'release', 'osImage'])
  })

  test('sees the proposal, its votes and who executed it', async () => {
    const value = await verify(place, ...collateral())
    const [ofApp, , image] = value.decisions

    expect(image).toMatchObject({
      sender: fixture.account('stranger').toLowerCase(),
      vote: {
        governor: fixture.addresses.governor.toLowerCase(),
        proposal,
        votes: { against: '0', abstain: '0' },
      },
    })
    expect(BigInt(image.vote.votes.for)).toBeGreaterThan(0n)
    expect(ofApp).toMatchObject({ vote: null, sender: fixture.account('voter').toLowerCase() })
    const { text } = await assent(
      ...['app', 'verify', place, '--root', file('root.der'), ...collateral()],
    )
    expect(text).toMatch(
      /✓ The base image was approved by proposal \d+ of 0x\S+ at the governor 0x\S+ \(.* for, 0 against/,
    )
    expect(text.split('\n').at(-1)).toBe('All steps passed.')
  })

  test('names the vote of the current version, not a later approval of the same', async () => {
    const image = to0x(cvm.image.osImageHash)
    const quote = await answerOf(cvm, 'again.json')
    const ofImage = async () => {
      const { decisions } = await verify(quote)
      return decisions.find((each: { kind: string }) => each.kind === 'osImage')
    }
    const { kmsAuth } = fixture.addresses
    const kind = 'osImage'
    const again = (expiresAt = 0) => approve(kmsAuth, [{ kind, id: image, expiresAt }], noEnd)
    const first = await ofImage()

    await asTimelock(kmsAuth, again().data)
    const repeated = await ofImage()
    expect(repeated).toMatchObject({ transaction: first.transaction, vote: { proposal } })
    expect(repeated.repeats).toMatchObject([{ hasEffect: false }])
    const { text } = await assent('app', 'verify', quote, '--root', file('root.der'))
    expect(text).toContain('A later approval of the same changed nothing.')

    const end = Number((await fixture.anvil.client.getBlock()).timestamp) + 10 ** 7
    await asTimelock(kmsAuth, again(end).data)
    await asTimelock(kmsAuth, shorten(kmsAuth, kind, [image], end - 10).data)
    await asTimelock(kmsAuth, again(end).data)
    const { repeats } = await ofImage()
    expect(repeats.map((each: { hasEffect: boolean }) => each.hasEffect)).toEqual([
      false,
      true,
      true,
    ])

    await asTimelock(kmsAuth, withdraw(kmsAuth, kind, [image]).data)
    await asTimelock(kmsAuth, again().data)
    const anew = await ofImage()
    expect(anew).toMatchObject({ vote: null, repeats: [] })
    expect(BigInt(anew.block)).toBeGreaterThan(BigInt(repeated.block))
  })

  test('says what it cannot check of a file, and accepts a quote with the report data asked for', async () => {
    const reportData = new Uint8Array(64).fill(9)
    const quote = await answerOf(cvm, 'quote.json', reportData)

    const old = await verify(quote, ...collateral())
    expect([old.answer, old.exitCode, verdictsOf(old).running]).toEqual([
      'not-checked',
      3,
      'not-checked',
    ])
    const asked = await verify(quote, ...collateral(), '--report-data', toHex(reportData))
    expect([asked.answer, asked.exitCode]).toEqual(['yes', 0])
    const other = await verify(quote, ...collateral(), '--report-data', '00'.repeat(64))
    expect([other.answer, other.exitCode]).toEqual(['no', 1])
    const unverified = await verify(quote)
    expect([unverified.exitCode, verdictsOf(unverified).quote]).toEqual([3, 'not-checked'])
    // what follows from a quote is no proof without its signature
    expect(stepOf(unverified, 'app')[0]?.source).toBe('claim')
    expect(stepOf(asked, 'app')[0]?.source).toBe('proof')
  })

  test('asks only the chain about an app without a quote', async () => {
    for (const name of ['shop', app]) {
      const value = await verify(name)
      expect([value.exitCode, value.answer, value.app]).toEqual([3, 'not-checked', app])
      expect(stepOf(value, 'decision')).toHaveLength(1)
    }
  })

  test.each<[string, () => SimulatedCvm, string, string]>([
    [
      'another release',
      () => boot({ compose: '{"manifest_version":2}' }),
      'releaseNotAllowed',
      'no',
    ],
    ['another base image', () => boot({ name: 'other' }), 'imageNotAllowed', 'no'],
    ['another KMS', () => boot({ provider: encodeSpki(generateKeys().ca) }), 'key-provider', 'no'],
  ])('sees that a machine runs %s', async (_, start, step, verdict) => {
    const value = await verify(await answerOf(start(), 'wrong.json'), ...collateral())

    expect(verdictsOf(value)).toMatchObject({ quote: 'yes', [step]: verdict })
    expect([value.answer, value.exitCode]).toEqual(['no', 1])
  })

  test('compares what a server, a quote and the chain have', async () => {
    const quote = await answerOf(cvm, 'quote.json')
    await writeFile(file('app-compose.json'), manifest)
    await writeFile(file('next.json'), manifest.replace('shop', 'shop2'))
    await writeFile(file('bare.bin'), cvm.quote(new Uint8Array(64)))
    const diff = async (...args: string[]) => {
      const { text, exitCode } = await assent('app', 'diff', ...args, '--json')
      return [JSON.parse(text).error?.code ?? JSON.parse(text).result, exitCode]
    }

    expect(await diff(place, file('app-compose.json'))).toEqual(['same-bytes', 0])
    expect(await diff(quote, file('next.json'))).toEqual(['different', 1])
    expect(await diff(place, 'chain', '--app', 'shop')).toEqual(['same-bytes', 0])
    const named = ['--published', '--app', 'shop']
    expect(await diff(place, file('next.json'), ...named)).toEqual(['different', 1])
    expect(await diff(place, 'chain', ...named)).toEqual(['same-bytes', 0])
    const unpublished = await answerOf(boot({ compose: '{"manifest_version":2}' }), 'other.json')
    expect(await diff(unpublished, 'chain', ...named)).toEqual(['MANIFEST_UNPUBLISHED', 1])
    expect(await diff(file('bare.bin'), 'chain', ...named)).toEqual(['QUOTE_MISSING', 2])
    expect(await diff('127.0.0.1:1', 'chain', ...named)).toEqual(['SERVER_UNREACHABLE', 3])
    expect(await diff('chain', file('next.json'))).toEqual(['USAGE_INVALID', 2])
  })

  test('sees a log, a file or a signature that does not belong to the quote', async () => {
    const quote = await answerOf(cvm, 'quote.json')
    await writeFile(file('other.json'), '{}')
    const compared = await verify(quote, ...collateral(), '--compose', file('other.json'))
    expect([verdictsOf(compared)['event-log'], compared.exitCode]).toEqual(['no', 1])

    const foreign = createSimulator({ at: 1_787_184_000, seed: new Uint8Array(32).fill(1) })
    await writeFile(file('foreign.json'), JSON.stringify(foreign.collateral()))
    const rejected = await verify(quote, '--collateral', file('foreign.json'))
    expect([verdictsOf(rejected).quote, rejected.exitCode]).toEqual(['no', 1])
  })

  test('reads a file that is named like a domain, and refuses one that is named like an app', async () => {
    const before = process.cwd
    const quote = await answerOf(cvm, 'shop.json')
    await writeFile(file('shop'), 'x')
    vi.mocked(before).mockRestore()
    const cwd = process.cwd()
    process.chdir(folder)
    try {
      expect(verdictsOf(await verify('shop.json', ...collateral())).quote).toBe('yes')
      expect((await verify('shop')).error.code).toBe('QUOTE_AMBIGUOUS')
      expect((await verify(quote)).exitCode).toBe(3)
    } finally {
      process.chdir(cwd)
      await rm(file('shop'))
      vi.spyOn(process, 'cwd').mockReturnValue(folder)
    }
  })

  test.each<[string, () => string[], string, number]>([
    ['a file that is not there', () => ['./gone.json'], 'FILE_UNREADABLE', 2],
    ['a file without a quote', () => [file('assent.toml')], 'QUOTE_MISSING', 2],
    ['a domain that does not exist', () => ['no-such-app.invalid'], 'SERVER_UNREACHABLE', 3],
    ['few digits of no app', () => ['0x12345678'], 'NAME_UNKNOWN', 2],
    ['report data of another length', () => [place, '--report-data', '00'], 'LENGTH_WRONG', 2],
    [
      'a PCCS that does not answer',
      () => [place, '--pccs', 'http://127.0.0.1:1'],
      'PCCS_UNAVAILABLE',
      3,
    ],
    [
      'a chain that does not answer',
      () => [place, '--rpc-url', 'http://127.0.0.1:1'],
      'CHAIN_UNREACHABLE',
      3,
    ],
  ])('is told about %s', async (_, args, code, exitCode) => {
    const value = await verify(...args())
    expect([value.error?.code, value.exitCode]).toEqual([code, exitCode])
  })

  test('verifies a log with root key, contract and code from the chain', async () => {
    const location = await newLocation({ key: deriveLogKey(keys.k256, 'kms-1') })
    const log = await begin(location)
    await log.append(denial(1))
    await writeFile(file('head.json'), JSON.stringify(headToJson(log.head())))
    await log.close()
    const demands = ['--quorum', '1', '--max-block-age', '900', '--head', file('head.json')]
    const { text, exitCode } = await assent('log', 'verify', location.folder, ...demands)

    expect(exitCode).toBe(0)
    expect(text).toContain(`root key   of KmsAuth ${fixture.addresses.kmsAuth} on chain 31337`)
    expect(text).not.toContain('NOT CHECKED')
    expect(text).toContain('NOT IN A LOG')

    const other = await newLocation({ key: deriveLogKey(new Uint8Array(32).fill(5), 'kms-1') })
    await (await begin(other)).close()
    expect((await assent('log', 'verify', other.folder)).text).toContain('KEY_NOT_OF_ROOT')
    const offline = await assent(
      'log',
      'verify',
      location.folder,
      '--rpc-url',
      'http://127.0.0.1:1',
    )
    expect(offline.exitCode).toBe(3)
  })
})
