/** Fleets that are larger than what fits into one statement, on both databases. */
import { sql } from 'drizzle-orm'
import type { PublicClient } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Hex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { hosts } from '../../src/relayer/database/schema.ts'
import type { QuorumReader } from '../../src/relayer/endpoints/quorum.ts'
import {
  insertHosts,
  type RenewalOptions,
  type RenewedHost,
  readRenewalStatus,
  runRenewal,
} from '../../src/relayer/upkeep/renewal.ts'
import { databases, type StartedDatabase, truncate } from './databases.ts'

const day = 86_400
const at = 1_800_000_000
const registry: Hex = `0x${'aa'.repeat(20)}`

/** A registry in which every machine has a proof of a minute ago. */
const answers: Record<string, unknown> = {
  rules: { window: 256, attestedSince: 0, minLifetime: 0, maxLifetime: 30 * day },
  approvalOf: 0n,
  hostOf: {
    operator: registry,
    attestedAt: at - 60,
    expiresAt: at + 30 * day,
    approvalVersion: 0,
    provenAtBlock: 995,
  },
}
const client = {
  getBlock: async ({ blockNumber }: { blockNumber: bigint }) => {
    return { number: blockNumber, hash: `0x${'01'.repeat(32)}`, baseFeePerGas: 1n }
  },
  readContract: async ({ functionName }: { functionName: string }) => answers[functionName],
} as unknown as PublicClient
const reader: QuorumReader = {
  heights: async () => ({ latest: 1_000n, final: 990n }),
  agree: (_name, question) => question(client),
}

function createMachines(count: number): RenewedHost[] {
  return Array.from({ length: count }, (_, index) => ({
    deviceId: `0x${index.toString(16).padStart(64, '0')}`,
    purpose: 'host',
    operator: registry,
    agent: async () => {
      throw new Error('a machine was asked although its proof is fresh')
    },
  }))
}

describe.each(databases)('a large fleet on $name', ({ start }) => {
  let started: StartedDatabase
  let database: OpenDatabase
  beforeAll(async () => {
    started = await start()
    database = await openDatabase(started.location)
  })
  beforeEach(() => truncate(database))
  afterAll(async () => {
    await database.close()
    await started.stop()
  })

  const keeper = (count: number): RenewalOptions => ({
    db: database.db,
    chainId: 1,
    reader,
    registry,
    verifier: registry,
    account: registry,
    renewedHosts: createMachines(count),
    verifySubmission: async () => ({ ok: false, reasons: [] }),
    rules: {
      renewBefore: 5 * day,
      jitter: day,
      urgentBefore: day,
      maxBaseFee: 10n,
      minimumExtension: 2 * day,
      minimumRemainingValidity: day,
    },
    usesRecords: true,
    clock: () => at,
    log: createLog({ service: 'test', level: 'silent' }),
  })
  const countRows = async (where = sql`true`) => {
    const [row] = await database.db
      .select({ count: sql<number>`count(*)::int` })
      .from(hosts)
      .where(where)
    return row?.count
  }

  test('12,000 hosts are checked in rounds, each of them once', {
    timeout: 120_000,
  }, async () => {
    const kept = keeper(12_000)
    await insertHosts(kept)
    let rounds = 1
    while (await runRenewal(kept)) rounds += 1

    expect(rounds).toBeGreaterThan(10)
    expect(await countRows()).toBe(12_000)
    expect(await countRows(sql`${hosts.notBefore} > ${at}`)).toBe(12_000)
    expect(await countRows(sql`${hosts.failures} > 0`)).toBe(0)
    expect(await readRenewalStatus(kept)).toMatchObject({ unproven: 12_000, fresh: 0, lapsed: 0 })
  })

  test('of 100,000 hosts those whose proofs end first are checked first', {
    timeout: 240_000,
  }, async () => {
    const kept = keeper(100_000)
    await insertHosts(kept)
    await insertHosts(kept)
    expect(await countRows()).toBe(100_000)

    const soon = kept.renewedHosts.slice(-300).map(({ deviceId }) => deviceId)
    await database.db.execute(sql`update hosts set expires_at = ${at + 10}, attested_at = ${at - 60},
      not_before = 0 where device_id >= ${soon[0]}`)
    expect(await runRenewal(kept)).toBe(true)
    expect(
      await countRows(sql`${hosts.deviceId} >= ${soon[0]} and ${hosts.notBefore} > ${at}`),
    ).toBe(300)
    const status = await readRenewalStatus(kept)
    expect(status).toMatchObject({ fresh: 300, unproven: 99_700, nextExpiry: at + 10 })
  })
})
