/**
 * An app's keys, with what does not depend on the instance kept for the next one.
 *
 * Signing is the dearest step of a release, and an app's signature never changes. What is kept is wiped when
 * it is dropped; callers get copies, so that no wiped key is ever on its way to anyone.
 */
import { toHex } from '../lib/bytes.ts'
import { type AppKeys, deriveAppKeys, deriveDhSecret, type RootKeys } from './derive.ts'

export interface AppKeyring {
  keysOf(appId: Uint8Array, instanceId: Uint8Array): AppKeys
  /** Forgets everything. */
  wipe(): void
}

type Kept = Omit<AppKeys, 'diskCryptKey'>

const defaultCapacity = 4096

export function createAppKeyring(root: RootKeys, capacity = defaultCapacity): AppKeyring {
  const known = new Map<string, Kept>()
  const keep = (id: string, keys: Kept) => {
    known.set(id, keys)
    const oldest = known.keys().next().value
    if (known.size > capacity && oldest !== undefined) drop(oldest)
  }
  const drop = (id: string) => {
    const keys = known.get(id)
    known.delete(id)
    if (keys) for (const secret of [keys.envCryptKey, keys.k256Key]) secret.fill(0)
  }
  return {
    keysOf: (appId, instanceId) => {
      const id = toHex(appId)
      const kept = known.get(id)
      if (kept === undefined) {
        const keys = deriveAppKeys(root, appId, instanceId)
        keep(id, copyOf(keys))
        return keys
      }
      known.delete(id)
      known.set(id, kept)
      const diskCryptKey = deriveDhSecret(root.ca, [appId, instanceId, 'app-disk-crypt-key'])
      return { ...copyOf(kept), diskCryptKey }
    },
    wipe: () => {
      for (const id of [...known.keys()]) drop(id)
    },
  }
}

function copyOf({ envCryptKey, k256Key, k256Signature }: Kept): Kept {
  return {
    envCryptKey: envCryptKey.slice(),
    k256Key: k256Key.slice(),
    k256Signature: k256Signature.slice(),
  }
}
