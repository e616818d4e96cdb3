import { createHash } from 'node:crypto'

import { keccak_256 } from '@noble/hashes/sha3.js'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { AssentError } from '../../src/errors/index.ts'
import { to0x, toHex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { intents } from '../../src/relayer/database/schema.ts'
import { createIntake, type IntakeOptions } from '../../src/relayer/intake/intake.ts'
import {
  createSubmissionVerifier,
  type SubmissionVerifierOptions,
} from '../../src/relayer/intake/verify-quote.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { createBoardTarget } from './counter-contract.ts'
import { truncate } from './databases.ts'

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const token = 'a-token-of-the-operator'
const simulator = createSimulator({ at, seed: new Uint8Array(32).fill(7) })
const cvm = simulator
  .createPlatform()
  .createCvm({ image: createImage(), compose: '{"manifest_version":2,"name":"host"}' })
const attested = await cvm.source.attest(new Uint8Array(64).fill(1))

let database: OpenDatabase
let now = at
const stopping = new AbortController()

beforeAll(async () => {
  database = await openDatabase({ memory: true })
})
afterAll(() => database.close())
beforeEach(async () => {
  now = at
  await truncate(database)
})

function createApp(
  options: Partial<IntakeOptions> = {},
  verifySubmission: Partial<SubmissionVerifierOptions> = {},
) {
  return createIntake({
    db: database.db,
    chainId: 1,
    reader: { agree: () => Promise.reject(new Error('the chain is not needed')) },
    targets: { host: createBoardTarget('0x00000000000000000000000000000000000000aa') },
    verifySubmission: createSubmissionVerifier({
      clock: () => now,
      collateral: async () => parseCollateral(simulator.collateral()),
      root: simulator.rootCertificate,
      ...verifySubmission,
    }),
    operators: [
      { name: 'operator', tokenSha256: createHash('sha256').update(token).digest('hex') },
    ],
    rateLimit: { perMinute: 60, burst: 50 },
    clock: () => now,
    log: createLog({ service: 'test', level: 'silent' }),
    signal: stopping.signal,
    ...options,
  })
}

const request = {
  purpose: 'host',
  quote: to0x(attested.quote),
  eventLog: attested.eventLog,
  permit: null,
}

function post(app: ReturnType<typeof createApp>, body: unknown, authorization = `Bearer ${token}`) {
  return app.request('/v1/quotes', {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code
}

test('the API accepts a quote that verifies and returns its state', async () => {
  const app = createApp()
  const accepted = await post(app, request)

  expect(accepted.status).toBe(202)
  const status = (await accepted.json()) as { id: string }
  expect(status).toMatchObject({
    state: 'queued',
    purpose: 'host',
    operator: 'operator',
    nonce: null,
  })

  const read = await app.request(`/v1/quotes/${status.id}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  expect(await read.json()).toEqual(status)
})

test('the same signed bytes for the same purpose are one intent', async () => {
  const app = createApp()
  const first = (await (await post(app, request)).json()) as { id: string; digest: string }
  const signed = parseQuote(attested.quote).signedBytes
  expect(first.digest).toBe(to0x(keccak_256(signed)))

  // s and n − s are both valid signatures of the same bytes
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  const rewritten = new Uint8Array(attested.quote)
  const offset = signed.length + 4 + 32
  const s = BigInt(to0x(rewritten.subarray(offset, offset + 32)))
  rewritten.set(Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex'), offset)
  const second = await post(app, { ...request, quote: to0x(rewritten) })

  expect(second.status).toBe(200)
  expect(((await second.json()) as { id: string }).id).toBe(first.id)
  expect(await database.db.select().from(intents)).toHaveLength(1)
})

test('concurrent requests for one quote make one intent', async () => {
  const app = createApp()
  const answers = await Promise.all(Array.from({ length: 12 }, () => post(app, request)))

  const ids = await Promise.all(
    answers.map(async (each) => ((await each.json()) as { id: string }).id),
  )
  expect(new Set(ids).size).toBe(1)
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(1)
})

test('an abandoned intent is queued again when the quote is sent again', async () => {
  const app = createApp()
  const { id } = (await (await post(app, request)).json()) as { id: string }
  await database.db.update(intents).set({ state: 'abandoned', refusals: 4 })

  const again = await post(app, request)

  expect(again.status).toBe(200)
  expect(await again.json()).toMatchObject({ id, state: 'queued', refusals: 0 })
})

describe('the API refuses', () => {
  test('a caller without a known token', async () => {
    const app = createApp()
    for (const authorization of [
      '',
      'Bearer',
      'Bearer wrong',
      `Basic ${token}`,
      `Bearer x${token}`,
    ]) {
      expect((await post(app, request, authorization)).status).toBe(401)
    }
  })

  test('a stream of requests above the rate, and says how long to wait', async () => {
    const app = createApp({ rateLimit: { perMinute: 60, burst: 2 } })
    await post(app, request)
    await post(app, request)
    const third = await post(app, request)

    expect(third.status).toBe(429)
    expect(third.headers.get('retry-after')).toBe('1')
    now += 1
    expect((await post(app, request)).status).toBe(200)
  })

  test('a body that is too large, not JSON, or has a missing, unknown or wrong field', async () => {
    const app = createApp()
    expect(await codeOf(await post(app, 'x'.repeat(600_000)))).toBe('INPUT_TOO_LARGE')
    expect(await codeOf(await post(app, '{'))).toBe('INPUT_INVALID')
    for (const change of [
      { purpose: 'guest' },
      { extra: 1 },
      { quote: 1 },
      { eventLog: undefined },
    ]) {
      expect(await codeOf(await post(app, { ...request, ...change }))).toBe('INPUT_INVALID')
    }
    expect(await codeOf(await post(app, { ...request, quote: '0x123' }))).toBe('HEX_INVALID')
  })

  test('a purpose that no contract is configured for', async () => {
    const response = await post(createApp(), { ...request, purpose: 'root-key' })

    expect(response.status).toBe(422)
    expect(await codeOf(response)).toBe('RELAYER_PURPOSE_UNSERVED')
  })

  test('a truncated quote, as malformed input', async () => {
    const response = await post(createApp(), {
      ...request,
      quote: toHex(attested.quote.slice(0, 700)),
    })

    expect(response.status).toBe(400)
    expect(await codeOf(response)).toMatch(/^QUOTE_/)
  })

  test('a forged quote, with every reason', async () => {
    const forged = new Uint8Array(attested.quote)
    const rtmr3 = 48 + 472
    forged[rtmr3] = (forged[rtmr3] as number) ^ 1
    const response = await post(createApp(), { ...request, quote: to0x(forged) })

    expect(response.status).toBe(422)
    const { error } = (await response.json()) as {
      error: { code: string; facts: { reasons: { code: string }[] } }
    }
    expect(error.code).toBe('RELAYER_QUOTE_REFUSED')
    expect(error.facts.reasons.map(({ code }) => code)).toEqual([
      expect.stringMatching(/^QUOTE_/),
      'EVENT_LOG_RTMR3_MISMATCH',
    ])
  })

  test('a quote of a simulated platform where Intel is trusted', async () => {
    const app = createApp({
      verifySubmission: createSubmissionVerifier({
        clock: () => now,
        collateral: async () => parseCollateral(simulator.collateral()),
        root: 'intel',
      }),
    })

    expect(await codeOf(await post(app, request))).toBe('RELAYER_QUOTE_REFUSED')
  })

  test('evidence that is about to expire', async () => {
    now = at + 29 * 86_400 - 600
    const response = await post(createApp(), request)
    const { error } = (await response.json()) as {
      error: { facts: { reasons: { code: string }[] } }
    }

    expect(error.facts.reasons.map(({ code }) => code)).toEqual(['RELAYER_COLLATERAL_NEAR_EXPIRY'])
  })

  test('a quote without collateral with an outage and not a denial', async () => {
    const collateral = async () => {
      throw new AssentError('PCCS_UNAVAILABLE', 'down')
    }
    const response = await post(createApp({}, { collateral }), request)

    expect(response.status).toBe(503)
    expect(await codeOf(response)).toBe('PCCS_UNAVAILABLE')
    expect(await database.db.select().from(intents)).toHaveLength(0)
  })

  test('an unknown id', async () => {
    const response = await createApp().request('/v1/quotes/none', {
      headers: { authorization: `Bearer ${token}` },
    })

    expect(response.status).toBe(404)
  })
})
