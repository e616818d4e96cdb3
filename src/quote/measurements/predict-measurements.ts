/**
 * What a CVM will measure, before it has ever booted: so that a chain can approve it first.
 *
 * The registers of firmware and image come from the image's measurement document or from any quote of the
 * same image on the same machine shape; RTMR3 follows from the compose file and how the CVM gets its keys.
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

export interface PlannedCvm {
  /** MRTD and RTMR0 to RTMR2. */
  readonly base: MeasurementSet
  /** The file as it will be deployed: every byte counts. */
  readonly compose: Uint8Array
  /** The first 20 bytes of the compose hash where the deployment states no other. */
  readonly appId?: Uint8Array
  readonly keyProvider: PlannedKeyProvider
  readonly storageFs: 'zfs' | 'ext4'
  /** dstack's images before 0.6 do not measure a GPU policy. */
  readonly measuresGpuPolicy: boolean
  /** What the host binds the TD to; old hosts leave it unset. */
  readonly mrConfig: 'v1' | 'unset'
  /** What the app itself emits after it is up. */
  readonly appEvents?: readonly { readonly name: string; readonly payload: Uint8Array }[]
}

export interface PlannedKeyProvider {
  readonly name: 'local-sgx' | 'tpm' | 'none'
  /** MR of the local key provider; empty for the others. */
  readonly id: Uint8Array
}

export interface Prediction {
  readonly composeHash: Uint8Array
  readonly appId: Uint8Array
  readonly mrConfigId: Uint8Array
  readonly rtmr3: Uint8Array
  readonly mrSystem: Uint8Array
  /** Over the whole log, as KMS nodes are approved. */
  readonly mrAggregated: Uint8Array
  readonly events: readonly TdxEvent[]
}

const composeSchema = z.looseObject({
  no_instance_id: z.literal(true, { error: 'must be true: an instance id is random' }),
  init_script: z.union([z.string(), z.array(z.string()).max(5)]).optional(),
  event_log_version: z.literal([1, 2]).default(1),
  /** a GPU policy is measured in a form that is not made here */
  requirements: z.looseObject({ gpu_policy: z.strictObject({}).optional() }).optional(),
})

/** @throws INPUT_INVALID: a compose file whose CVM nobody could predict */
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

/** dstack's guest, in its order; the events of a KMS that gets its own keys from a key provider. */
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

/** Key order and spacing are measured. */
function describeProvider({ name, id }: PlannedKeyProvider): Uint8Array {
  return utf8ToBytes(JSON.stringify({ name, id: toHex(id) }))
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', bytes, 'buffer'))
}
