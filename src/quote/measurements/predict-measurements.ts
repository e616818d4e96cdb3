/**
 * Predicts the measurements of a CVM before its first boot, so that the DAO can approve them in advance.
 *
 * The registers of firmware and image come from the measurement document of the image, or from any quote of the same
 * image on the same machine shape. RTMR3 depends on the compose file and on the key provider.
 */
import { hash } from 'node:crypto'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { requireLength, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import {
  type EventVersion,
  RUNTIME_EVENT_TYPE,
  replayRtmr3,
  runtimeEventDigest,
  type TdxEvent,
} from './event-log.ts'
import type { MeasurementSet } from './image-proof.ts'
import { composeHash, mrAggregated, mrSystem } from './measure.ts'
import { mrConfigIdV1 } from './mr-config-id.ts'

/** Inputs of {@link predictCvm}. */
export interface PlannedCvm {
  /** MRTD and RTMR0 to RTMR2 of the base image on this machine shape. */
  readonly base: MeasurementSet
  /** The raw app-compose file, byte for byte as it will be deployed. */
  readonly compose: Uint8Array
  /** 20 bytes. Default: the first 20 bytes of the compose hash, as dstack does. */
  readonly appId?: Uint8Array
  /** The key provider of the CVM; it is part of RTMR3 and of MRCONFIGID. */
  readonly keyProvider: PlannedKeyProvider
  /** File system of the data disk, which the guest measures. */
  readonly storageFs: 'zfs' | 'ext4'
  /** False for dstack images before 0.6, which do not measure a GPU policy. */
  readonly measuresGpuPolicy: boolean
  /** The version of MRCONFIGID. Old hosts leave it unset. */
  readonly mrConfig: 'v1' | 'unset'
  /** Events that the app emits after `system-ready`. */
  readonly appEvents?: readonly { readonly name: string; readonly payload: Uint8Array }[]
}

/** The key provider of the planned CVM. */
export interface PlannedKeyProvider {
  readonly name: 'local-sgx' | 'tpm' | 'none'
  /** Measurement of the local key provider, or empty for the others. */
  readonly id: Uint8Array
}

/** The predicted measurements. */
export interface Prediction {
  /** 32 bytes. */
  readonly composeHash: Uint8Array
  /** 20 bytes. */
  readonly appId: Uint8Array
  /** 48 bytes. */
  readonly mrConfigId: Uint8Array
  /** 48 bytes. */
  readonly rtmr3: Uint8Array
  /** 32 bytes. */
  readonly mrSystem: Uint8Array
  /** Over the whole event log: the KMS measurement that the DAO approves. */
  readonly mrAggregated: Uint8Array
  /** Events that lead to `rtmr3`. */
  readonly events: readonly TdxEvent[]
}

const composeSchema = z.looseObject({
  no_instance_id: z.literal(true, { error: 'must be true: an instance id is random' }),
  init_script: z.union([z.string(), z.array(z.string()).max(5)]).optional(),
  event_log_version: z.literal([1, 2]).default(1),
  /** A GPU policy is not supported: its measured form is not implemented here. */
  requirements: z.looseObject({ gpu_policy: z.strictObject({}).optional() }).optional(),
})

/**
 * Predicts the measurements of a CVM.
 *
 * @throws INPUT_INVALID if the compose file has a random or unsupported part, such as an instance id
 *
 * @example
 * const { mrAggregated } = predictCvm({
 *   base, compose, keyProvider: { name: 'none', id: new Uint8Array() },
 *   storageFs: 'zfs', measuresGpuPolicy: true, mrConfig: 'v1',
 * })
 */
export function predictCvm(planned: PlannedCvm): Prediction {
  const { base, compose, keyProvider } = planned
  const hashed = composeHash(compose)
  const appId = planned.appId ?? hashed.slice(0, 20)
  requireLength(appId, 'app id', 20)
  const events = bootEvents(planned, hashed, appId)
  const rtmr3 = replayRtmr3(events)
  const zero = new Uint8Array(48)
  const mrConfigId = planned.mrConfig === 'v1' ? mrConfigIdV1(hashed) : zero
  const report = {
    mrTd: base.mrTd,
    rtmrs: [base.rtmr0, base.rtmr1, base.rtmr2, rtmr3],
    mrConfigId,
    mrOwner: zero,
    mrOwnerConfig: zero,
  } as const
  return {
    composeHash: hashed,
    appId,
    mrConfigId,
    rtmr3,
    mrSystem: mrSystem(report, describeProvider(keyProvider)),
    mrAggregated: mrAggregated(report, rtmr3),
    events,
  }
}

/** The runtime events of dstack's guest, in its order, for a CVM that gets its keys from a local key provider. */
function bootEvents(planned: PlannedCvm, hashed: Uint8Array, appId: Uint8Array): TdxEvent[] {
  const { init_script: script, event_log_version: version } = readCompose(planned.compose)
  const scripts = script === undefined || script === '' ? [] : [script].flat()
  const nothing = new Uint8Array()
  const named: readonly (readonly [string, Uint8Array])[] = [
    ['system-preparing', nothing],
    ['app-id', appId],
    ['compose-hash', hashed],
    ...scripts.map((text) => ['init-script-hash', sha256(utf8ToBytes(text))] as const),
    ...(planned.measuresGpuPolicy ? [['gpu-policy-hash', sha256(utf8ToBytes('{}'))] as const] : []),
    ['instance-id', nothing],
    ['boot-mr-done', nothing],
    ['key-provider', describeProvider(planned.keyProvider)],
    ['storage-fs', utf8ToBytes(planned.storageFs)],
    ['system-ready', nothing],
    ...(planned.appEvents ?? []).map(({ name, payload }) => [name, payload] as const),
  ]
  return named.map(([name, payload]) => runtimeEvent(name, payload, version))
}

function runtimeEvent(event: string, payload: Uint8Array, version: EventVersion): TdxEvent {
  const digest = runtimeEventDigest(event, payload, version)
  return { imr: 3, eventType: RUNTIME_EVENT_TYPE, digest, event, payload, version }
}

function readCompose(bytes: Uint8Array) {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new AssentError('INPUT_INVALID', 'The compose file is not JSON.', { cause })
  }
  const parsed = composeSchema.safeParse(json)
  if (parsed.success) return parsed.data
  const issues = describeIssues(parsed.error)
  throw new AssentError('INPUT_INVALID', `The compose file cannot be predicted: ${issues}`)
}

/** dstack measures this text, so key order and spacing matter. */
function describeProvider({ name, id }: PlannedKeyProvider): Uint8Array {
  return utf8ToBytes(JSON.stringify({ name, id: toHex(id) }))
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', bytes, 'buffer'))
}
