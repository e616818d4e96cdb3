/** dstack's derived measurements and boot info, from a verified quote and its event log. */
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

/**
 * The compose hash: SHA-256 of the raw app-compose file. A changed space gives another release.
 *
 * @example toHex(composeHash(await readFile('app-compose.json')))
 */
export function composeHash(raw: Uint8Array): Uint8Array {
  return sha256(raw)
}

/**
 * The device id: SHA-256 of the PPID.
 *
 * @param ppid 16 bytes
 * @throws LENGTH_WRONG
 * @example const id = deviceId(verdict.ppid)
 */
export function deviceId(ppid: Uint8Array): Uint8Array {
  requireLength(ppid, 'ppid', 16)
  return sha256(ppid)
}

/** SHA-256 of the `key-provider` payload, or 32 zero bytes if it is empty. */
export function mrKeyProvider(keyProviderInfo: Uint8Array): Uint8Array {
  return keyProviderInfo.length === 0 ? new Uint8Array(32) : sha256(keyProviderInfo)
}

type BaseReport = Pick<TdReport, 'mrTd' | 'rtmrs'>
type ConfigReport = Pick<TdReport, 'mrConfigId' | 'mrOwner' | 'mrOwnerConfig'>

/**
 * dstack's `mr_system`: 32 bytes over firmware, kernel, OS and key provider.
 *
 * @example const measurement = mrSystem(verdict.quote.report, keyProviderInfo)
 */
export function mrSystem(report: BaseReport, keyProviderInfo: Uint8Array): Uint8Array {
  return sha256(concatBytes(...baseMeasurements(report), mrKeyProvider(keyProviderInfo)))
}

/**
 * dstack's `mr_aggregated`: 32 bytes over all registers. MRCONFIGID, MROWNER and MROWNERCONFIG are included only if one
 * of them is not zero.
 *
 * @param rtmr3 RTMR3 of the wanted view (boot or full log), 48 bytes
 * @example const measurement = mrAggregated(verdict.quote.report, replayRtmr3(events))
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

/**
 * Creates dstack's report data: `SHA-512(tag ":" content)`, 64 bytes.
 *
 * @param tag purpose of the quote
 * @throws INPUT_INVALID if the tag contains a colon
 * @example const quote = await agent.getQuote(reportData('app-data', new TextEncoder().encode('nonce 42')))
 */
export function reportData(
  tag: 'kms-root-ca' | 'ratls-cert' | 'app-data' | (string & {}),
  content: Uint8Array,
): Uint8Array {
  if (tag.includes(':')) {
    // ("a:b", "c") and ("a", "b:c") would have the same hash
    throw new AssentError('INPUT_INVALID', 'A report data tag must not contain a colon.')
  }
  return new Uint8Array(hash('sha512', concatBytes(utf8ToBytes(`${tag}:`), content), 'buffer'))
}

/**
 * The root key commitment in the bootstrap quote of a KMS: keccak256 of both public keys, padded to 64 bytes.
 *
 * @param caPublicKey SubjectPublicKeyInfo (DER) of the root CA
 * @param k256PublicKey 33 bytes, compressed
 */
export function bootstrapReportData(
  caPublicKey: Uint8Array,
  k256PublicKey: Uint8Array,
): Uint8Array {
  // the misspelling is in dstack's protocol
  const message = `dstack-kms-genereted-keys-v1:${toHex(caPublicKey)};${toHex(k256PublicKey)};`
  const data = new Uint8Array(64)
  data.set(keccak_256(utf8ToBytes(message)))
  return data
}

/** The app of a CVM, from its runtime events. */
export interface AppInfo {
  /** 20 bytes. */
  readonly appId: Uint8Array
  /** 32 bytes */
  readonly composeHash: Uint8Array
  /** 20 bytes, or empty. */
  readonly instanceId: Uint8Array
  /** JSON `{"name":…,"id":…}`. Empty in the boot view. */
  readonly keyProviderInfo: Uint8Array
  /** 32 bytes: the image hash that a KMS approved. Only if a KMS gave the keys. Can differ from `vm_config`. */
  readonly osImageHash?: Uint8Array
}

/**
 * Reads the app from the runtime events. Check {@link requireRtmr3} first: a log that does not replay can be forged.
 *
 * @throws APP_INFO_INCOMPLETE, EVENT_LOG_MALFORMED
 * @example
 * requireRtmr3(events, verdict.quote.report.rtmr3)
 * const { appId, composeHash } = readAppInfo(events, 'boot')
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

/** Other members are ignored, as dstack does. */
const vmConfigSchema = z.looseObject({
  os_image_hash: z.string().regex(/^[0-9a-fA-F]{64}$/, '32 bytes as hex without 0x'),
  mr_config: z.string().optional(),
})

const MAX_VM_CONFIG_CHARS = 262_144

/** The members of a VM configuration that boot info needs. */
export interface VmConfig {
  /** 32 bytes: a claim of the host until the image is verified. */
  readonly osImageHash: Uint8Array
  /** The document that MRCONFIGID version 3 hashes. */
  readonly mrConfig: string | undefined
}

/**
 * Parses the VM configuration (`vm_config`) of a guest.
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

/** dstack's boot info: the facts on which the chain decides. Each field says its length in bytes. */
export interface BootInfo {
  /** The only variant that Assent verifies. */
  readonly teeVariant: 'dstack-tdx'
  /** 32 */
  readonly mrAggregated: Uint8Array
  /** 32: a claim of the host until the image is verified. */
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
  /** JSON text as it was measured, in bytes. */
  readonly keyProviderInfo: Uint8Array
  /** By Intel's names. */
  readonly tcbStatus: TcbStatus
  /** Such as `INTEL-SA-00837`. */
  readonly advisoryIds: readonly string[]
}

/** Inputs of {@link buildBootInfo}. */
export interface BootEvidence {
  readonly verdict: Verified
  /** The event log; it is replayed and compared with RTMR3. */
  readonly events: readonly TdxEvent[]
  /** JSON text or object; untrusted until the image is verified. */
  readonly vmConfig: string | VmConfig
  /** `boot` for a CVM that requests its keys, `full` for a running CVM. */
  readonly view: EventView
}

/**
 * Builds the boot info of a verified quote.
 *
 * The whole log must replay to RTMR3 of the quote in both views, and MRCONFIGID must not contradict the log.
 *
 * @throws EVENT_LOG_RTMR3_MISMATCH, APP_INFO_INCOMPLETE, MR_CONFIG_ID_MISMATCH,
 *   MR_CONFIG_ID_UNSUPPORTED, VM_CONFIG_MALFORMED
 * @example const { appId, composeHash, mrAggregated } = buildBootInfo({ verdict, events, vmConfig, view: 'full' })
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

/** Encodes boot info for the auth webhook: hex without 0x, members in dstack's order. */
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
