/** dstack's app info extension (`.9`): nine values about an app as one MessagePack array. */
import { encode } from '@msgpack/msgpack'

import type { Attestation } from '../../quote/attestation.ts'
import type { BootInfo } from '../../quote/measurements/measure.ts'

/**
 * Encodes nine verified values of an app.
 *
 * Released versions of dstack encode them before verification, so their device id is always the hash of nothing. This
 * one is the verified device id, which dstack intends too (#1289).
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
