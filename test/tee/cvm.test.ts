import { createHash } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { concatBytes, isZero, toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { decodeAttestation } from '../../src/quote/attestation.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { parseEventLog } from '../../src/quote/measurements/event-log.ts'
import { parseImageClaim, proveOsImage } from '../../src/quote/measurements/image-proof.ts'
import { buildBootInfo } from '../../src/quote/measurements/measure.ts'
import { decodeTdxMeasurement } from '../../src/quote/measurements/measurement-document.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import type { CvmOptions, SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const seed = new Uint8Array(32).fill(3)
const reportData = new Uint8Array(64).fill(0xab)
const compose = '{"manifest_version":2,"name":"demo","runner":"docker-compose"}'

const boot = (options: Partial<CvmOptions> = {}) =>
  createSimulator({ at, seed })
    .createPlatform()
    .createCvm({ image: createImage(), compose, ...options })

interface LogEvent {
  imr: number
  event_type: number
  digest: string
  event: string
  event_payload: string
  version?: number
}

const hash = (algorithm: string, bytes: Uint8Array) =>
  new Uint8Array(createHash(algorithm).update(bytes).digest())

/** An independent replay: node:crypto, and the rule as the specification words it. */
function replay(log: string, imr: number): string {
  const events = (JSON.parse(log) as LogEvent[]).filter((event) => event.imr === imr)
  return toHex(
    events.reduce((mr, event) => {
      const type = Buffer.alloc(4)
      type.writeUInt32LE(event.event_type)
      const digest =
        imr === 3
          ? hash(
              'sha384',
              Buffer.concat([
                type,
                Buffer.from(`:${event.event}:`),
                Buffer.from(event.event_payload, 'hex'),
              ]),
            )
          : Buffer.from(event.digest, 'hex')
      return hash('sha384', concatBytes(mr, digest))
    }, new Uint8Array(48)),
  )
}

test('a simulated CVM quotes registers that its event log replays to, before and after it gets keys', () => {
  const cvm = boot()
  const check = () => {
    const { report } = parseQuote(cvm.quote(reportData))
    for (const imr of [0, 1, 2, 3]) {
      expect(replay(cvm.eventLog('quote'), imr)).toBe(toHex(report.rtmrs[imr] as Uint8Array))
    }
    return report.rtmrs[3]
  }

  const booted = check()
  cvm.advance('ready')
  const ready = check()
  cvm.emitEvent('app-event', utf8ToBytes('anything'))

  expect(check()).not.toEqual(ready)
  expect(ready).not.toEqual(booted)
})

test('a simulated CVM emits the events of a dstack boot in order', () => {
  const cvm = boot({ initScripts: ['echo one', 'echo two'] })
  cvm.advance('ready', { keyProvider: { name: 'kms', id: Uint8Array.of(0x30, 0x59) } })

  expect(cvm.events.map((event) => event.name)).toEqual([
    'system-preparing',
    'app-id',
    'compose-hash',
    'init-script-hash',
    'init-script-hash',
    'gpu-policy-hash',
    'instance-id',
    'boot-mr-done',
    'os-image-hash',
    'key-provider',
    'storage-fs',
    'system-ready',
  ])
  const provider = cvm.events.find((event) => event.name === 'key-provider')
  expect(Buffer.from(provider?.payload ?? '').toString()).toBe('{"name":"kms","id":"3059"}')
})

test('a simulated CVM identifies the app by the raw bytes of its compose file', () => {
  const cvm = boot()
  const composeHash = hash('sha256', utf8ToBytes(compose))

  expect(cvm.composeHash).toEqual(composeHash)
  expect(cvm.appId).toEqual(composeHash.slice(0, 20))
  expect(boot({ compose: `${compose} ` }).composeHash).not.toEqual(composeHash)
})

test('a simulated CVM derives the instance id from seed and app id, and has none if the compose file disables it', () => {
  const instanceSeed = new Uint8Array(20).fill(9)
  const cvm = boot({ instanceSeed })

  expect(cvm.instanceId).toEqual(hash('sha256', concatBytes(instanceSeed, cvm.appId)).slice(0, 20))
  expect(boot({ compose: '{"no_instance_id":true}' }).instanceId).toEqual(new Uint8Array())
})

test('a simulated CVM commits to the compose hash in MR_CONFIG_ID', () => {
  const { report } = parseQuote(boot().quote(reportData))

  expect(toHex(report.mrConfigId)).toBe(`01${toHex(boot().composeHash)}${'00'.repeat(15)}`)
  expect(
    isZero(parseQuote(boot({ mrConfigId: 'unset' }).quote(reportData)).report.mrConfigId),
  ).toBe(true)
})

test('a simulated CVM describes an image whose hash covers the measurement document of its registers', () => {
  const cvm = boot()
  const vmConfig = JSON.parse(cvm.vmConfig) as {
    os_image_hash: string
    tdx_measurement: { measurement: string; checksum_file: string }
  }
  const checksums = Buffer.from(vmConfig.tdx_measurement.checksum_file, 'base64')
  const document = Buffer.from(vmConfig.tdx_measurement.measurement, 'base64')

  expect(toHex(hash('sha256', checksums))).toBe(vmConfig.os_image_hash)
  expect(checksums.toString()).toContain(
    `${toHex(hash('sha256', document))}  measurement.tdx.cbor\n`,
  )
  expect(decodeTdxMeasurement(document).mrTdSinglePass).toEqual(cvm.registers.mrTd)
  expect(createImage({ name: 'other' }).osImageHash).not.toEqual(cvm.image.osImageHash)
})

test('a simulated CVM attests with the event log that certificates contain', () => {
  const cvm = boot()
  cvm.advance('ready')

  const attestation = decodeAttestation(cvm.attestation(reportData))

  expect(attestation.quote).toEqual(cvm.quote(reportData))
  expect(attestation.reportData).toEqual(reportData)
  expect(attestation.config).toBe(cvm.vmConfig)
  expect(attestation.runtimeEvents).toEqual(cvm.events)
  expect(attestation.eventLog.filter((event) => event.imr === 0).map((e) => e.event)).toEqual([
    'acpi-loader',
    'acpi-rsdp',
    'acpi-tables',
  ])
  expect(attestation.eventLog.some((event) => event.imr === 1)).toBe(false)
})

test('a simulated CVM uses MessagePack for an event version that SCALE cannot encode', () => {
  const cvm = boot({ eventVersion: 2 })

  const bytes = cvm.attestation(reportData)

  expect(bytes[0]).toBe(0x83)
  expect(decodeAttestation(bytes).runtimeEvents).toEqual(cvm.events)
})

test('a simulated CVM boots the same CVM again to the same quote', () => {
  expect(boot().quote(reportData)).toEqual(boot().quote(reportData))
  expect(boot().attestation(reportData)).toEqual(boot().attestation(reportData))
})

describe('a simulated CVM proves to the verifiers', () => {
  const simulator = createSimulator({ at, seed })
  const bootOn = (options: Partial<CvmOptions> = {}) =>
    simulator.createPlatform().createCvm({ image: createImage(), compose, ...options })

  const bootInfo = (cvm: SimulatedCvm, view: 'boot' | 'full') => {
    const verdict = verifyQuote(cvm.quote(reportData), parseCollateral(simulator.collateral()), {
      at,
      root: simulator.rootCertificate,
    })
    if (verdict.verdict === 'rejected') throw new Error(verdict.code)
    return buildBootInfo({
      verdict,
      events: parseEventLog(cvm.eventLog()),
      vmConfig: cvm.vmConfig,
      view,
    })
  }

  test.each([1, 2] as const)(
    'the app that it booted, with events of version %i',
    (eventVersion) => {
      const cvm = bootOn({ eventVersion })

      expect(bootInfo(cvm, 'boot')).toMatchObject({
        appId: cvm.appId,
        composeHash: cvm.composeHash,
        instanceId: cvm.instanceId,
        deviceId: cvm.deviceId,
        osImageHash: cvm.image.osImageHash,
        tcbStatus: 'UpToDate',
      })
    },
  )

  test('the same boot view before and after it got keys, and a different full view', () => {
    const cvm = bootOn()
    const before = bootInfo(cvm, 'boot')
    cvm.advance('ready', { keyProvider: { name: 'kms', id: new Uint8Array(91).fill(1) } })

    expect(bootInfo(cvm, 'boot')).toEqual(before)
    expect(bootInfo(cvm, 'full').mrAggregated).not.toEqual(before.mrAggregated)
    expect(bootInfo(cvm, 'full').mrSystem).not.toEqual(before.mrSystem)
  })

  test.each([{}, { memorySize: 64 * 2 ** 30, cpuCount: 16 }, { qemuVersion: '8.2.2' }])(
    'its image on a machine with %o',
    (machine) => {
      const cvm = bootOn({ machine })
      const claim = {
        report: parseQuote(cvm.quote(reportData)).report,
        events: parseEventLog(cvm.eventLog('certificate')),
        description: parseImageClaim(cvm.vmConfig),
      }

      expect(proveOsImage(claim, () => [])).toEqual(cvm.image.osImageHash)
    },
  )

  test('only the image that it booted', () => {
    const cvm = bootOn({ td: { mrTd: new Uint8Array(48).fill(1) } })
    const claim = {
      report: parseQuote(cvm.quote(reportData)).report,
      events: parseEventLog(cvm.eventLog()),
      description: parseImageClaim(cvm.vmConfig),
    }

    expect(() => proveOsImage(claim, () => [])).toThrow(
      expect.objectContaining({ code: 'IMAGE_NOT_PROVEN' }),
    )
  })
})
