/** Predicts the measurements of a KMS node before its first boot: the values for the approvals on the chain. */

import { hash } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { AssentError } from '../../errors/index.ts'
import { fromHex, toHex } from '../../lib/bytes.ts'
import { readBytes } from '../../lib/files.ts'
import { parseEventLog } from '../../quote/measurements/event-log.ts'
import {
  findAcpiDigests,
  type MeasurementSet,
  measureImage,
  readMachine,
  requireListed,
} from '../../quote/measurements/image-proof.ts'
import {
  type PlannedKeyProvider,
  predictCvm,
} from '../../quote/measurements/predict-measurements.ts'
import { parseQuote } from '../../quote/parse.ts'
import type { ArgumentsOf } from '../command.ts'
import type { predict } from '../kms.ts'
import { readEvidenceAt } from '../quote/read-evidence.ts'
import type { Context } from '../session/context.ts'

const hex = z.string().regex(/^(?:[0-9a-f]{2})+$/)

export const schema = z.strictObject({
  compose_hash: hex,
  app_id: hex,
  os_image_hash: hex.optional(),
  mrtd: hex,
  rtmr0: hex,
  rtmr1: hex,
  rtmr2: hex,
  rtmr3: hex,
  mr_config_id: hex,
  mr_system: hex,
  mr_aggregated: hex,
})

type PredictArguments = ArgumentsOf<typeof predict>

export async function run(args: PredictArguments, { output }: Context) {
  const value = await measure(args)
  output.verbatim(JSON.stringify(value, null, 2))
  return value
}

async function measure(options: PredictArguments) {
  const { file, keyProviderId = '', appId } = options
  const keyProvider = options.keyProvider as PlannedKeyProvider['name']
  const storageFs = options.storageFs as 'zfs' | 'ext4'
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
    measuresGpuPolicy: !options.noGpuPolicy,
    mrConfig: options.noMrConfigId ? 'unset' : 'v1',
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
  options: PredictArguments,
): Promise<{ base: MeasurementSet; osImageHash?: string }> {
  const { like, image, memory, qemu, acpi } = options
  const described = [image, memory, qemu, acpi]
  if (like !== undefined) {
    if (described.some((option) => option !== undefined)) {
      throw usage('--like takes the place of --image, --memory, --qemu and --acpi')
    }
    const { mrTd, rtmrs } = parseQuote((await readEvidenceAt(like)).quote).report
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
  return new AssentError('USAGE_INVALID', `kms predict: ${message}.`)
}
