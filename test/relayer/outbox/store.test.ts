import { setTimeout } from 'node:timers/promises'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Hex } from '../../../src/lib/bytes.ts'
import { type OpenDatabase, openDatabase } from '../../../src/relayer/database/database.ts'
import { enqueueIntent } from '../../../src/relayer/outbox/intents.ts'
import type { Attempt, Intent, NonceSlot } from '../../../src/relayer/outbox/outbox.ts'
import { type Lease, openStore, type Store } from '../../../src/relayer/outbox/store.ts'
import { type Changes, reserve } from '../../../src/relayer/outbox/transitions.ts'
import { databases, type StartedDatabase, truncate } from '../databases.ts'

const at = 1_800_000_000
const everyNonce = Array.from({ length: 10 }, (_, nonce) => nonce)
const account: Hex = `0x${'aa'.repeat(20)}`
const call = { to: account, data: '0x01', value: 0n, gas: 21_000n } as const

function attempt(hash: string): Attempt {
  return {
    hash: `0x${hash}`,
    raw: '0x02',
    kind: 'call',
    intentId: null,
    fees: { maxFee: 2n ** 90n, tip: 1n },
    signedAt: at,
    sentAt: null,
    answer: null,
  }
}

describe.each(databases)('the store on $name', ({ start }) => {
  let started: StartedDatabase
  let database: OpenDatabase
  let store: Store
  let lease: Lease

  beforeAll(async () => {
    started = await start()
    database = await openDatabase(started.location)
  })
  afterAll(async () => {
    await database.close()
    await started.stop()
  })
  beforeEach(async () => {
    await truncate(database)
    store = await openStore(database.db, { chainId: 1, account, genesis: '0x00' })
    lease = (await store.lease('me', 60)) as Lease
  })

  const enqueue = (key: string) =>
    enqueueIntent(database.db, {
      chainId: 1,
      kind: 'host',
      key,
      payload: { key },
      expiresAt: null,
      at,
    })
  const load = async () => store.load(0, 5_000, everyNonce, await store.awaitingFinality())
  const commit = (changes: Partial<Changes>) =>
    store.commit(lease, { intents: [], slots: [], ...changes }, at)

  /** Two intents with nonces 0 and 1, as they are remembered. */
  async function prepareTwo(): Promise<{ intents: Intent[]; slots: NonceSlot[] }> {
    await enqueue('a')
    await enqueue('b')
    const queued = [...(await load()).intents.values()]
    const both = queued.map((intent, nonce) => reserve(intent, call, nonce, at))
    await commit({
      intents: both.flatMap(({ intents }) => intents),
      slots: both.flatMap(({ slots }) => slots),
    })
    const outbox = await load()
    return { intents: [...outbox.intents.values()], slots: [...outbox.slots] }
  }

  test('returns the stored values for any number of rows', async () => {
    const { intents, slots } = await prepareTwo()
    const many = Array.from({ length: 1_100 }, (_, index) => attempt(index.toString(16)))
    const lastError = {
      code: 'RELAYER_REVERTED',
      message: "it's no",
      facts: { n: [1, 'é'] },
    } as const
    const changed = { ...(slots[0] as NonceSlot), state: 'signed', attempts: many } as const
    const refused = { ...(intents[1] as Intent), lastError, refusals: 3, notBefore: at + 9 }
    await commit({ slots: [changed], intents: [refused] })

    const outbox = await load()

    expect(outbox.slots[0]).toEqual({ ...changed, version: 2 })
    expect(outbox.slots[1]).toEqual(slots[1])
    expect(outbox.intents.get(refused.id)).toEqual({ ...refused, version: refused.version + 1 })
    await commit({ intents: [{ ...refused, version: refused.version + 1, lastError: null }] })
    expect((await load()).intents.get(refused.id)?.lastError).toBeNull()
  })

  test('writes nothing if one of several rows has changed since it was read', async () => {
    const { intents, slots } = await prepareTwo()
    const [first, second] = slots as [NonceSlot, NonceSlot]
    const [one, other] = intents as [Intent, Intent]
    const before = await load()
    const stray = { ...first, nonce: 7, intentId: null, call: null }
    for (const changes of [
      {
        slots: [
          { ...first, state: 'signed' as const },
          { ...second, version: 2 },
        ],
      },
      {
        slots: [
          { ...first, state: 'signed' as const },
          { ...second, version: 0 },
        ],
      },
      // Known here, and gone: must not come back by itself.
      { slots: [{ ...first, state: 'signed' as const }, stray] },
      { slots: [first], intents: [one, { ...other, version: 9 }] },
      { intents: [one, { ...other, id: 'unknown' }] },
    ]) {
      await expect(commit(changes)).rejects.toMatchObject({ code: 'RELAYER_CONFLICT' })
      expect(await load()).toEqual(before)
    }
  })

  test('writes nothing without the lease', async () => {
    const { slots } = await prepareTwo()
    const before = await load()
    await store.release(lease)
    const heir = (await store.lease('heir', 60)) as Lease

    await expect(commit({ slots })).rejects.toMatchObject({ code: 'RELAYER_LEASE_LOST' })
    expect(await load()).toEqual(before)
    expect(heir.token).toBeGreaterThan(lease.token)
  })

  test('writes nothing after the lease ended by the clock, whether another process took it or not', async () => {
    const { slots } = await prepareTwo()
    const before = await load()
    lease = (await store.lease('me', 0.3)) as Lease
    expect(await store.lease('heir', 60)).toBeNull()
    await setTimeout(400)

    await expect(commit({ slots })).rejects.toMatchObject({ code: 'RELAYER_LEASE_LOST' })
    const heir = (await store.lease('heir', 60)) as Lease
    expect(heir.token).toBeGreaterThan(lease.token)
    await expect(commit({ slots })).rejects.toMatchObject({ code: 'RELAYER_LEASE_LOST' })
    expect(await store.lease('me', 60)).toBeNull()
    expect(await load()).toEqual(before)
  })

  test('an extended lease has the same token, and a lease that ended has a new one', async () => {
    const { token } = lease
    expect((await store.lease('me', 0.3))?.token).toBe(token)
    await setTimeout(400)
    expect((await store.lease('me', 60))?.token).toBeGreaterThan(token)
  })

  test('an intent never has two nonces at once', async () => {
    const { slots } = await prepareTwo()
    const second = { ...(slots[0] as NonceSlot), nonce: 9, version: 0 }

    await expect(commit({ slots: [second] })).rejects.toThrow()
    expect((await load()).slots).toEqual(slots)
  })
})
