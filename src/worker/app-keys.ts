/** The app keys of a worker: the KMS gives them to the CVM for each key epoch that its release may use. */
import { AssentError } from '../errors/index.ts'
import { fetchAppKeys, verifyFetchedKeys } from '../kms/client.ts'
import type { EpochKeySet } from '../kms/keys/derive.ts'
import type { Clock } from '../lib/clock.ts'
import type { QuoteSource } from '../tee/source.ts'

/** What is needed to ask the KMS. */
export interface AppKeySource {
  /** KMS nodes, asked in this order. */
  readonly kmsUrls: readonly string[]
  readonly quotes: QuoteSource
  /** JSON as the host gave it to the guest. */
  readonly vmConfig: string
  /** 20 bytes. */
  readonly appId: Uint8Array
  /** Root keys that the chain stores: secp256k1 (33 bytes) and CA key (DER). */
  readonly readRoot: () => Promise<{
    readonly k256PublicKey: Uint8Array
    readonly caPublicKey: Uint8Array
  }>
  readonly clock: Clock
}

/** App keys by epoch, in memory. */
export interface AppKeys {
  /** Private keys by key epoch, 32 bytes each. */
  readonly byEpoch: ReadonlyMap<number, Uint8Array>
  /** The keys of the newest epoch. */
  newest(): EpochKeySet
  /** Asks the KMS again, at most once in a minute: a new epoch was opened. */
  refresh(): Promise<void>
}

/** Between two questions to the KMS. */
const refreshEveryMs = 60_000

/**
 * Gets the keys from the first KMS node that gives them, and verifies them with the root keys of the chain.
 *
 * @throws KMS_REFUSED if the KMS denies this release, KMS_UNREACHABLE, KMS_KEY_CHAIN_BROKEN, KMS_PEER_UNTRUSTED
 */
export async function openAppKeys(source: AppKeySource): Promise<AppKeys> {
  let sets = await ask(source)
  let askedAt = performance.now()
  const byEpoch = new Map(sets.map(({ epoch, k256Key }) => [epoch, k256Key]))
  return {
    byEpoch,
    newest: () => sets.at(-1) as EpochKeySet,
    async refresh() {
      const now = performance.now()
      if (now - askedAt < refreshEveryMs) return
      askedAt = now
      sets = await ask(source)
      for (const { epoch, k256Key } of sets) byEpoch.set(epoch, k256Key)
    },
  }
}

async function ask(source: AppKeySource): Promise<readonly EpochKeySet[]> {
  const { kmsUrls, quotes, vmConfig, appId, clock } = source
  const { k256PublicKey, caPublicKey } = await source.readRoot()
  const faults: unknown[] = []
  for (const url of kmsUrls) {
    try {
      const keys = await fetchAppKeys({ url, caPublicKey, clock }, quotes, vmConfig)
      verifyFetchedKeys(appId, keys, k256PublicKey)
      // without key epochs the app keys are those of the first one
      if (keys.epochKeys.length === 0) return [{ ...keys, epoch: 1 }]
      return [...keys.epochKeys].sort((one, other) => one.epoch - other.epoch)
    } catch (error) {
      if (!(error instanceof AssentError)) throw error
      faults.push(error)
    }
  }
  throw faults[0]
}
