/** Predictions beside what real and simulated CVMs measured. */
import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { sha256 } from '@noble/hashes/sha2.js'
import { describe, expect, test } from 'vitest'

import { concatBytes, fromHex, toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { composeHash } from '../../src/quote/measurements/measure.ts'
import { type PlannedCvm, predictCvm } from '../../src/quote/measurements/predict-measurements.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { describeRecorded, readVector, readVectorJson } from '../vectors.ts'

describeRecorded('a CVM that runs at NEAR', () => {
  interface Expected {
    compose_hash: string
    mr_system: string
    mr_aggregated: string
    key_provider_info: { id: string } | string
    runtime_events: { event: string; payload: string }[]
  }
  const folder = 'dstack/external/near-mpc'

  test('has the measurements predicted from its compose file', () => {
    const expected = readVectorJson<Expected>(`${folder}/expected.json`)
    const { report } = parseQuote(readVector(`${folder}/quote.bin`))
    const payload = (name: string) =>
      fromHex(expected.runtime_events.find(({ event }) => event === name)?.payload ?? '', name)
    const provider = JSON.parse(Buffer.from(payload('key-provider')).toString()) as { id: string }
    const app = JSON.parse(
      Buffer.from(readVector(`${folder}/app_compose.json`)).toString(),
    ) as unknown
    const raw =
      typeof app === 'string' ? utf8ToBytes(app) : readVector(`${folder}/app_compose.json`)
    const predicted = predictCvm({
      base: {
        mrTd: report.mrTd,
        rtmr0: report.rtmrs[0],
        rtmr1: report.rtmrs[1],
        rtmr2: report.rtmrs[2],
      },
      compose: raw,
      keyProvider: { name: 'local-sgx', id: fromHex(provider.id, 'id') },
      storageFs: 'zfs',
      measuresGpuPolicy: false,
      mrConfig: 'v1',
      appEvents: [{ name: 'mpc-image-digest', payload: payload('mpc-image-digest') }],
    })

    expect(toHex(predicted.composeHash)).toBe(expected.compose_hash)
    expect(toHex(predicted.rtmr3)).toBe(toHex(report.rtmrs[3]))
    expect(toHex(predicted.mrConfigId)).toBe(toHex(report.mrConfigId))
    expect(toHex(predicted.mrSystem)).toBe(expected.mr_system)
    expect(toHex(predicted.mrAggregated)).toBe(expected.mr_aggregated)
  })
})

const compose = '{"manifest_version":2,"name":"kms","no_instance_id":true,"init_script":"true"}'
const provider = { name: 'local-sgx', id: new Uint8Array(32).fill(1) } as const
const image = createImage()
const cvm = createSimulator()
  .createPlatform()
  .createCvm({ image, compose, initScripts: ['true'] })
cvm.advance('ready', { keyProvider: provider })
const { mrTd, rtmrs } = cvm.registers
const planned: PlannedCvm = {
  base: { mrTd, rtmr0: rtmrs[0], rtmr1: rtmrs[1], rtmr2: rtmrs[2] },
  compose: utf8ToBytes(compose),
  keyProvider: provider,
  storageFs: 'zfs',
  measuresGpuPolicy: true,
  mrConfig: 'v1',
}

describe('a prediction', () => {
  test('equals the measurements of the simulated CVM', () => {
    const predicted = predictCvm(planned)

    expect(toHex(predicted.rtmr3)).toBe(toHex(rtmrs[3]))
    expect(toHex(predicted.mrConfigId)).toBe(toHex(cvm.registers.mrConfigId))
    expect(toHex(predicted.appId)).toBe(toHex(composeHash(utf8ToBytes(compose)).slice(0, 20)))
  })

  test.each<[string, Partial<PlannedCvm>]>([
    ['one space in the compose file', { compose: utf8ToBytes(`${compose} `) }],
    ['another application', { appId: new Uint8Array(20) }],
    ['another key provider', { keyProvider: { name: 'tpm', id: new Uint8Array() } }],
    ['another file system', { storageFs: 'ext4' }],
    ['an older image', { measuresGpuPolicy: false }],
  ])('differs with %s', (_, changed) => {
    expect(toHex(predictCvm({ ...planned, ...changed }).rtmr3)).not.toBe(toHex(rtmrs[3]))
  })

  test('has no MRCONFIGID if the host does not set it', () => {
    const unset = predictCvm({ ...planned, mrConfig: 'unset' })

    expect(toHex(unset.rtmr3)).toBe(toHex(rtmrs[3]))
    expect(toHex(unset.mrAggregated)).toBe(toHex(sha256(concatBytes(mrTd, ...rtmrs))))
    expect(toHex(unset.mrAggregated)).not.toBe(toHex(predictCvm(planned).mrAggregated))
  })

  test.each([
    ['an instance id', '{}'],
    ['a GPU policy', '{"no_instance_id":true,"requirements":{"gpu_policy":{"a":1}}}'],
    ['an unknown log version', '{"no_instance_id":true,"event_log_version":3}'],
    ['no JSON', 'kms'],
  ])('is refused for %s', (_, text) => {
    expect(() => predictCvm({ ...planned, compose: utf8ToBytes(text) })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    )
  })
})

test('`assent kms predict` prints the same for an image and for a quote of it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'measure-'))
  const at = (name: string) => join(folder, name)
  await writeFile(at('app-compose.json'), compose)
  await writeFile(at('sha256sum.txt'), image.checksumFile)
  await writeFile(at('measurement.tdx.cbor'), image.measurementDocument)
  await writeFile(at('log.json'), cvm.eventLog())
  await writeFile(at('quote.bin'), cvm.quote(new Uint8Array(64)))
  const run = async (...options: string[]) => {
    const command = join(import.meta.dirname, '../../bin/assent.js')
    const shared = ['--key-provider', 'local-sgx', '--key-provider-id', '01'.repeat(32)]
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...[command, 'kms', 'predict', at('app-compose.json')],
      ...[...shared, ...options],
    ])
    return JSON.parse(stdout) as Record<string, string>
  }
  const [fromImage, fromQuote] = await Promise.all([
    run('--image', folder, '--memory', `${2 ** 31}`, '--qemu', '9.2.1', '--acpi', at('log.json')),
    run('--like', at('quote.bin')),
  ])

  expect(fromImage).toEqual({ ...fromQuote, os_image_hash: toHex(image.osImageHash) })
  expect(fromImage?.rtmr3).toBe(toHex(rtmrs[3]))
  expect(fromImage?.mr_aggregated).toBe(toHex(predictCvm(planned).mrAggregated))
}, 30_000)
