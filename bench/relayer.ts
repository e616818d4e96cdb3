/**
 * Intents per second, from queued to final, on anvil with one-second blocks and embedded Postgres; and a fleet
 * through 90 simulated days (`ASSENT_BENCH_HOSTS` machines, 20 if nothing is said).
 */
import { eq, sql } from 'drizzle-orm'
import { createPublicClient, http } from 'viem'

import { createLog } from '../src/lib/log.ts'
import { type OpenDatabase, openDatabase } from '../src/relayer/database/database.ts'
import { intents } from '../src/relayer/database/schema.ts'
import { acceptQuote } from '../src/relayer/intake/quotes.ts'
import { startRelayer } from '../src/relayer/service.ts'
import { createLocalSigner } from '../src/relayer/signer/signer.ts'
import { anvilKeys, findAnvil, startAnvil } from '../test/anvil.ts'
import { deployBoard } from '../test/relayer/counter-contract.ts'
import { benchNumber } from './environment.ts'
import { runFleet } from './relayer/fleet.ts'
import type { BenchRow } from './result-row.ts'

const none = { section: 'relayer', aim: null, peer: null, peerValue: null }

export async function rows(): Promise<BenchRow[]> {
  const machines = benchNumber('ASSENT_BENCH_HOSTS', 20)
  if (findAnvil() === undefined) {
    console.error('relayer: anvil is not at hand, nothing measured')
    return []
  }
  const measured: BenchRow[] = []
  for (const queued of [1, 10, 1_000]) {
    const { seconds, gas } = await measure(queued)
    const name = queued === 1_000 ? 'intents.per-second' : `intents.per-second.${queued}-queued`
    const aim = queued === 1_000 ? 50 : null
    measured.push({ ...none, name, value: queued / seconds, unit: '1/s', aim })
    if (queued === 1_000) measured.push({ ...none, name: 'intents.gas', value: gas, unit: 'gas' })
  }
  const memory = process.memoryUsage().rss / 2 ** 20
  measured.push({ ...none, name: 'memory', value: memory, unit: 'MiB' })
  return [...measured, ...(await measureFleet(machines))]
}

/** Budget for all that a machine costs in a day: first proof, record and renewals, shared out. */
const gasPerHostDay = 15_000

/** Budget for the collateral of one family in a day, whatever the number of machines. */
const collateralGasPerDay = 60_000

async function measureFleet(machines: number): Promise<BenchRow[]> {
  const days = 90
  const fleet = await runFleet({ machines, days })
  const row = (name: string, value: number, unit: string, aim: number | null) => ({
    ...none,
    name,
    value,
    unit,
    aim,
  })
  return [
    row('fleet.hosts', machines, '', null),
    row('lapsed', fleet.lapsed, '', 0),
    row('renewals', fleet.renewals, '', null),
    row('renewals.put-off', fleet.troubles, '', null),
    row('gas-per-host-day', fleet.hostGas / machines / days, 'gas', gasPerHostDay),
    row('collateral-gas-per-day', fleet.collateralGas / days, 'gas', collateralGasPerDay),
  ]
}

/** Seconds until all are final, and gas of one. */
async function measure(queued: number): Promise<{ seconds: number; gas: number }> {
  const anvil = await startAnvil({ mining: 1 })
  const database = await openDatabase({ memory: true })
  const board = await deployBoard(anvil)
  await enqueue(database, queued)

  const signer = createLocalSigner(anvilKeys[0])
  const start = performance.now()
  const relayer = await startRelayer({
    chainId: 31_337,
    clients: [createPublicClient({ transport: http(anvil.url, { batch: true }), cacheTime: 0 })],
    targets: { host: board.target },
    signer,
    db: database.db,
    verifySubmission: async () => ({ ok: false, reasons: [] }),
    operators: [],
    clock: () => Math.floor(Date.now() / 1000),
    log: createLog({ service: 'bench', level: 'error' }),
    finality: { depth: 0 },
    rules: { maxInFlight: 250 },
    pollMs: 100,
  })
  while ((await countFinal(database)) < queued) await new Promise((done) => setTimeout(done, 50))
  const seconds = (performance.now() - start) / 1000

  const { gasUsed } = await anvil.client.getTransactionReceipt({ hash: await someHash(database) })
  await relayer.stop()
  await database.close()
  await anvil.stop()
  return { seconds, gas: Number(gasUsed) }
}

async function enqueue({ db }: OpenDatabase, count: number): Promise<void> {
  const at = Math.floor(Date.now() / 1000)
  for (let i = 0; i < count; i++) {
    await acceptQuote(db, {
      chainId: 31_337,
      purpose: 'host',
      digest: `0x${i.toString(16).padStart(64, '0')}`,
      operator: 'bench',
      eventLog: '[]',
      verdict: {},
      expiresAt: at + 86_400,
      payload: {},
      at,
    })
  }
}

async function countFinal({ db }: OpenDatabase): Promise<number> {
  const [row] = await db
    .select({ count: sql<number>`count(*)::int` })
    .from(intents)
    .where(eq(intents.state, 'final'))
  return row?.count ?? 0
}

async function someHash({ db }: OpenDatabase): Promise<`0x${string}`> {
  const rows = await db.query.slots.findMany({ limit: 1 })
  return rows[0]?.minedHash ?? '0x'
}
