/** The log of a KMS: the entry of each decision, and that no answer is sent before its entry is written. */
import { createHash } from 'node:crypto'
import { appendFile, mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { trustSingleEndpoint } from '../../../src/chain/boot/ask-contracts.ts'
import { AssentError } from '../../../src/errors/index.ts'
import {
  type AttestationRules,
  verifyAttestation,
  verifyBoot,
} from '../../../src/kms/authorization/verify-attestation.ts'
import { attest } from '../../../src/kms/certificates/ratls.ts'
import { fetchAppKeys } from '../../../src/kms/client.ts'
import { deriveAppKeys } from '../../../src/kms/keys/derive.ts'
import { openKeyStore } from '../../../src/kms/keys/key-store.ts'
import type { Entry } from '../../../src/kms/log/entry.ts'
import { deriveLogKey } from '../../../src/kms/log/key.ts'
import { createReleaseLog } from '../../../src/kms/log/log.ts'
import { openNodeLog, type RunningNodeLog } from '../../../src/kms/log/node-log.ts'
import { createDecisionRecorder } from '../../../src/kms/log/record-decision.ts'
import type { KnownLog } from '../../../src/kms/log/witness-response.ts'
import type { LogLocation } from '../../../src/kms/log/writer.ts'
import { onboardKms } from '../../../src/kms/onboarding/onboard.ts'
import type { RunningKms } from '../../../src/kms/service.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import { createLog } from '../../../src/lib/log.ts'
import type { SimulatedCvm } from '../../../src/tee/simulator/cvm.ts'
import { at, createDeployment, type KmsDeployment, kmsCompose } from '../fixture.ts'
import { ask, askForKeys, mint } from '../http-fixture.ts'
import { failingDisk, newLocation } from './log-fixture.ts'

const quiet = createLog({ service: 'kms', level: 'silent' })

let deployment: KmsDeployment
let kms: RunningKms
let log: RunningNodeLog
let location: LogLocation
let cvm: SimulatedCvm
let isFull = false

beforeAll(async () => {
  deployment = await createDeployment()
  const disk = failingDisk((operation, path) => {
    if (isFull && operation === 'write' && path.endsWith('.log')) throw new Error('ENOSPC')
  })
  location = await newLocation({ disk, key: deriveLogKey(deployment.keys.k256, 'kms-1') })
  await createReleaseLog(location)
  log = await openNodeLog({ location, witnesses: 'insecure-none', logger: quiet })
  kms = await deployment.start({ releaseLog: log, logEntries: 'public' })
  cvm = deployment.boot()
})
beforeEach(async () => {
  isFull = false
  await deployment.setComposeHash(cvm.composeHash)
})
afterAll(async () => {
  await deployment.close()
  await log.close()
})

const identityOf = (one: SimulatedCvm) =>
  mint(deployment.keys, { attestation: (reportData) => one.attestation(reportData) })
const decided = async () => (await entries()).filter(({ kind }) => kind !== 'self')

async function entries(): Promise<Record<string, unknown>[]> {
  const text = await readFile(join(location.folder, '00000000.log'), 'utf8')
  const lines = text.split('\n').filter((line) => line.startsWith('{"seq"'))
  return lines.map((line) => JSON.parse(line))
}

describe('the release log of a KMS', () => {
  test('names caller, verified facts and block of a release', async () => {
    await fetchAppKeys({ url: kms.url, clock: () => at }, cvm.source, cvm.vmConfig)

    expect((await entries()).at(-1)).toMatchObject({
      kind: 'release',
      method: 'GetAppKey',
      quote: expect.stringMatching(/^[0-9a-f]{64}$/),
      boot: {
        appId: toHex(cvm.appId),
        composeHash: toHex(cvm.composeHash),
        instanceId: toHex(cvm.instanceId),
        osImageHash: toHex(deployment.image.osImageHash),
        tcbStatus: 'UpToDate',
      },
      block: { number: expect.stringMatching(/^[0-9]+$/) },
      proof: null,
      epochs: null,
    })
  })

  test('names the reason of the contract in a denial', async () => {
    await deployment.setComposeHash(new Uint8Array(32))
    await askForKeys(kms, await identityOf(cvm))

    expect((await entries()).at(-1)).toMatchObject({
      kind: 'denial',
      code: 'KMS_BOOT_DENIED',
      reason: 'Compose hash not allowed',
      boot: { composeHash: toHex(cvm.composeHash) },
    })
  })

  test('counts denials of callers without a quote', async () => {
    const before = (await entries()).length
    await askForKeys(
      kms,
      await mint(deployment.keys, { attestation: () => cvm.attestation(new Uint8Array(64)) }),
    )
    await askForKeys(
      kms,
      await mint(deployment.keys, { attestation: () => cvm.attestation(new Uint8Array(64)) }),
    )
    expect(await entries()).toHaveLength(before)
    await kms.recorder.writeDenialCounts()

    expect((await entries()).at(-1)).toMatchObject({
      kind: 'denials',
      counts: { 'GetAppKey KMS_REPORT_DATA_UNBOUND': 2 },
    })
  })

  test('contains the self-authorization once per block before decisions', async () => {
    const selves = async () => (await entries()).filter(({ kind }) => kind === 'self')
    await fetchAppKeys({ url: kms.url, clock: () => at }, cvm.source, cvm.vmConfig)
    const before = await selves()
    await fetchAppKeys({ url: kms.url, clock: () => at }, cvm.source, cvm.vmConfig)
    expect(await selves()).toEqual(before)

    await deployment.setComposeHash(cvm.composeHash)
    await fetchAppKeys({ url: kms.url, clock: () => at }, cvm.source, cvm.vmConfig)
    expect(await selves()).toHaveLength(before.length + 1)
    const [self, release] = (await entries()).slice(-2)
    expect([self?.kind, release?.kind]).toEqual(['self', 'release'])
    expect(self?.block).toEqual(release?.block)
  })

  test('has no entry for invalid requests and outages', async () => {
    const before = (await decided()).length
    await askForKeys(kms, undefined)
    await ask(kms, { path: '/prpc/Nothing' })

    await kms.recorder.writeDenialCounts()
    expect(await decided()).toHaveLength(before)
  })

  test('contains no secret', async () => {
    await fetchAppKeys({ url: kms.url, clock: () => at }, cvm.source, cvm.vmConfig)
    const keys = deriveAppKeys(deployment.keys, cvm.appId, cvm.instanceId)
    const text = await readFile(join(location.folder, '00000000.log'), 'utf8')

    const { ca, k256, tempCa } = deployment.keys
    for (const secret of [ca, k256, tempCa, keys.diskCryptKey, keys.envCryptKey, keys.k256Key]) {
      expect(text).not.toContain(toHex(secret))
      expect(text).not.toContain(Buffer.from(secret).toString('base64'))
    }
  })
})

describe('the KMS sends no answer before its log entry is written:', () => {
  test('a full disk is an outage', async () => {
    const identity = await identityOf(cvm)
    isFull = true
    const refused = await askForKeys(kms, identity)
    await deployment.setComposeHash(new Uint8Array(32))
    const denied = await askForKeys(kms, identity)
    const health = async () => (await ask(kms, { path: '/health', method: 'GET' })).text
    const ill = await health()
    isFull = false

    expect(ill).toMatch(/^KMS_LOG_UNWRITABLE: .+\.$/)
    await expect.poll(health, { timeout: 5_000 }).toBe('OK')
    expect(refused).toMatchObject({ status: 400, code: 'KMS_LOG_UNWRITABLE' })
    expect(denied).toMatchObject({ status: 400, code: 'KMS_LOG_UNWRITABLE' })
    expect(await kms.metrics.registry.metrics()).toContain(
      'assent_kms_outages_total{code="KMS_LOG_UNWRITABLE"} 2',
    )
    await deployment.setComposeHash(cvm.composeHash)
    expect(await askForKeys(kms, identity)).toMatchObject({ status: 200 })
  })

  test('a changed log stops it permanently', async () => {
    const own = await newLocation({
      key: deriveLogKey(deployment.keys.k256, 'kms-2'),
      segmentBytes: 1,
    })
    await createReleaseLog(own)
    const opened = await openNodeLog({ location: own, witnesses: 'insecure-none', logger: quiet })
    for (const bytes of [1, 2]) await opened.append({ kind: 'recovered', bytes, digest: '' })
    const running = await deployment.start({ releaseLog: opened })
    expect(await askForKeys(running, await identityOf(cvm))).toMatchObject({ status: 200 })
    await appendFile(join(own.folder, '00000000.log'), '{"seq":99}\n{"seal":1}\n')
    await opened.scrub()

    expect(await askForKeys(running, await identityOf(cvm))).toMatchObject({
      code: 'KMS_LOG_BROKEN',
    })
    expect(await running.metrics.registry.metrics()).toContain('assent_kms_log_halted 1')
    expect(await ask(running, { path: '/health', method: 'GET' })).toMatchObject({
      status: 503,
      text: expect.stringMatching(/^KMS_LOG_BROKEN: /),
    })
    await opened.close()
    await expect(
      openNodeLog({ location: own, witnesses: 'insecure-none', logger: quiet }),
    ).rejects.toMatchObject({ code: 'KMS_LOG_HALTED' })
  })
})

describe('root keys of a KMS with a release log', () => {
  const replica = async () => {
    const own = deployment.boot({ compose: kmsCompose })
    own.advance('ready', { keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) } })
    const folder = await mkdtemp(join(tmpdir(), 'kms-replica-'))
    const store = openKeyStore(folder, { kind: 'insecure-plain' })
    const seen: KnownLog[] = []
    const { rules } = deployment
    const { authorize: asking } = trustSingleEndpoint(deployment.chain)
    const onboarding = onboardKms({
      sourceUrl: kms.url,
      store,
      source: own.source,
      rules,
      authorizeBoot: asking,
      self: 'insecure-off',
      remember: async (one) => void seen.push(one),
    })
    return { own, store, seen, onboarding }
  }

  test('are sent with an entry about the replica, and the replica keeps the head', async () => {
    const { own, store, seen, onboarding } = await replica()
    await onboarding
    const handovers = (await entries()).filter(({ kind }) => kind === 'handover')

    expect(await store.load()).toEqual(deployment.keys)
    expect(handovers).toHaveLength(1)
    expect(handovers[0]).toMatchObject({
      method: 'GetKmsKey',
      boot: { deviceId: toHex(own.deviceId), composeHash: toHex(own.composeHash) },
    })
    expect(seen).toHaveLength(1)
    expect(seen[0]?.node).toBe('kms-1')
    expect(seen[0]?.head.entries).toBeGreaterThan(Number(handovers[0]?.seq))
  })

  test('are not sent if the entry cannot be written', async () => {
    const { seen, store, onboarding } = await replica()
    isFull = true

    await expect(onboarding).rejects.toMatchObject({ facts: { code: 'KMS_LOG_UNWRITABLE' } })
    expect(await store.load()).toBeUndefined()
    expect(seen).toEqual([])
  })
})

describe('release log over HTTP', () => {
  test('serves head, digests and, if the settings allow it, complete files', async () => {
    const head = await ask(kms, { path: `/log/head?nonce=${'ab'.repeat(16)}`, method: 'GET' })
    const digests = await ask(kms, { path: '/log/digests?from=0', method: 'GET' })
    const file = await ask(kms, { path: '/log/segments/0', method: 'GET' })

    const { entries: count } = JSON.parse(JSON.parse(head.text).body).head
    expect(digests.text).toHaveLength(count * 64)
    expect(file.text).toBe(await readFile(join(location.folder, '00000000.log'), 'utf8'))
    expect(await ask(kms, { path: '/log/head', method: 'GET' })).toMatchObject({ status: 400 })
    expect(await ask(kms, { path: '/log/digests?from=-1', method: 'GET' })).toMatchObject({
      status: 400,
    })
    expect(await ask(kms, { path: '/log/segments/7', method: 'GET' })).toMatchObject({
      status: 404,
    })
  })

  test('does not serve entries by default', async () => {
    const closed = await deployment.start({ releaseLog: log })

    expect(await ask(closed, { path: '/log/segments/0', method: 'GET' })).toMatchObject({
      status: 404,
    })
  })
})

describe('release log: denials of callers with a quote', () => {
  test('have their own entries up to a limit for each host, and are counted above it', async () => {
    const written: Entry[] = []
    const recorder = createDecisionRecorder(
      {
        append: async (entry) => {
          written.push(entry)
        },
        requireReleasable: () => {},
      },
      () => at,
    )
    const boot = verifyBoot(
      await verifyAttestation(await attest(cvm.source, new Uint8Array(64)), deployment.rules),
      '',
      'boot',
      deployment.rules,
    )
    const error = new AssentError('KMS_BOOT_DENIED', 'denied')
    for (let count = 0; count < 50; count++) {
      await recorder.recordDenial({ method: 'SignCert', error, boot })
    }
    await recorder.writeDenialCounts()

    expect(written.filter(({ kind }) => kind === 'denial')).toHaveLength(20)
    expect(written.at(-1)).toMatchObject({
      kind: 'denials',
      counts: { 'SignCert KMS_BOOT_DENIED': 30 },
    })
  })
})

describe('release log: the measurements that the chain had to approve', () => {
  const refused = async (images: AttestationRules['images'], vmConfig: string) => {
    const written: Entry[] = []
    const sink = { append: async (entry: Entry) => void written.push(entry) }
    const recorder = createDecisionRecorder({ ...sink, requireReleasable: () => {} }, () => at)
    const rules = { ...deployment.rules, images }
    const proven = await verifyAttestation(await attest(cvm.source, new Uint8Array(64)), rules)
    const boot = verifyBoot(proven, vmConfig, 'boot', rules)
    const error = new AssentError('KMS_BOOT_DENIED', 'denied')
    await recorder.recordDenial({ method: 'GetAppKey', error, boot })
    return written[0]
  }

  test('are in the entry of a boot whose image the KMS cannot measure', async () => {
    const vmConfig = JSON.stringify({ os_image_hash: toHex(deployment.image.osImageHash) })
    const { mrTd, rtmrs } = cvm.registers
    const mrSystem = createHash('sha256')
    // firmware, kernel, OS; 32 zero bytes stand for no key provider
    for (const part of [mrTd, ...rtmrs.slice(0, 3), new Uint8Array(32)]) mrSystem.update(part)

    expect(await refused('on-chain', vmConfig)).toMatchObject({
      boot: { mustBeApproved: mrSystem.digest('hex') },
    })
  })

  test('are not in the entry of a boot whose image the KMS measured', async () => {
    expect((await refused('on-chain', ''))?.kind).toBe('denial')
    expect(await refused('on-chain', '')).not.toHaveProperty('boot.mustBeApproved')
  })
})
