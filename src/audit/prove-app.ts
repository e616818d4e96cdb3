/** From a verified quote down to the app: replays the event log, and compares the app-compose file and the base image. */
import { hash } from 'node:crypto'

import { AssentError } from '../errors/index.ts'
import { runtimeLog } from '../kms/authorization/verify-attestation.ts'
import { equalBytes, toHex } from '../lib/bytes.ts'
import type { Attestation } from '../quote/attestation.ts'
import { replayRtmr3, requireRtmr3 } from '../quote/measurements/event-log.ts'
import {
  findAcpiDigests,
  measureImage,
  parseImageClaim,
  proveOsImage,
  readMachine,
  requireListed,
} from '../quote/measurements/image-proof.ts'
import {
  composeHash,
  mrAggregated,
  mrSystem,
  parseVmConfig,
  readAppInfo,
} from '../quote/measurements/measure.ts'
import { requireMrConfigId } from '../quote/measurements/mr-config-id.ts'
import type { Quote, TdReport } from '../quote/parse.ts'

/** The files of a base image, from which its registers are computed. */
export interface ImageFiles {
  /** `sha256sum.txt`; its SHA-256 is the hash of the image. */
  readonly checksums: Uint8Array
  /** `measurement.tdx.cbor` */
  readonly document: Uint8Array
}

/** Expected values for the proof. */
export interface ExpectedApp {
  /** The app-compose file, byte for byte. */
  readonly compose?: Uint8Array
  /** Files of the image that the machine must have booted. */
  readonly image?: ImageFiles
}

/** The key provider that a CVM measured. */
export interface MeasuredKeyProvider {
  /** `kms`, `local-sgx`, `tpm` or `none`. */
  readonly name: string
  /** For a KMS, its root CA key (SubjectPublicKeyInfo) in hex. */
  readonly id: string
}

/** The knowledge about the base image: proven, claimed or missing. */
export type ImageStanding =
  /** the registers of the quote are those of this image */
  | 'proven'
  /** the host says so; for its scheme the chain must have approved `mrSystem` */
  | 'claimed'
  /** nobody says which */
  | 'unknown'

/** The facts about an app that a quote and its event log prove. */
export interface ProvenApp {
  /** 20 bytes. */
  readonly appId: Uint8Array
  /** 32 bytes. */
  readonly composeHash: Uint8Array
  /** 20 bytes, or empty. */
  readonly instanceId: Uint8Array
  /** undefined: the log has no such event. */
  readonly keyProvider: MeasuredKeyProvider | undefined
  /** 32 bytes; undefined if its standing is `unknown`. */
  readonly osImageHash: Uint8Array | undefined
  readonly image: ImageStanding
  /** 32 bytes. */
  readonly mrAggregated: Uint8Array
  /** 32 bytes, with the key provider. */
  readonly mrSystem: Uint8Array
  /** 32 bytes, as the KMS sees it at boot, when no key provider is known. */
  readonly mrSystemAtBoot: Uint8Array
}

/**
 * Proves the app of a CVM. The quote must be verified before: this function proves only what follows from it.
 *
 * @throws EVENT_LOG_*, APP_INFO_INCOMPLETE, MR_CONFIG_ID_*, VM_CONFIG_MALFORMED
 * @throws COMPOSE_HASH_MISMATCH if the app-compose file is another one
 * @throws IMAGE_NOT_PROVEN, IMAGE_CLAIM_INVALID, OS_IMAGE_MEASUREMENT_MALFORMED if the image is another one, or cannot be
 *   compared
 *
 * @example
 * const app = proveApp(verdict.quote, await evidence.attestation(), { compose: await readFile('app-compose.json') })
 */
export function proveApp(
  { report }: Quote,
  guest: Attestation,
  expected: ExpectedApp = {},
): ProvenApp {
  const attestation = { ...guest, config: vmConfigOf(guest.config) }
  const events = runtimeLog(attestation)
  requireRtmr3(events, report.rtmrs[3])
  const { keyProviderInfo, ...app } = readAppInfo(events, 'full')
  const config = attestation.config === '' ? undefined : parseVmConfig(attestation.config)
  requireMrConfigId(report.mrConfigId, {
    composeHash: app.composeHash,
    document: config?.mrConfig,
  })
  if (expected.compose !== undefined) requireCompose(app.composeHash, expected.compose)
  return {
    appId: app.appId,
    composeHash: app.composeHash,
    instanceId: app.instanceId,
    keyProvider: readKeyProvider(keyProviderInfo),
    ...proveImage(report, attestation, expected.image),
    mrAggregated: mrAggregated(report, replayRtmr3(events)),
    mrSystem: mrSystem(report, keyProviderInfo),
    mrSystemAtBoot: mrSystem(report, new Uint8Array()),
  }
}

/** Some guests put their whole sys-config there, in which the VM configuration is one member. */
function vmConfigOf(config: string): string {
  try {
    const { os_image_hash: image, vm_config: inner } = JSON.parse(config)
    return image === undefined && typeof inner === 'string' ? inner : config
  } catch {
    return config
  }
}

function requireCompose(measured: Uint8Array, compose: Uint8Array): void {
  const found = composeHash(compose)
  if (equalBytes(found, measured)) return
  throw new AssentError('COMPOSE_HASH_MISMATCH', 'The CVM runs another app-compose file.', {
    facts: { measured: toHex(measured), file: toHex(found) },
  })
}

/** The payload is JSON that the guest wrote; another form counts as no provider that could be compared. */
function readKeyProvider(info: Uint8Array): MeasuredKeyProvider | undefined {
  try {
    const { name, id } = JSON.parse(Buffer.from(info).toString('utf8'))
    return typeof name === 'string' && typeof id === 'string' ? { name, id } : undefined
  } catch {
    return undefined
  }
}

function proveImage(
  report: TdReport,
  { config, eventLog }: Attestation,
  files: ImageFiles | undefined,
): Pick<ProvenApp, 'osImageHash' | 'image'> {
  if (files !== undefined) {
    return { osImageHash: proveImageFiles(report, { config, eventLog }, files), image: 'proven' }
  }
  if (config === '') return { osImageHash: undefined, image: 'unknown' }
  const description = parseImageClaim(config)
  if (description.tdx_attestation_variant === 'lite') {
    const osImageHash = proveOsImage({ report, events: eventLog, description }, () => [])
    return { osImageHash, image: 'proven' }
  }
  return { osImageHash: parseVmConfig(config).osImageHash, image: 'claimed' }
}

/** Computes the registers from the files of the image, for the machine shape that the host states. */
function proveImageFiles(
  report: TdReport,
  { config, eventLog }: Pick<Attestation, 'config' | 'eventLog'>,
  { checksums, document }: ImageFiles,
): Uint8Array {
  if (config === '') {
    throw new AssentError(
      'IMAGE_CLAIM_INVALID',
      'The image cannot be compared: the evidence has no vm_config, which states the memory of the machine.',
    )
  }
  requireListed(checksums, document)
  const machine = readMachine(parseImageClaim(config))
  const measured = measureImage(document, machine, findAcpiDigests(eventLog))
  const [rtmr0, rtmr1, rtmr2] = report.rtmrs
  const registers = { mrTd: report.mrTd, rtmr0, rtmr1, rtmr2 }
  const differing = (Object.keys(measured) as (keyof typeof measured)[]).filter(
    (name) => !equalBytes(measured[name], registers[name]),
  )
  if (differing.length > 0) {
    throw new AssentError('IMAGE_NOT_PROVEN', 'The CVM booted another image than these files.', {
      facts: { registers: differing },
    })
  }
  return new Uint8Array(hash('sha256', checksums, 'buffer'))
}
