/** The app info extension: nine values about the app as one MessagePack array. */
import { encode } from '@msgpack/msgpack'
import { sha256 } from '@noble/hashes/sha2.js'

import type { Attestation } from '../quote/attestation.ts'
import type { BootInfo } from '../quote/measure.ts'

/**
 * dstack computes it before it verified anything, so its device id is always the hash of nothing; readers
 * expect that value, and the device is told by the quote beside it.
 */
export function encodeAppInfo(boot: BootInfo, { runtimeEvents }: Attestation): Uint8Array {
  const scripts = runtimeEvents.filter(({ name }) => name === 'init-script-hash')
  return encode([
    boot.appId,
    boot.composeHash,
    boot.instanceId,
    sha256(new Uint8Array()),
    boot.mrSystem,
    boot.mrAggregated,
    boot.osImageHash,
    boot.keyProviderInfo,
    scripts.length === 0 ? null : scripts.map(({ payload }) => payload),
  ])
}
