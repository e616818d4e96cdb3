/**
 * MRCONFIGID: 48 bytes in which the host binds a TD to a configuration before it boots. All zero means unset.
 *
 * dstack checks it in the guest only. Here a value of version 1 that contradicts the measured compose hash is refused.
 * Versions 2 and 3 bind inputs that the event log does not contain, so they are checked only if those inputs are known.
 */
import { hash } from 'node:crypto'

import { keccak_256 } from '@noble/hashes/sha3.js'

import { AssentError } from '../../errors/index.ts'
import {
  concatBytes,
  equalBytes,
  isZero,
  requireLength,
  toHex,
  utf8ToBytes,
} from '../../lib/bytes.ts'

const keyProviderKinds = { none: 0, local: 1, kms: 2, tpm: 3 } as const

/** The key provider of the CVM. */
export type KeyProviderKind = keyof typeof keyProviderKinds

/** Encodes version 1: `01 ‖ compose hash`. @returns 48 bytes @throws LENGTH_WRONG */
export function mrConfigIdV1(composeHash: Uint8Array): Uint8Array {
  requireLength(composeHash, 'composeHash', 32)
  return encode(1, composeHash)
}

/** The inputs of version 2. */
export interface MrConfigV2 {
  /** 32 bytes */
  readonly composeHash: Uint8Array
  /** 20 bytes */
  readonly appId: Uint8Array
  readonly keyProvider: KeyProviderKind
  /** Bytes of the id; empty without one. */
  readonly keyProviderId: Uint8Array
}

/** Encodes version 2: `02 ‖ keccak256(compose hash ‖ app id ‖ kind ‖ key provider id)`. */
export function mrConfigIdV2(config: MrConfigV2): Uint8Array {
  requireLength(config.composeHash, 'composeHash', 32)
  requireLength(config.appId, 'appId', 20)
  const kind = Uint8Array.of(keyProviderKinds[config.keyProvider])
  return encode(
    2,
    keccak_256(concatBytes(config.composeHash, config.appId, kind, config.keyProviderId)),
  )
}

/** Encodes version 3: `03 ‖ SHA-256("dstack-mr-config-v3:" ‖ 00 ‖ document)`, with the document unchanged. */
export function mrConfigIdV3(document: string): Uint8Array {
  return encode(3, hash('sha256', utf8ToBytes(`dstack-mr-config-v3:\0${document}`), 'buffer'))
}

function encode(version: number, digest: Uint8Array): Uint8Array {
  const value = new Uint8Array(48)
  value[0] = version
  value.set(digest, 1)
  return value
}

/** The known parts of the configuration. */
export interface MeasuredConfig {
  /** 32 bytes, from an event log that was compared with the quote. */
  readonly composeHash: Uint8Array
  /** For version 3: the document from `vm_config`, if the host sent it. */
  readonly document?: string | undefined
}

/**
 * Checks that MR_CONFIG_ID is unset or does not contradict what was measured.
 *
 * @throws MR_CONFIG_ID_MISMATCH, MR_CONFIG_ID_UNSUPPORTED
 */
export function requireMrConfigId(mrConfigId: Uint8Array, measured: MeasuredConfig): void {
  if (isZero(mrConfigId)) return
  const version = mrConfigId[0] as number
  if (version < 1 || version > 3 || !isZero(mrConfigId.subarray(33))) {
    throw new AssentError('MR_CONFIG_ID_UNSUPPORTED', 'MR_CONFIG_ID has an unknown form.', {
      facts: { found: toHex(mrConfigId) },
    })
  }
  const expected = expectedMrConfigId(version, measured)
  if (expected !== undefined && !equalBytes(mrConfigId, expected)) {
    throw new AssentError('MR_CONFIG_ID_MISMATCH', 'MR_CONFIG_ID binds another configuration.', {
      facts: { found: toHex(mrConfigId), expected: toHex(expected) },
    })
  }
}

function expectedMrConfigId(version: number, measured: MeasuredConfig): Uint8Array | undefined {
  if (version === 1) return mrConfigIdV1(measured.composeHash)
  if (version === 3 && measured.document !== undefined) return mrConfigIdV3(measured.document)
  return undefined
}
