/** The store in memory, with the rules of the SQL one; survives the workers of a schedule. */
import { AssentError } from '../../../src/errors/index.ts'
import type { AwaitingFinality, Intent, NonceSlot } from '../../../src/relayer/outbox/outbox.ts'
import { isLive } from '../../../src/relayer/outbox/outbox.ts'
import type { Lease, Store } from '../../../src/relayer/outbox/store.ts'
import type { Changes } from '../../../src/relayer/outbox/transitions.ts'

export interface CheckpointStore extends Store {
  readonly intents: Map<string, Intent>
  readonly slots: Map<number, NonceSlot>
  enqueue(intent: Intent): void
  /** The time of the holder is over. */
  expireLease(): void
}

export function createCheckpointStore(): CheckpointStore {
  const intents = new Map<string, Intent>()
  const slots = new Map<number, NonceSlot>()
  let held: Lease | null = null
  let token = 0
  return {
    intents,
    slots,
    enqueue: (intent) => intents.set(intent.id, { ...intent, version: 1 }),
    expireLease: () => {
      held = null
    },
    async lease(holder) {
      if (held !== null && held.holder !== holder) return null
      if (held === null) held = { holder, token: ++token }
      return held
    },
    async release(lease) {
      if (held?.token === lease.token) held = null
    },
    async awaitingFinality() {
      return [...slots.values()].flatMap(toAwaitingFinality)
    },
    async load(finalCount, queued, inspected) {
      const loaded = [...slots.values()].filter(({ nonce, state }) => {
        if (state === 'mined') return inspected.includes(nonce)
        return (state !== 'final' && state !== 'abandoned') || nonce >= finalCount
      })
      const carried = new Set(loaded.map(({ intentId }) => intentId))
      const waiting = [...intents.values()]
        .filter(({ state }) => state === 'queued')
        .sort((a, b) => a.notBefore - b.notBefore)
        .slice(0, queued)
      const chosen = [...intents.values()].filter(({ id }) => carried.has(id))
      return {
        slots: loaded.sort((a, b) => a.nonce - b.nonce),
        awaitingFinality: [...slots.values()]
          .filter((slot) => !loaded.includes(slot))
          .flatMap(toAwaitingFinality),
        intents: new Map([...chosen, ...waiting].map((intent) => [intent.id, intent])),
      }
    },
    async commit(lease, changes) {
      if (held?.token !== lease.token) throw new AssentError('RELAYER_LEASE_LOST', 'lost')
      requireUnchanged(changes, intents, slots)
      for (const intent of changes.intents) {
        intents.set(intent.id, { ...intent, version: intent.version + 1 })
      }
      for (const slot of changes.slots)
        slots.set(slot.nonce, { ...slot, version: slot.version + 1 })
      requireOneSlotPerIntent(slots)
    },
  }
}

function toAwaitingFinality({ nonce, state, mined }: NonceSlot): AwaitingFinality[] {
  if (state !== 'mined' || mined === null) return []
  return [{ nonce, blockNumber: mined.blockNumber, blockHash: mined.blockHash }]
}

function requireUnchanged(
  changes: Changes,
  intents: ReadonlyMap<string, Intent>,
  slots: ReadonlyMap<number, NonceSlot>,
): void {
  const stale =
    changes.intents.some(({ id, version }) => intents.get(id)?.version !== version) ||
    changes.slots.some(({ nonce, version }) => (slots.get(nonce)?.version ?? 0) !== version)
  if (stale) throw new AssentError('RELAYER_CONFLICT', 'changed meanwhile')
}

function requireOneSlotPerIntent(slots: ReadonlyMap<number, NonceSlot>): void {
  const carried = [...slots.values()].filter(isLive).flatMap(({ intentId }) => intentId ?? [])
  if (new Set(carried).size !== carried.length) throw new Error('an intent has two nonces')
}
