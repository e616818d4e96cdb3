/** A simulated confidential VM: it boots an image and an app, and measures them, as dstack does. */
import { sha256, sha384 } from '@noble/hashes/sha2.js'

import { concatBytes, requireLength, toHex, utf8ToBytes } from '../../lib/bytes.ts'
import { type AttestedRuntimeEvent, encodeAttestation } from '../../quote/attestation.ts'
import { runtimeEventDigest } from '../../quote/measurements/event-log.ts'
import { composeHash } from '../../quote/measurements/measure.ts'
import { mrConfigIdV1 } from '../../quote/measurements/mr-config-id.ts'
import type { QuoteSource } from '../source.ts'
import { type EventLogForm, listEvents, renderEvents } from './event-log.ts'
import { type BootedImage, type MachineOptions, type OsImage, startImage } from './image.ts'
import { deriveBytes } from './key.ts'
import type { PlatformIdentity } from './platform-identity.ts'
import type { QuoteOptions, TdFields } from './quote.ts'
/** `booted`: measured up to the event `boot-mr-done`, before it requests keys. `ready`: the app runs. */
export type CvmStage = 'booted' | 'ready'

/** The key provider of the CVM. */
export type KeyProviderName = 'kms' | 'local-sgx' | 'tpm' | 'none'

/** The key provider of a CVM, as the event `key-provider` records it. */
export interface KeyProvider {
  readonly name: KeyProviderName
  /** Root CA key of the KMS (SubjectPublicKeyInfo), measurement of the local provider, or empty. */
  readonly id: Uint8Array
}

/** The keys from the KMS that the guest agent needs. */
export interface GuestAppKeys {
  /** secp256k1 private key, 32 bytes. */
  readonly k256Key: Uint8Array
  /** Signature of the root key, 65 bytes. */
  readonly k256Signature: Uint8Array
}

/** Image, app and keys of the CVM to boot. */
export interface CvmOptions {
  /** Base image to boot. */
  readonly image: OsImage
  /** The text of app-compose.json. Each change gives another compose hash. */
  readonly compose: Uint8Array | string
  /** 20 bytes; default: the start of the compose hash. */
  readonly appId?: Uint8Array
  /** 20 bytes that the CVM keeps on its disk. */
  readonly instanceSeed?: Uint8Array
  /** Default: as the compose file says. */
  readonly noInstanceId?: boolean
  readonly initScripts?: readonly string[]
  /** MR_CONFIG_ID: version 1 over the compose hash, all zero, or these 48 bytes. */
  readonly mrConfigId?: 'v1' | 'unset' | Uint8Array
  readonly eventVersion?: 1 | 2
  /** Virtual machine that the host describes. */
  readonly machine?: MachineOptions
  /** Fields of the TD report that differ from those of an honest host. */
  readonly td?: TdFields
  /** Format of its quotes. */
  readonly quote?: Pick<QuoteOptions, 'version' | 'bodyType' | 'padding'>
}

/** The steps between `booted` and `ready`. */
export interface ReadyOptions {
  readonly keyProvider?: KeyProvider
  /** The image hash in the answer of GetAppKey; default: the hash of the image. */
  readonly osImageHash?: Uint8Array
  readonly storageFs?: 'zfs' | 'ext4'
  readonly keys?: GuestAppKeys
}

/** A running CVM. Byte lengths as in dstack. */
export interface SimulatedCvm {
  /** Host on which it runs. */
  readonly platform: PlatformIdentity
  /** Base image that it booted. */
  readonly image: OsImage
  /** The last step of the boot. */
  readonly stage: CvmStage
  /** Raw bytes of the app-compose file. */
  readonly compose: Uint8Array
  /** 20 bytes. */
  readonly appId: Uint8Array
  /** 32 bytes: SHA-256 of `compose`. */
  readonly composeHash: Uint8Array
  /** Empty, or 20 bytes. */
  readonly instanceId: Uint8Array
  /** 32 bytes: SHA-256 of the platform's PPID. */
  readonly deviceId: Uint8Array
  /** JSON text, as a host would give it. */
  readonly vmConfig: string
  /** Undefined until it got keys. */
  readonly keys: GuestAppKeys | undefined
  /** Runtime events that were measured into RTMR3 so far. */
  readonly events: readonly AttestedRuntimeEvent[]
  /** The current MRTD, MR_CONFIG_ID and RTMR0 to RTMR3. */
  readonly registers: CvmRegisters
  /** Quotes of this CVM, as a guest agent serves them. */
  readonly source: QuoteSource
  /** Measures another runtime event into RTMR3. */
  emitEvent(name: string, payload: Uint8Array): void
  /** The second part of the boot, after the keys arrived. @throws TypeError the second time */
  advance(stage: 'ready', options?: ReadyOptions): void
  /** A signed quote with 64 bytes of report data. */
  quote(reportData: Uint8Array, options?: QuoteOptions): Uint8Array
  /** The event log as JSON. */
  eventLog(form?: EventLogForm): string
  /** A VersionedAttestation; by default with the event log in the form for certificates. */
  attestation(reportData: Uint8Array, form?: EventLogForm): Uint8Array
}

/** Registers, 48 bytes each. */
export interface CvmRegisters {
  readonly mrTd: Uint8Array
  /** Binds the CVM to its configuration. */
  readonly mrConfigId: Uint8Array
  readonly rtmrs: readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
}

/** Boots a CVM up to the stage `booted`. */
export function bootCvm(
  platform: PlatformIdentity,
  seed: Uint8Array,
  options: CvmOptions,
): SimulatedCvm {
  const booted = startImage(options.image, options.machine)
  const cvm = new Cvm(platform, options, booted, identify(seed, platform, options))
  cvm.measureBoot(options.initScripts ?? [])
  return cvm
}

interface CvmIdentity {
  readonly compose: Uint8Array
  readonly composeHash: Uint8Array
  readonly appId: Uint8Array
  readonly instanceId: Uint8Array
}

function identify(seed: Uint8Array, platform: PlatformIdentity, options: CvmOptions): CvmIdentity {
  const compose =
    typeof options.compose === 'string' ? utf8ToBytes(options.compose) : options.compose
  const hash = composeHash(compose)
  const appId = options.appId ?? hash.slice(0, 20)
  requireLength(appId, 'app id', 20)
  const noInstanceId = options.noInstanceId ?? composeMember(compose, 'no_instance_id') === true
  const instanceSeed =
    options.instanceSeed ?? deriveBytes(seed, `instance/${platform.name}/${toHex(appId)}`, 20)
  const instanceId = noInstanceId
    ? new Uint8Array()
    : sha256(concatBytes(instanceSeed, appId)).slice(0, 20)
  return { compose, composeHash: hash, appId, instanceId }
}

/** A compose file that is not JSON is measured too; then it has no members. */
function composeMember(compose: Uint8Array, name: string): unknown {
  try {
    return (JSON.parse(new TextDecoder().decode(compose)) as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

class Cvm implements SimulatedCvm {
  readonly platform: PlatformIdentity
  readonly image: OsImage
  readonly compose: Uint8Array
  readonly appId: Uint8Array
  readonly composeHash: Uint8Array
  readonly instanceId: Uint8Array
  readonly source: QuoteSource
  stage: CvmStage = 'booted'
  keys: GuestAppKeys | undefined
  readonly #options: CvmOptions
  readonly #booted: BootedImage
  readonly #events: AttestedRuntimeEvent[] = []
  #rtmr3: Uint8Array = new Uint8Array(48)

  constructor(
    platform: PlatformIdentity,
    options: CvmOptions,
    booted: BootedImage,
    identity: CvmIdentity,
  ) {
    this.platform = platform
    this.image = options.image
    this.compose = identity.compose
    this.appId = identity.appId
    this.composeHash = identity.composeHash
    this.instanceId = identity.instanceId
    this.#options = options
    this.#booted = booted
    this.source = {
      attest: async (reportData) => ({
        quote: this.quote(reportData),
        eventLog: this.eventLog('quote'),
        vmConfig: this.vmConfig,
      }),
    }
  }

  get deviceId(): Uint8Array {
    return this.platform.deviceId
  }

  get vmConfig(): string {
    return this.#booted.vmConfig
  }

  get events(): readonly AttestedRuntimeEvent[] {
    return this.#events
  }

  get registers(): CvmRegisters {
    const { mrTd, rtmr0, rtmr1, rtmr2 } = this.#booted
    return { mrTd, mrConfigId: this.#mrConfigId(), rtmrs: [rtmr0, rtmr1, rtmr2, this.#rtmr3] }
  }

  emitEvent(name: string, payload: Uint8Array): void {
    const version = this.#options.eventVersion ?? 1
    this.#rtmr3 = sha384(concatBytes(this.#rtmr3, runtimeEventDigest(name, payload, version)))
    this.#events.push({ name, payload, version })
  }

  measureBoot(initScripts: readonly string[]): void {
    const nothing = new Uint8Array()
    this.emitEvent('system-preparing', nothing)
    this.emitEvent('app-id', this.appId)
    this.emitEvent('compose-hash', this.composeHash)
    for (const script of initScripts) {
      this.emitEvent('init-script-hash', sha256(utf8ToBytes(script)))
    }
    this.emitEvent('gpu-policy-hash', sha256(utf8ToBytes('{}')))
    this.emitEvent('instance-id', this.instanceId)
    this.emitEvent('boot-mr-done', nothing)
  }

  advance(_stage: 'ready', options: ReadyOptions = {}): void {
    if (this.stage === 'ready') throw new TypeError('A CVM can become ready only once.')
    const provider = options.keyProvider ?? { name: 'none', id: new Uint8Array() }
    if (provider.name === 'kms') {
      this.emitEvent('os-image-hash', options.osImageHash ?? this.image.osImageHash)
    }
    this.emitEvent('key-provider', describeProvider(provider))
    this.emitEvent('storage-fs', utf8ToBytes(options.storageFs ?? 'zfs'))
    this.emitEvent('system-ready', new Uint8Array())
    this.keys = options.keys
    this.stage = 'ready'
  }

  quote(reportData: Uint8Array, options: QuoteOptions = {}): Uint8Array {
    return this.platform.quote({
      ...this.#options.quote,
      ...options,
      td: { ...this.registers, ...this.#options.td, reportData, ...options.td },
    })
  }

  eventLog(form: EventLogForm = 'quote'): string {
    return renderEvents(listEvents(this.#booted.events, this.#events, form))
  }

  attestation(reportData: Uint8Array, form: EventLogForm = 'certificate'): Uint8Array {
    return encodeAttestation({
      quote: this.quote(reportData),
      eventLog: listEvents(this.#booted.events, this.#events, form),
      runtimeEvents: this.#events,
      reportData,
      config: this.vmConfig,
    })
  }

  #mrConfigId(): Uint8Array {
    const { mrConfigId = 'v1' } = this.#options
    if (mrConfigId === 'unset') return new Uint8Array(48)
    if (mrConfigId !== 'v1') return mrConfigId
    return mrConfigIdV1(this.composeHash)
  }
}

/** The order of members and the spacing are measured. */
function describeProvider({ name, id }: KeyProvider): Uint8Array {
  return utf8ToBytes(JSON.stringify({ name, id: toHex(id) }))
}
