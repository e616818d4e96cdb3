/** Intents of a running relayer, from queued to final, on anvil with one-second blocks and embedded Postgres. */
import { eq, sql } from 'drizzle-orm'
import { createPublicClient, http } from 'viem'

import { createLog } from '../../src/lib/log.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { intents } from '../../src/relayer/database/schema.ts'
import { acceptQuote } from '../../src/relayer/intake/quotes.ts'
import { startRelayer } from '../../src/relayer/service.ts'
import { createLocalSigner } from '../../src/relayer/signer/signer.ts'
import { anvilKeys, startAnvil } from '../../test/anvil.ts'
import { deployBoard } from '../../test/relayer/counter-contract.ts'

/** Seconds until all are final, and gas of one. */
export async function measureIntents(queued: number): Promise<{ seconds: number; gas: number }> {
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
