/** Fleets that are larger than what fits into one statement, on both databases. */
import { sql } from 'drizzle-orm'
import type { PublicClient } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { hosts } from '../../src/relayer/database/schema.ts'
import type { QuorumReader } from '../../src/relayer/endpoints/quorum.ts'
import { listStatusLosses, runRecovery } from '../../src/relayer/upkeep/recovery.ts'
import {
  insertHosts,
  maxWaitingRenewals,
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

/** Counts the quotes that are verified; statuses alternate between 1, which passes, and 5, which does not. */
function createVerifier() {
  const verified: Hex[] = []
  const contract = {
    readContract: async ({ functionName, args }: { functionName: string; args: unknown[] }) => {
      if (functionName === 'statusAcceptedUntil') return args[0] === 1 ? BigInt(at + day) : 0n
      const status = Number(BigInt(args[0] as Hex) % 2n) === 0 ? 1 : 5
      if (functionName === 'verify') return { verdict: 1, status: 1 }
      verified.push(args[0] as Hex)
      return { status, tcbEvaluationNumber: 21, advisories: [] }
    },
  } as unknown as PublicClient
  const reader: QuorumReader = {
    heights: async () => ({ latest: 1_000n, final: 990n }),
    agree: (_name, question) => question(contract),
  }
  return { reader, verified }
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

  test('450 host proofs are verified for a TCB recovery in rounds of 200, the first to end first', async () => {
    const count = 450
    const proofs = createMachines(count).map(({ deviceId, operator }, index) => ({
      chainId: 1,
      registry,
      deviceId,
      operator,
      attestedAt: at - 60,
      // the last of the list ends first
      expiresAt: at + day - index,
      status: 1,
      quote: deviceId,
      block: 990,
    }))
    await database.db.insert(hosts).values(proofs)
    const { reader, verified } = createVerifier()
    let time = at
    const clock = () => time
    const watched = {
      ...{ db: database.db, chainId: 1, reader, registry, verifier: registry, clock },
      log: createLog({ service: 'test', level: 'silent' }),
    }
    const lastFirst = proofs.map(({ deviceId }) => deviceId).reverse()

    expect(await runRecovery(watched)).toBe(true)
    expect([...verified].sort()).toEqual(lastFirst.slice(0, 200).sort())
    expect(await runRecovery(watched)).toBe(true)
    expect(await runRecovery(watched)).toBe(false)
    expect([...verified].sort()).toEqual([...lastFirst].sort())
    expect(await listStatusLosses(watched)).toHaveLength(count / 2)

    // nothing more is due until a day later
    expect(await runRecovery(watched)).toBe(false)
    expect(verified).toHaveLength(count)
    time = at + day / 2
    await database.db.execute(
      sql`update hosts set early_at = ${time - day - 1} where device_id = ${lastFirst[0]}`,
    )
    expect(await runRecovery(watched)).toBe(false)
    expect(verified).toHaveLength(count + 1)
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

  test('no host is asked for a quote while the outbox holds more renewals than an account can send', async () => {
    const asked: Hex[] = []
    const all = keeper(maxWaitingRenewals + 100)
    const kept: RenewalOptions = {
      ...all,
      clock: () => at + 30 * day,
      renewedHosts: all.renewedHosts.map((host) => ({
        ...host,
        agent: async () => {
          asked.push(host.deviceId)
          throw new AssentError('RELAYER_AGENT_UNAVAILABLE', 'The agent does not answer.')
        },
      })),
    }
    await insertHosts(kept)
    await database.db.execute(sql`
      insert into intents (id, chain_id, kind, key, payload, state, created_at, not_before, refusals, version)
      select device_id, 1, 'host', device_id, '{}', 'queued', ${at}, ${at}, 0, 1 from hosts
      order by device_id limit ${maxWaitingRenewals}`)
    await database.db.execute(sql`
      update hosts set intent_id = device_id where device_id in (select id from intents)`)

    expect(await runRenewal(kept)).toBe(false)
    expect(asked).toEqual([])

    const sent = all.renewedHosts.slice(0, 3).map(({ deviceId }) => deviceId)
    await database.db.execute(sql`update intents set state = 'sending' where id in ${sent}`)
    expect(await runRenewal(kept)).toBe(true)
    expect(asked).toHaveLength(3)
  })
})
