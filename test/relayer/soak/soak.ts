/**
 * Kills replicas with SIGKILL at random moments under load: on a real Postgres server and a real node, every
 * quote that was accepted ends on chain exactly once.
 */
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { keccak_256 } from '@noble/hashes/sha3.js'

import { fromHex, to0x } from '../../../src/lib/bytes.ts'
import { startAnvil } from '../../anvil.ts'
import { startMessenger } from '../../child-process.ts'
import { startPostgres } from '../../postgres.ts'
import { deployBoard } from '../counter-contract.ts'
import { createRandom } from '../model/random.ts'
import type { ReplicaSettings } from './replica.ts'

export interface SoakOptions {
  readonly replicas: number
  readonly seconds: number
  readonly seed: number
  /** Quotes posted in a second. */
  readonly rate?: number
  readonly onProgress?: (words: string) => void
}

export interface SoakResult {
  readonly accepted: number
  /** Requests whose answer a death cut off: they may have been taken, once. */
  readonly cutOff: number
  readonly kills: number
  /** Seconds from the last death until all was final. */
  readonly recovery: number
  /** Digests that are on chain another number of times than they may be. */
  readonly wrong: readonly string[]
}

const token = 'soak'
const script = fileURLToPath(new URL('./replica.ts', import.meta.url))

export async function soak(options: SoakOptions): Promise<SoakResult> {
  const random = createRandom(options.seed)
  const anvil = await startAnvil({ mining: 1 })
  const postgres = await startPostgres()
  const running: Replica[] = []
  try {
    const board = await deployBoard(anvil)
    const databaseUrl = await postgres.createDatabase()
    for (let index = 0; index < options.replicas; index++) {
      const port = await freePort()
      const tokenSha256 = createHash('sha256').update(token).digest('hex')
      running.push(
        createReplica({
          databaseUrl,
          rpcUrl: anvil.url,
          board: board.address,
          port,
          tokenSha256,
        }),
      )
    }
    await Promise.all(running.map((replica) => replica.start()))

    const end = Date.now() + options.seconds * 1_000
    const load = { accepted: new Map<string, string>(), cutOff: new Set<string>(), posted: 0 }
    const posting = post(options, running, load, end)
    let kills = 0
    while (Date.now() < end) {
      await sleep(random.int(200, 3_000))
      const victim = running[random.int(0, running.length - 1)]
      if (victim === undefined || Date.now() >= end) continue
      await victim.kill()
      kills += 1
      await sleep(random.int(0, 500))
      await victim.start()
      if (kills % 20 === 0) {
        options.onProgress?.(`${kills} kills, ${load.accepted.size} quotes accepted`)
      }
    }
    await posting
    const calm = Date.now()
    await untilFinal(running, [...load.accepted.values()])
    const recovery = (Date.now() - calm) / 1_000

    const wrong: string[] = []
    await inParallel([...load.accepted.keys()], async (digest) => {
      if ((await board.effects(digest)) !== 1) wrong.push(digest)
    })
    await inParallel([...load.cutOff], async (digest) => {
      if (!load.accepted.has(digest) && (await board.effects(digest)) > 1) wrong.push(digest)
    })
    return { accepted: load.accepted.size, cutOff: load.cutOff.size, kills, recovery, wrong }
  } finally {
    for (const replica of running) await replica.kill()
    await postgres.stop()
    await anvil.stop()
  }
}

/* REPLICAS */

interface Replica {
  readonly url: string
  start(): Promise<void>
  kill(): Promise<void>
}

function createReplica(settings: ReplicaSettings): Replica {
  let child: ChildProcess | undefined
  return {
    url: `http://127.0.0.1:${settings.port}`,
    async start() {
      child = startMessenger(script, [JSON.stringify(settings)], {
        env: { ...process.env, NODE_COMPILE_CACHE: path.join(tmpdir(), 'assent-soak') },
      })
      await Promise.race([once(child, 'message'), once(child, 'exit')])
      if (child.exitCode !== null) throw new Error(`a replica ended with ${child.exitCode}`)
    },
    async kill() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

/* LOAD */

interface Load {
  /** Id by digest. */
  readonly accepted: Map<string, string>
  readonly cutOff: Set<string>
  posted: number
}

/** Posts one quote after the other to any replica; now and then the same one again. */
async function post(
  { rate = 20, seed }: SoakOptions,
  replicas: readonly Replica[],
  load: Load,
  end: number,
): Promise<void> {
  const random = createRandom(seed + 1)
  const pending: Promise<void>[] = []
  while (Date.now() < end) {
    const number = random.chance(0.1) ? random.int(0, load.posted) : load.posted++
    const quote = `0x${number.toString(16).padStart(16, '0')}`
    const { url } = replicas[random.int(0, replicas.length - 1)] as Replica
    pending.push(postOne(url, quote, load))
    await sleep(1_000 / rate)
  }
  await Promise.all(pending)
}

async function postOne(url: string, quote: string, load: Load): Promise<void> {
  try {
    const response = await fetch(`${url}/v1/quotes`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ purpose: 'host', quote, eventLog: '[]', permit: null }),
      signal: AbortSignal.timeout(20_000),
    })
    const body = (await response.json()) as { id: string; digest: string }
    if (!response.ok) throw new Error(JSON.stringify(body))
    load.accepted.set(body.digest, body.id)
  } catch (error) {
    // Nothing was promised. A refusal would be an error of the soak itself.
    if (/RELAYER_|INPUT_/.test(String(error))) throw error
    load.cutOff.add(to0x(keccak_256(fromHex(quote, 'quote'))))
  }
}

/** Within five minutes of calm, or it is stuck. */
async function untilFinal(replicas: readonly Replica[], ids: readonly string[]): Promise<void> {
  const [{ url }] = replicas as [Replica]
  const deadline = Date.now() + 300_000
  const headers = { authorization: `Bearer ${token}` }
  await inParallel(ids, async (id) => {
    for (;;) {
      const response = await fetch(`${url}/v1/quotes/${id}`, { headers })
      const { state } = (await response.json()) as { state: string }
      if (state === 'final') break
      if (state === 'abandoned' || Date.now() > deadline) throw new Error(`${id} is ${state}`)
      await sleep(100)
    }
  })
}

/** Ten thousand questions one after the other would take longer than the soak. */
async function inParallel<T>(items: readonly T[], ask: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  const work = async () => {
    for (const item of left) await ask(item)
  }
  await Promise.all(Array.from({ length: 32 }, work))
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
