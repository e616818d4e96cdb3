/**
 * App keys with a cache for everything that is the same for all instances of an app.
 *
 * Signing is the most expensive step of a release, and the signature of an app key never changes. Cached keys are
 * overwritten when they leave the cache. Callers get copies, so that a key is never overwritten while it is being sent.
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

/** Derives app keys and caches them. */
export interface AppKeyring {
  /** The keys in dstack's form: those of one epoch with dstack's signature, and the disk key, which has no epoch. */
  keysOf(appId: Uint8Array, instanceId: Uint8Array, epoch?: number): AppKeys
  /** The keys of one epoch with a signature that names the epoch. @throws KMS_EPOCH_INVALID */
  epochKeysOf(appId: Uint8Array, epoch: number): EpochKeySet
  /** Overwrites and drops all cached keys. */
  wipe(): void
}

interface CachedEpochKeys extends EpochKeySet {
  /** Signature in dstack's form, which names no epoch. */
  readonly plainSignature: Uint8Array
}

/** About 800 bytes each. Deriving the keys of an app takes a third of the time of a release. */
const defaultCapacity = 16_384

/** @param capacity cached entries, one for each app and epoch; the least recently used one is dropped first */
export function createAppKeyring(root: RootKeys, capacity = defaultCapacity): AppKeyring {
  const cached = new Map<string, CachedEpochKeys>()
  const drop = (id: string) => {
    const keys = cached.get(id)
    cached.delete(id)
    if (keys) for (const secret of [keys.envCryptKey, keys.k256Key]) secret.fill(0)
  }
  const cachedKeysOf = (appId: Uint8Array, epoch: number): CachedEpochKeys => {
    const id = `${toHex(appId)}:${epoch}`
    const keys = cached.get(id) ?? derive(root, appId, epoch)
    // a Map keeps insertion order: moved to the end, this entry is dropped last
    cached.delete(id)
    cached.set(id, keys)
    const copy = copyOf(keys)
    const oldest = cached.keys().next().value
    if (cached.size > capacity && oldest !== undefined) drop(oldest)
    return copy
  }
  return {
    keysOf: (appId, instanceId, epoch = firstEpoch) => {
      const { envCryptKey, k256Key, plainSignature } = cachedKeysOf(appId, epoch)
      const diskCryptKey = deriveDiskKey(root, appId, instanceId)
      return { diskCryptKey, envCryptKey, k256Key, k256Signature: plainSignature }
    },
    epochKeysOf: (appId, epoch) => {
      const { plainSignature: _, ...keys } = cachedKeysOf(appId, epoch)
      return keys
    },
    wipe: () => {
      for (const id of [...cached.keys()]) drop(id)
    },
  }
}

function derive(root: RootKeys, appId: Uint8Array, epoch: number): CachedEpochKeys {
  const keys = deriveEpochKeys(root, appId, epoch)
  // in the first epoch both signatures are the same
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
