/** `kms status` and `relayer status` against live services. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createPublicClient, http, type PublicClient } from 'viem'
import { generatePrivateKey } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { trustSingleEndpoint } from '../../src/chain/boot/ask-contracts.ts'
import { standardHostRules } from '../../src/deploy/deploy.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { createReleaseLog } from '../../src/kms/log/log.ts'
import { openNodeLog, type RunningNodeLog } from '../../src/kms/log/node-log.ts'
import { type RunningKms, startKms } from '../../src/kms/service.ts'
import { createLog } from '../../src/lib/log.ts'
import { readMetrics, sampleOf, valuesBy } from '../../src/lib/prometheus-text.ts'
import { fixedCollateral } from '../../src/quote/collateral/collateral-source.ts'
import { checkPolicy } from '../../src/quote/policy.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { type Relayer, startRelayer } from '../../src/relayer/service.ts'
import { createLocalSigner } from '../../src/relayer/signer/signer.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../anvil.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'
import { assent } from './run-command.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: kms status and relayer status are NOT tested. ***\n')

const clock = () => Math.floor(Date.now() / 1000)
const log = createLog({ service: 'test', level: 'silent' })
const simulator = createSimulator({ at: clock() })

let fixture: TaskFixture
let client: PublicClient
let folder: string
let nodeLog: RunningNodeLog
let kms: RunningKms
let database: OpenDatabase
let relayer: Relayer

describe.skipIf(absent)('status', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    fixture = await createTaskFixture({
      root: simulator.rootCertificate,
      hosts: standardHostRules,
    })
    folder = await mkdtemp(join(tmpdir(), 'assent-status-'))
    client = createPublicClient({ chain: foundry, transport: http(fixture.url), cacheTime: 0 })
    const own = simulator.createPlatform().createCvm({ image: createImage(), compose: '{}' })
    own.advance('ready', { keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) } })
    const keys = generateKeys()
    const location = {
      folder: join(folder, 'log'),
      headFile: join(folder, 'head.bin'),
      segmentBytes: 2 ** 20,
      key: deriveLogKey(keys.k256, 'kms-1'),
      clock,
    }
    await createReleaseLog(location)
    nodeLog = await openNodeLog({ location, witnesses: 'insecure-none', logger: log })
    kms = await startKms({
      keys,
      domain: 'localhost',
      chain: trustSingleEndpoint({
        client,
        chainId: foundry.id,
        kms: fixture.addresses.kmsAuth,
        finality: { confirmations: 0 },
        maxBlockAgeSeconds: 3_600,
        timeoutMs: 10_000,
        clock,
      }),
      rules: {
        collateral: fixedCollateral(simulator.collateral()),
        root: simulator.rootCertificate,
        accept: (verdict) => checkPolicy(verdict),
        images: () => [],
        clock,
      },
      source: own.source,
      selfAuthorization: 'required',
      insecureAllowAnyGateway: false,
      releaseLog: nodeLog,
      log,
      limits: { requestsPerMinute: 10_000, requestsInFlight: 64, connections: 64 },
      host: 'localhost',
      port: 0,
    })
    database = await openDatabase({ memory: true })
    relayer = await startRelayer({
      chainId: foundry.id,
      clients: [client],
      targets: {},
      signer: createLocalSigner(generatePrivateKey()),
      db: database.db,
      verifySubmission: async () => ({ ok: false, reasons: [] }),
      operators: [{ name: 'ops', tokenSha256: '00'.repeat(32) }],
      clock,
      log,
      finality: { depth: 0 },
      pollMs: 50,
    })
  }, 180_000)
  afterAll(async () => {
    await relayer?.stop()
    await database?.close()
    await kms?.stop()
    await nodeLog?.close()
    await fixture?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  test('kms status says why a node is not ready, and that its root keys are not on the chain', async () => {
    const { value, text } = await fixture.run('kms status', { kmsUrl: kms.url })

    expect(value).toMatchObject({
      isReady: false,
      isServerOfRoot: true,
      root: { approval: 'none', epoch: 0, isRecorded: false },
      log: { node: 'kms-1', entries: 0, isHalted: false },
      peers: [],
    })
    expect(value.health).toContain('KMS_SELF_DENIED')
    expect(value.problems).toHaveLength(2)
    expect(text).toContain('The chain does not know its root keys: not approved in RootKeys.')
  })

  test('kms status calls a node that does not answer an outage', async () => {
    expect(await fixture.refused('kms status', { kmsUrl: 'https://127.0.0.1:1' })).toBe(
      'KMS_UNREACHABLE',
    )
    expect(await fixture.refused('kms status', { kmsUrl: 'http://localhost' })).toBe(
      'USAGE_INVALID',
    )
    expect(await fixture.refused('kms status')).toBe('USAGE_INVALID')
  })

  test('relayer status shows role, backlog and an account without ether', async () => {
    await expect
      .poll(async () => (await assent('relayer', 'status', '--relayer-url', relayer.url)).text)
      .toContain('sending')
    const { exitCode, text } = await assent(
      ...['relayer', 'status', '--relayer-url', relayer.url, '--json'],
    )

    expect(exitCode).toBe(1)
    expect(JSON.parse(text)).toMatchObject({
      status: 'ok',
      role: 'sending',
      failure: null,
      intents: {},
      balance: 0,
      problems: ['Its account has no ether.'],
    })
  })

  test('relayer status tells an outage from another service and from wrong usage', async () => {
    const other = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`

    const wrong = await assent('relayer', 'status', '--relayer-url', url)
    const outage = await assent('relayer', 'status', '--relayer-url', 'http://127.0.0.1:1')
    const usage = await assent('relayer', 'status', '--relayer-url', 'relayer')

    other.close()
    expect(wrong).toMatchObject({ exitCode: 3 })
    expect(wrong.text).toContain('RELAYER_ANSWER_INVALID')
    expect(outage).toMatchObject({ exitCode: 3 })
    expect(outage.text).toContain('RELAYER_UNREACHABLE')
    expect(usage).toMatchObject({ exitCode: 2 })
  })
})

test('the reader of Prometheus text takes labels, escapes and infinity, and skips other lines', () => {
  const metrics = readMetrics(
    '# HELP a b\na 1\nb{x="1",y="q\\"\\n"} +Inf\nb{x="1"} 2\nb{x="2"} 3\nc NaN\nbroken{\n',
  )

  expect(sampleOf(metrics, 'a')).toBe(1)
  expect(sampleOf(metrics, 'c')).toBeUndefined()
  expect(metrics.get('b')?.[0]).toEqual({
    labels: { x: '1', y: 'q"\n' },
    value: Number.POSITIVE_INFINITY,
  })
  expect(valuesBy(metrics, 'b', 'x')).toEqual({ 1: Number.POSITIVE_INFINITY, 2: 3 })
})
