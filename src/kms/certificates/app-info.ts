/** The app info extension: nine values about the app as one MessagePack array. */
import { encode } from '@msgpack/msgpack'

import type { Attestation } from '../../quote/attestation.ts'
import type { BootInfo } from '../../quote/measurements/measure.ts'

/**
 * Nine values that the KMS has verified. Released dstack computes them before it verified anything, so that its device
 * id is the hash of nothing for every app; this is the device's own, as dstack means it to be.
 */
export function encodeAppInfo(boot: BootInfo, { runtimeEvents }: Attestation): Uint8Array {
  const scripts = runtimeEvents.filter(({ name }) => name === 'init-script-hash')
  return encode([
    boot.appId,
    boot.composeHash,
    boot.instanceId,
    boot.deviceId,
    boot.mrSystem,
    boot.mrAggregated,
    boot.osImageHash,
    boot.keyProviderInfo,
    scripts.length === 0 ? null : scripts.map(({ payload }) => payload),
  ])
}
