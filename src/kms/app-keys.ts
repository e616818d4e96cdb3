/**
 * An app's keys, with what does not depend on the instance kept for the next one.
 *
 * Signing is the dearest step of a release, and an app's signature never changes, nor does an epoch's. What is
 * kept is wiped when it is dropped; callers get copies, so that no wiped key is ever on its way to anyone.
 */
import { toHex } from '../lib/bytes.ts'
import {
  type AppKeys,
  deriveDhSecret,
  deriveEpochKeys,
  type EpochKeys,
  firstEpoch,
  type RootKeys,
} from './derive.ts'

export interface AppKeyring {
  /** The keys of the first epoch, which are dstack's, and the disk's. */
  keysOf(appId: Uint8Array, instanceId: Uint8Array): AppKeys
  /** @throws KMS_EPOCH_INVALID */
  epochKeysOf(appId: Uint8Array, epoch: number): EpochKeys
  /** Forgets everything. */
  wipe(): void
}

const defaultCapacity = 4096

export function createAppKeyring(root: RootKeys, capacity = defaultCapacity): AppKeyring {
  const known = new Map<string, EpochKeys>()
  const drop = (id: string) => {
    const keys = known.get(id)
    known.delete(id)
    if (keys) for (const secret of [keys.envCryptKey, keys.k256Key]) secret.fill(0)
  }
  const epochKeysOf = (appId: Uint8Array, epoch: number) => {
    const id = `${toHex(appId)}:${epoch}`
    const keys = known.get(id) ?? deriveEpochKeys(root, appId, epoch)
    // the one asked for last is the last to go
    known.delete(id)
    known.set(id, keys)
    const copy = copyOf(keys)
    const oldest = known.keys().next().value
    if (known.size > capacity && oldest !== undefined) drop(oldest)
    return copy
  }
  return {
    keysOf: (appId, instanceId) => {
      const { epoch: _, ...keys } = epochKeysOf(appId, firstEpoch)
      const diskCryptKey = deriveDhSecret(root.ca, [appId, instanceId, 'app-disk-crypt-key'])
      return { ...keys, diskCryptKey }
    },
    epochKeysOf,
    wipe: () => {
      for (const id of [...known.keys()]) drop(id)
    },
  }
}

function copyOf({ epoch, envCryptKey, k256Key, k256Signature }: EpochKeys): EpochKeys {
  return {
    epoch,
    envCryptKey: envCryptKey.slice(),
    k256Key: k256Key.slice(),
    k256Signature: k256Signature.slice(),
  }
}
