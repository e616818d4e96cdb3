/** Heartbeats through the API of a real relayer on anvil: posted values, proven nonces and refused requests. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

import { eq } from 'drizzle-orm'
import hre from 'hardhat'
import { createPublicClient, http, parseEther } from 'viem'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { heartbeatAbi } from '../../src/chain/abi.ts'
import {
  covers,
  type HeartbeatProof,
  heartbeatValue,
  merkleRoot,
  noValue,
} from '../../src/chain/heartbeat/tree.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { heartbeatNonces, heartbeats, intents } from '../../src/relayer/database/schema.ts'
import { createHeartbeatTarget, postHeartbeat } from '../../src/relayer/heartbeat/post.ts'
import { type Relayer, type RelayerOptions, startRelayer } from '../../src/relayer/service.ts'
import { createLocalSigner } from '../../src/relayer/signer/signer.ts'
import { type Anvil, anvilKeys, startAnvil } from '../anvil.ts'
import { truncate } from './databases.ts'

const tokens = ['token-of-one', 'token-of-another'] as const
const signer = createLocalSigner(anvilKeys[1])
const key = { chainId: 31_337, account: signer.address }

let anvil: Anvil
let database: OpenDatabase
let contract: Hex
/** Seconds by which the relayer's clock is ahead. */
let ahead = 0
const clock = () => Math.floor(Date.now() / 1000) + ahead

beforeAll(async () => {
  anvil = await startAnvil({ mining: 'manual' })
  database = await openDatabase({ memory: true })
})
afterAll(async () => {
  await database.close()
  await anvil.stop()
})
beforeEach(async () => {
  await truncate(database)
  const { abi, bytecode } = await hre.artifacts.readArtifact('Heartbeat')
  const [account] = await anvil.client.getAddresses()
  const hash = await anvil.client.deployContract({
    abi,
    bytecode: bytecode as Hex,
    account: account as Hex,
  })
  await anvil.client.mine({ blocks: 1 })
  const receipt = await anvil.client.waitForTransactionReceipt({ hash })
  contract = receipt.contractAddress as Hex
  await anvil.client.setBalance({ address: signer.address, value: parseEther('10') })
})

async function withRelayer(
  use: (relayer: Relayer) => Promise<void>,
  options: Partial<RelayerOptions> & { noncesPerClient?: number; everySeconds?: number } = {},
): Promise<void> {
  const { noncesPerClient = 8, everySeconds = 1, ...rest } = options
  const relayer = await startRelayer({
    chainId: key.chainId,
    clients: [createPublicClient({ transport: http(anvil.url), cacheTime: 0 })],
    targets: { heartbeat: createHeartbeatTarget(contract, key, database.db) },
    signer,
    db: database.db,
    verifySubmission: () => Promise.reject(new Error('no quote here')),
    operators: tokens.map((token, index) => ({
      name: `operator-${index}`,
      tokenSha256: createHash('sha256').update(token).digest('hex'),
    })),
    clock,
    log: createLog({ service: 'test', level: 'silent' }),
    finality: { depth: 2 },
    pollMs: 20,
    jobs: {
      fromBlock: 0,
      span: 1,
      heartbeat: { contract, everySeconds, noncesPerClient },
    },
    ...rest,
  })
  try {
    await use(relayer)
  } finally {
    await relayer.stop()
  }
}

const headers = (token: string) => ({ authorization: `Bearer ${token}` })
const offer = (relayer: Relayer, nonce: unknown, token: string = tokens[0]) =>
  fetch(`${relayer.url}/v1/heartbeat`, {
    method: 'POST',
    headers: headers(token),
    body: JSON.stringify({ nonce }),
  })
const ask = (relayer: Relayer, nonce: string) =>
  fetch(`${relayer.url}/v1/heartbeat/${nonce}`, { headers: headers(tokens[1]) })
const codeOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string } }).error.code
const nonceOf = (index: number): Hex => `0x${index.toString(16).padStart(64, '0')}`
const posted = (blockNumber?: bigint) =>
  anvil.client.readContract({
    address: contract,
    abi: heartbeatAbi,
    functionName: 'rootOf',
    args: [signer.address],
    ...(blockNumber === undefined ? {} : { blockNumber }),
  })

/** Mines until the contract has another value than `before`. */
async function nextValue(before: Hex): Promise<Hex> {
  for (let tries = 0; tries < 400; tries++) {
    await anvil.client.mine({ blocks: 1 })
    const value = await posted()
    if (value !== before) return value
    await sleep(25)
  }
  throw new Error('nothing was posted')
}

async function settle(): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    await anvil.client.mine({ blocks: 1 })
    const states = await database.db.select({ state: intents.state }).from(intents)
    if (states.every(({ state }) => state === 'final' || state === 'abandoned')) return
    await sleep(25)
  }
  throw new Error('an intent is not final')
}

describe('a heartbeat', () => {
  test('covers the nonces of all clients with one transaction, and each has a proof', async () => {
    await withRelayer(async (relayer) => {
      const nonces = [1, 2, 3, 4, 5].map(nonceOf)
      for (const [index, nonce] of nonces.entries()) {
        expect((await offer(relayer, nonce, tokens[index % 2] as string)).status).toBe(202)
      }
      const value = await nextValue(noValue)
      // some may have come after the first window
      await settle()
      const last = await posted()
      for (const nonce of nonces) {
        const proof = (await (await ask(relayer, nonce)).json()) as HeartbeatProof
        expect(covers(last, nonce, proof), nonce).toBe(true)
        expect(covers(last, nonceOf(99), proof)).toBe(false)
      }
      const first = (await (await ask(relayer, nonces[0] as string)).json()) as HeartbeatProof
      expect(covers(value, nonces[0] as Hex, first)).toBe(true)
    })
  })

  test('is posted exactly once, and a window without nonces posts nothing', async () => {
    const sent = await anvil.client.getTransactionCount({ address: signer.address })
    await withRelayer(async (relayer) => {
      await offer(relayer, nonceOf(1))
      await nextValue(noValue)
      await settle()
      await sleep(2_500)
      await settle()

      expect((await anvil.client.getTransactionCount({ address: signer.address })) - sent).toBe(1)
      expect(await database.db.select().from(heartbeats)).toHaveLength(1)
    })
  })

  test('that replaces another before it is final leaves the nonces of both provable', async () => {
    await withRelayer(
      async (relayer) => {
        await offer(relayer, nonceOf(1))
        const first = await nextValue(noValue)
        await offer(relayer, nonceOf(2))
        const second = await nextValue(first)
        const [one, two] = await Promise.all(
          [1, 2].map(async (index) => (await ask(relayer, nonceOf(index))).json()),
        )
        expect(covers(second, nonceOf(1), one as HeartbeatProof)).toBe(true)
        expect(covers(second, nonceOf(2), two as HeartbeatProof)).toBe(true)
        expect(covers(first, nonceOf(2), two as HeartbeatProof)).toBe(false)
        // the first effect is gone when its block is final; the second one covers it, so nothing is sent again
        await settle()
        const rows = await database.db.select({ state: intents.state }).from(intents)
        expect(rows.map(({ state }) => state)).toEqual(['final', 'final'])
        expect(await posted()).toBe(second)
      },
      { finality: { depth: 30 } },
    )
  })

  test('continues after a restart: nonces, values and proofs are kept', async () => {
    let first = noValue
    await withRelayer(async (relayer) => {
      await offer(relayer, nonceOf(1))
      first = await nextValue(noValue)
      await settle()
    })
    await withRelayer(async (relayer) => {
      await offer(relayer, nonceOf(2))
      const second = await nextValue(first)
      expect(second).toBe(heartbeatValue(first, merkleRoot([nonceOf(2)])))
      const proof = (await (await ask(relayer, nonceOf(1))).json()) as HeartbeatProof
      expect(covers(second, nonceOf(1), proof)).toBe(true)
    })
  })
})

describe('the intake', () => {
  test('refuses a nonce of another form, and the same nonce is known', async () => {
    await withRelayer(
      async (relayer) => {
        for (const wrong of [undefined, 1, '0x', '0x12', 'z'.repeat(64), `${nonceOf(1)}00`]) {
          expect(await codeOf(await offer(relayer, wrong))).toBe('INPUT_INVALID')
        }
        expect((await offer(relayer, nonceOf(1))).status).toBe(202)
        expect((await offer(relayer, nonceOf(1))).status).toBe(200)
      },
      { everySeconds: 600 },
    )
  })

  test('limits the nonces of one client in one window', async () => {
    await withRelayer(
      async (relayer) => {
        for (let index = 0; index < 8; index++) {
          expect((await offer(relayer, nonceOf(index))).status).toBe(202)
        }
        const refused = await offer(relayer, nonceOf(8))
        expect(refused.status).toBe(429)
        expect(refused.headers.get('retry-after')).toBe('600')
        expect(await codeOf(refused)).toBe('RELAYER_RATE_LIMITED')
        expect((await offer(relayer, nonceOf(8), tokens[1])).status).toBe(202)
      },
      { everySeconds: 600 },
    )
  })

  test('needs a token, and answers 404 for what it cannot prove', async () => {
    await withRelayer(
      async (relayer) => {
        const url = `${relayer.url}/v1/heartbeat`
        expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(401)
        expect((await fetch(`${url}/${nonceOf(1)}`)).status).toBe(401)
        await offer(relayer, nonceOf(1))
        for (const nonce of [nonceOf(1), nonceOf(2)]) {
          const answer = await ask(relayer, nonce)
          expect(answer.status).toBe(404)
          expect(await codeOf(answer)).toBe('RELAYER_NONCE_UNKNOWN')
        }
        expect((await ask(relayer, '0x12')).status).toBe(400)
      },
      // the first window ends at the start
      { everySeconds: 600 },
    )
  })

  test('is closed on a relayer without a contract', async () => {
    await withRelayer(
      async (relayer) => {
        expect(await codeOf(await offer(relayer, nonceOf(1)))).toBe('RELAYER_PURPOSE_UNSERVED')
        expect(await codeOf(await ask(relayer, nonceOf(1)))).toBe('RELAYER_PURPOSE_UNSERVED')
      },
      { jobs: { fromBlock: 0, span: 1 } },
    )
  })
})

describe('a post', () => {
  const give = (...nonces: Hex[]) =>
    database.db
      .insert(heartbeatNonces)
      .values(nonces.map((nonce) => ({ ...key, nonce, operator: 'o', receivedAt: clock() })))
  const post = () => postHeartbeat({ db: database.db, ...key, clock })

  test('waits while the last one has no block', async () => {
    await give(nonceOf(1))
    expect(await post()).toBe('posted')
    await give(nonceOf(2))
    expect(await post()).toBe('waiting')
    await database.db.update(intents).set({ state: 'abandoned' })
    expect(await post()).toBe('posted')
    // the value of the abandoned one is covered
    const [first, second] = await database.db.select().from(heartbeats).orderBy(heartbeats.number)
    expect(second?.previous).toBe(first?.value)
    expect(await post()).toBe('waiting')
  })

  test('has at most 4096 nonces, and the others wait', async () => {
    const all = Array.from({ length: 4_100 }, (_, index) => nonceOf(index + 1))
    for (let from = 0; from < all.length; from += 500) await give(...all.slice(from, from + 500))
    expect(await post()).toBe('posted')
    const rows = await database.db
      .select()
      .from(heartbeatNonces)
      .where(eq(heartbeatNonces.heartbeat, 1))
    expect(rows).toHaveLength(4_096)
  })

  test('deletes heartbeats and nonces after two days, but never the last value', async () => {
    await give(nonceOf(1))
    await post()
    await database.db.update(intents).set({ state: 'final' })
    ahead += 2 * 86_400 + 1
    expect(await post()).toBe('empty')
    expect(await database.db.select().from(heartbeats)).toHaveLength(1)

    await give(nonceOf(2))
    await post()
    await database.db.update(intents).set({ state: 'final' })
    await post()
    const left = await database.db.select().from(heartbeats)
    expect(left.map(({ number }) => number)).toEqual([2])
    expect((await database.db.select().from(heartbeatNonces)).map(({ nonce }) => nonce)).toEqual([
      nonceOf(2),
    ])
  })
})
