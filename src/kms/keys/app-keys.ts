/**
 * An app's keys, with what does not depend on the instance kept for the next one.
 *
 * Signing is the dearest step of a release, and an app's signature never changes, nor does an epoch's. What is
 * kept is wiped when it is dropped; callers get copies, so that no wiped key is ever on its way to anyone.
 */
import { toHex } from '../../lib/bytes.ts'
import {
  type AppKeys,
  deriveDiskKey,
  deriveEpochKeys,
  type EpochKeySet,
  firstEpoch,
  k256PublicKey,
  type RootKeys,
  signAppKey,
} from './derive.ts'

export interface AppKeyring {
  /** What dstack's guests take: the keys of this epoch, under dstack's signature, and the disk's, of no epoch. */
  keysOf(appId: Uint8Array, instanceId: Uint8Array, epoch?: number): AppKeys
  /** @throws KMS_EPOCH_INVALID */
  epochKeysOf(appId: Uint8Array, epoch: number): EpochKeySet
  /** Forgets everything. */
  wipe(): void
}

interface CachedEpochKeys extends EpochKeySet {
  /** dstack's form, which names no epoch. */
  readonly plainSignature: Uint8Array
}

const defaultCapacity = 4096

export function createAppKeyring(root: RootKeys, capacity = defaultCapacity): AppKeyring {
  const known = new Map<string, CachedEpochKeys>()
  const drop = (id: string) => {
    const keys = known.get(id)
    known.delete(id)
    if (keys) for (const secret of [keys.envCryptKey, keys.k256Key]) secret.fill(0)
  }
  const keptOf = (appId: Uint8Array, epoch: number): CachedEpochKeys => {
    const id = `${toHex(appId)}:${epoch}`
    const keys = known.get(id) ?? derive(root, appId, epoch)
    // the one asked for last is the last to go
    known.delete(id)
    known.set(id, keys)
    const copy = copyOf(keys)
    const oldest = known.keys().next().value
    if (known.size > capacity && oldest !== undefined) drop(oldest)
    return copy
  }
  return {
    keysOf: (appId, instanceId, epoch = firstEpoch) => {
      const { envCryptKey, k256Key, plainSignature } = keptOf(appId, epoch)
      const diskCryptKey = deriveDiskKey(root, appId, instanceId)
      return { diskCryptKey, envCryptKey, k256Key, k256Signature: plainSignature }
    },
    epochKeysOf: (appId, asked) => {
      const { plainSignature: _, ...keys } = keptOf(appId, asked)
      return keys
    },
    wipe: () => {
      for (const id of [...known.keys()]) drop(id)
    },
  }
}

function derive(root: RootKeys, appId: Uint8Array, epoch: number): CachedEpochKeys {
  const keys = deriveEpochKeys(root, appId, epoch)
  // both forms are one in the first epoch
  const plainSignature =
    epoch === firstEpoch ? keys.k256Signature : signAppKey(root, appId, k256PublicKey(keys.k256Key))
  return { ...keys, plainSignature }
}

function copyOf({
  epoch,
  envCryptKey,
  k256Key,
  k256Signature,
  plainSignature,
}: CachedEpochKeys): CachedEpochKeys {
  return {
    epoch,
    envCryptKey: envCryptKey.slice(),
    k256Key: k256Key.slice(),
    k256Signature: k256Signature.slice(),
    plainSignature: plainSignature.slice(),
  }
}
