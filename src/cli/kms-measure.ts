/** What a KMS node will measure, before its first boot: the values that the chain is asked to approve. */
import { hash } from 'node:crypto'
import { join } from 'node:path'

import { Command, Option } from 'commander'

import { AssentError } from '../errors/index.ts'
import { fromHex, toHex } from '../lib/bytes.ts'
import { readBytes } from '../lib/files.ts'
import { parseEventLog } from '../quote/measurements/event-log.ts'
import {
  findAcpiDigests,
  type MeasurementSet,
  measureImage,
  readMachine,
  requireListed,
} from '../quote/measurements/image-proof.ts'
import { type PlannedKeyProvider, predictCvm } from '../quote/measurements/predict-measurements.ts'
import { parseQuote } from '../quote/parse.ts'
import { readQuote } from './quote-cases.ts'

interface MeasureOptions {
  readonly like?: string
  readonly image?: string
  readonly memory?: string
  readonly qemu?: string
  readonly acpi?: string
  readonly keyProvider: PlannedKeyProvider['name']
  readonly keyProviderId?: string
  readonly storageFs: 'zfs' | 'ext4'
  readonly appId?: string
  readonly gpuPolicy: boolean
  readonly mrConfigId: boolean
}

export const measureCommand = new Command('measure')
  .description('Predict the measurements of a KMS node before its first boot')
  .argument('<app-compose.json>', 'the file as it will be deployed, byte for byte')
  .option('--like <quote>', 'a quote of any CVM with the same image and machine shape')
  .option('--image <folder>', 'or the image: sha256sum.txt and measurement.tdx.cbor')
  .option('--memory <bytes>', 'of the machine, with --image')
  .option('--qemu <version>', 'of the host, x.y.z, with --image')
  .option('--acpi <event log>', 'JSON with the ACPI digests of that machine shape, with --image')
  .addOption(
    new Option('--key-provider <name>', 'where the CVM gets its own keys')
      .choices(['local-sgx', 'tpm', 'none'])
      .makeOptionMandatory(),
  )
  .option('--key-provider-id <hex>', 'measurement of the local key provider')
  .addOption(
    new Option('--storage-fs <name>', 'of the data disk').choices(['zfs', 'ext4']).default('zfs'),
  )
  .option('--app-id <hex>', 'if the deployment states one')
  .option('--no-gpu-policy', 'for images before 0.6, which measure none')
  .option('--no-mr-config-id', 'for hosts that leave it unset')
  .action(async (file: string, options: MeasureOptions) => {
    console.log(JSON.stringify(await measure(file, options), null, 2))
  })

async function measure(file: string, options: MeasureOptions) {
  const { keyProvider, keyProviderId = '', storageFs, appId, gpuPolicy, mrConfigId } = options
  if ((keyProvider === 'local-sgx') !== (keyProviderId !== '')) {
    throw usage('--key-provider-id belongs to local-sgx, and only to it')
  }
  const { base, osImageHash } = await readBase(options)
  const predicted = predictCvm({
    base,
    compose: new Uint8Array(await readBytes(file)),
    ...(appId === undefined ? {} : { appId: fromHex(appId, 'app id', 20) }),
    keyProvider: { name: keyProvider, id: fromHex(keyProviderId, 'key provider id') },
    storageFs,
    measuresGpuPolicy: gpuPolicy,
    mrConfig: mrConfigId ? 'v1' : 'unset',
  })
  return {
    compose_hash: toHex(predicted.composeHash),
    app_id: toHex(predicted.appId),
    ...(osImageHash === undefined ? {} : { os_image_hash: osImageHash }),
    mrtd: toHex(base.mrTd),
    rtmr0: toHex(base.rtmr0),
    rtmr1: toHex(base.rtmr1),
    rtmr2: toHex(base.rtmr2),
    rtmr3: toHex(predicted.rtmr3),
    mr_config_id: toHex(predicted.mrConfigId),
    mr_system: toHex(predicted.mrSystem),
    mr_aggregated: toHex(predicted.mrAggregated),
  }
}

async function readBase(
  options: MeasureOptions,
): Promise<{ base: MeasurementSet; osImageHash?: string }> {
  const { like, image, memory, qemu, acpi } = options
  const described = [image, memory, qemu, acpi]
  if (like !== undefined) {
    if (described.some((option) => option !== undefined)) {
      throw usage('--like takes the place of --image, --memory, --qemu and --acpi')
    }
    const { mrTd, rtmrs } = parseQuote(await readQuote(like)).report
    return { base: { mrTd, rtmr0: rtmrs[0], rtmr1: rtmrs[1], rtmr2: rtmrs[2] } }
  }
  if (image === undefined || memory === undefined || qemu === undefined || acpi === undefined) {
    throw usage('either --like, or --image, --memory, --qemu and --acpi')
  }
  if (!/^[1-9][0-9]{0,15}$/.test(memory)) throw usage('--memory is a number of bytes')
  if (!/^[0-9]{1,3}(\.[0-9]{1,3}){2}$/.test(qemu)) throw usage('--qemu is a version x.y.z')
  const checksums = new Uint8Array(await readBytes(join(image, 'sha256sum.txt')))
  const document = new Uint8Array(await readBytes(join(image, 'measurement.tdx.cbor')))
  requireListed(checksums, document)
  const machine = readMachine({ memory_size: Number(memory), qemu_version: qemu })
  const events = parseEventLog((await readBytes(acpi)).toString('utf8'))
  return {
    base: measureImage(document, machine, findAcpiDigests(events)),
    osImageHash: hash('sha256', checksums),
  }
}

function usage(message: string): AssentError {
  return new AssentError('USAGE_INVALID', `kms measure: ${message}.`)
}
