/** What a believed quote and its event log say about a CVM: dstack's derived measurements and boot info. */
import { hash } from 'node:crypto'

import { keccak_256 } from '@noble/hashes/sha3.js'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { concatBytes, fromHex, isZero, requireLength, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'
import type { TdReport } from '../parse.ts'
import type { TcbStatus, Verified } from '../verdict.ts'
import {
  type EventView,
  findSystemEvent,
  replayRtmr3,
  requireRtmr3,
  runtimeEvents,
  type TdxEvent,
} from './event-log.ts'
import { requireMrConfigId } from './mr-config-id.ts'

/** SHA-256 of the raw bytes of app-compose.json: one changed space is another release. */
export function composeHash(raw: Uint8Array): Uint8Array {
  return sha256(raw)
}

/** SHA-256 of the PPID (16 bytes). */
export function deviceId(ppid: Uint8Array): Uint8Array {
  requireLength(ppid, 'ppid', 16)
  return sha256(ppid)
}

/** SHA-256 of the `key-provider` payload; 32 zero bytes where there is none yet. */
export function mrKeyProvider(keyProviderInfo: Uint8Array): Uint8Array {
  return keyProviderInfo.length === 0 ? new Uint8Array(32) : sha256(keyProviderInfo)
}

type BaseReport = Pick<TdReport, 'mrTd' | 'rtmrs'>
type ConfigReport = Pick<TdReport, 'mrConfigId' | 'mrOwner' | 'mrOwnerConfig'>

/** Identity of firmware, kernel, OS and key provider. */
export function mrSystem(report: BaseReport, keyProviderInfo: Uint8Array): Uint8Array {
  return sha256(concatBytes(...baseMeasurements(report), mrKeyProvider(keyProviderInfo)))
}

/**
 * Identity of everything measured, with RTMR3 as replayed for the view in question. The three config
 * registers are appended, all 144 bytes, only if one of them is set.
 */
export function mrAggregated(report: BaseReport & ConfigReport, rtmr3: Uint8Array): Uint8Array {
  requireLength(rtmr3, 'rtmr3', 48)
  const config = concatBytes(report.mrConfigId, report.mrOwner, report.mrOwnerConfig)
  const bracket = isZero(config) ? [] : [config]
  return sha256(concatBytes(...baseMeasurements(report), rtmr3, ...bracket))
}

function baseMeasurements({ mrTd, rtmrs }: BaseReport): Uint8Array[] {
  return [mrTd, rtmrs[0], rtmrs[1], rtmrs[2]]
}

/** Report data (64 bytes) that binds `content` under a purpose: `SHA-512(tag ":" content)`. */
export function reportData(
  tag: 'kms-root-ca' | 'ratls-cert' | 'app-data' | (string & {}),
  content: Uint8Array,
): Uint8Array {
  if (tag.includes(':')) {
    // ("a:b", "c") and ("a", "b:c") would bind the same bytes
    throw new AssentError('INPUT_INVALID', 'A report data tag must not contain a colon.')
  }
  return new Uint8Array(hash('sha512', concatBytes(utf8ToBytes(`${tag}:`), content), 'buffer'))
}

/**
 * Report data of a KMS that created its root keys: keccak256 of both public keys, padded to 64 bytes.
 *
 * @param caPublicKey SubjectPublicKeyInfo (DER) of the root CA
 * @param k256PublicKey 33 bytes, compressed
 */
export function bootstrapReportData(
  caPublicKey: Uint8Array,
  k256PublicKey: Uint8Array,
): Uint8Array {
  // the misspelling is dstack's, and part of the protocol
  const message = `dstack-kms-genereted-keys-v1:${toHex(caPublicKey)};${toHex(k256PublicKey)};`
  const data = new Uint8Array(64)
  data.set(keccak_256(utf8ToBytes(message)))
  return data
}

export interface AppInfo {
  /** 20 bytes */
  readonly appId: Uint8Array
  /** 32 bytes */
  readonly composeHash: Uint8Array
  /** 20 bytes, or none */
  readonly instanceId: Uint8Array
  /** JSON `{"name":…,"id":…}`, empty in the boot view */
  readonly keyProviderInfo: Uint8Array
  /** 32 bytes, only where a KMS gave the keys: what it approved; real CVMs differ from their vm_config */
  readonly osImageHash?: Uint8Array
}

/**
 * Reads who the app is from the runtime events of a view. Proven only once the log replays to the quote.
 *
 * @throws APP_INFO_INCOMPLETE, EVENT_LOG_MALFORMED
 */
export function readAppInfo(events: readonly TdxEvent[], view: EventView): AppInfo {
  const visible = runtimeEvents(events, view)
  const read = (name: string, lengths: number[], missing?: Uint8Array): Uint8Array => {
    const payload = findSystemEvent(visible, name) ?? missing
    if (payload === undefined || !lengths.includes(payload.length)) {
      throw new AssentError('APP_INFO_INCOMPLETE', `The event log has no valid ${name}.`, {
        facts: { event: name, found: payload?.length ?? null, expected: lengths },
      })
    }
    return payload
  }
  const none = new Uint8Array()
  const osImageHash = read('os-image-hash', [0, 32], none)
  return {
    appId: read('app-id', [20]),
    composeHash: read('compose-hash', [32]),
    instanceId: read('instance-id', [0, 20], none),
    keyProviderInfo: findSystemEvent(visible, 'key-provider') ?? none,
    ...(osImageHash.length === 0 ? {} : { osImageHash }),
  }
}

/** Other fields are the host's business and ignored, as dstack does. */
const vmConfigSchema = z.looseObject({
  os_image_hash: z.string().regex(/^[0-9a-fA-F]{64}$/, '32 bytes as hex without 0x'),
  mr_config: z.string().optional(),
})

const MAX_VM_CONFIG_CHARS = 262_144

export interface VmConfig {
  /** 32 bytes: the host's claim, until the image is measured */
  readonly osImageHash: Uint8Array
  /** document that MR_CONFIG_ID version 3 hashes */
  readonly mrConfig: string | undefined
}

/**
 * Reads the `vm_config` string of a guest.
 *
 * @throws VM_CONFIG_MALFORMED, INPUT_TOO_LARGE
 */
export function parseVmConfig(text: string): VmConfig {
  if (text.length > MAX_VM_CONFIG_CHARS) {
    throw new AssentError('INPUT_TOO_LARGE', 'The vm_config is too large.', {
      facts: { found: text.length, expected: `at most ${MAX_VM_CONFIG_CHARS}` },
    })
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new AssentError('VM_CONFIG_MALFORMED', 'The vm_config is not JSON.', { cause })
  }
  const parsed = vmConfigSchema.safeParse(json)
  if (!parsed.success) {
    throw new AssentError('VM_CONFIG_MALFORMED', `vm_config: ${describeIssues(parsed.error)}`)
  }
  const { os_image_hash: osImageHash, mr_config: mrConfig } = parsed.data
  return { osImageHash: fromHex(osImageHash, 'os_image_hash', 32), mrConfig }
}

/** What a KMS asks about: dstack's boot info. Widths in bytes. */
export interface BootInfo {
  readonly teeVariant: 'dstack-tdx'
  /** 32 */
  readonly mrAggregated: Uint8Array
  /** 32: a claim of the host until the image is measured */
  readonly osImageHash: Uint8Array
  /** 32 */
  readonly mrSystem: Uint8Array
  /** 20 */
  readonly appId: Uint8Array
  /** 32 */
  readonly composeHash: Uint8Array
  /** 0 or 20 */
  readonly instanceId: Uint8Array
  /** 32 */
  readonly deviceId: Uint8Array
  readonly keyProviderInfo: Uint8Array
  readonly tcbStatus: TcbStatus
  readonly advisoryIds: readonly string[]
}

export interface BootEvidence {
  readonly verdict: Verified
  readonly events: readonly TdxEvent[]
  readonly vmConfig: string | VmConfig
  /** `boot` for a CVM that asks for its keys, `full` for one that runs */
  readonly view: EventView
}

/**
 * Builds the boot info of a verified quote. The whole log must replay to the quote's RTMR3, whatever the
 * view; and MR_CONFIG_ID must not contradict it.
 *
 * @throws EVENT_LOG_RTMR3_MISMATCH, APP_INFO_INCOMPLETE, MR_CONFIG_ID_MISMATCH,
 *   MR_CONFIG_ID_UNSUPPORTED, VM_CONFIG_MALFORMED
 */
export function buildBootInfo({ verdict, events, vmConfig, view }: BootEvidence): BootInfo {
  const { report } = verdict.quote
  requireRtmr3(events, report.rtmrs[3])
  const app = readAppInfo(events, view)
  const { osImageHash, mrConfig } =
    typeof vmConfig === 'string' ? parseVmConfig(vmConfig) : vmConfig
  requireMrConfigId(report.mrConfigId, { composeHash: app.composeHash, document: mrConfig })

  const rtmr3 = replayRtmr3(runtimeEvents(events, view))
  return {
    teeVariant: 'dstack-tdx',
    mrAggregated: mrAggregated(report, rtmr3),
    osImageHash,
    mrSystem: mrSystem(report, app.keyProviderInfo),
    appId: app.appId,
    composeHash: app.composeHash,
    instanceId: app.instanceId,
    deviceId: verdict.deviceId,
    keyProviderInfo: app.keyProviderInfo,
    tcbStatus: verdict.status,
    advisoryIds: verdict.advisoryIds,
  }
}

/** Boot info as the auth webhook takes it: hex without 0x, fields in dstack's order. */
export function bootInfoToJson(info: BootInfo) {
  return {
    teeVariant: info.teeVariant,
    mrAggregated: toHex(info.mrAggregated),
    osImageHash: toHex(info.osImageHash),
    mrSystem: toHex(info.mrSystem),
    appId: toHex(info.appId),
    composeHash: toHex(info.composeHash),
    instanceId: toHex(info.instanceId),
    deviceId: toHex(info.deviceId),
    keyProviderInfo: toHex(info.keyProviderInfo),
    tcbStatus: info.tcbStatus,
    advisoryIds: [...info.advisoryIds],
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', bytes, 'buffer'))
}
