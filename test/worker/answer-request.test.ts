/** A worker answers a request in a CVM, and the outbox keeps its first answer. */
import { x25519 } from '@noble/curves/ed25519.js'
import { keccak256 } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import {
  encodeInputReference,
  requestId,
  resultDigest,
} from '../../src/chain/registries/requests.ts'
import { AssentError } from '../../src/errors/index.ts'
import { deriveEpochKeys, k256PublicKey } from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import { fromHex, type Hex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { recoverK256Digest } from '../../src/lib/k256.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { intents } from '../../src/relayer/database/schema.ts'
import { enqueueIntent } from '../../src/relayer/outbox/intents.ts'
import {
  type Answer,
  type AskedRequest,
  answerRequest,
  type Handler,
  type WorkerContext,
} from '../../src/worker/answer-request.ts'
import { stateRequestKey } from '../../src/worker/request-key.ts'
import { openResult, publicMessage, sealInput } from '../../src/worker/sealed-message.ts'
import { answerOnce, createAnswerTarget, declineIntent } from '../../src/worker/targets.ts'

const app: Hex = `0x${'22'.repeat(20)}`
const requester: Hex = `0x${'33'.repeat(20)}`
const contract = { chainId: 1, requests: `0x${'11'.repeat(20)}` } as const
const appId = fromHex(app, 'app', 20)
const epochKeys = deriveEpochKeys(generateKeys(), appId, 2)
const key = new Uint8Array(32).fill(5)
const reply = x25519.utils.randomSecretKey()
const echo: Handler = async ({ body }) => Uint8Array.from([...body].reverse())

function worker(changed: Partial<WorkerContext> = {}): WorkerContext {
  const appKeys = new Map([[2, epochKeys.k256Key]])
  return { contract, app, key, appKeys, handler: echo, timeoutMs: 1_000, ...changed }
}

function ask(input: Uint8Array, changed: Partial<AskedRequest> = {}): AskedRequest {
  const identity = { number: 1n, requester, app, inputDigest: keccak256(input), deadline: 1_000 }
  const made = { ...identity, inputReference: encodeInputReference({ kind: 'inline', input }) }
  return { ...made, ...changed, id: changed.id ?? requestId(contract, { ...identity, ...changed }) }
}

const context = { ...contract, app, requester }
const sealed = sealInput(
  stateRequestKey(appId, epochKeys),
  context,
  utf8ToBytes('abc'),
  x25519.getPublicKey(reply),
)
const refused = { code: 'WORKER_INPUT_REFUSED' }
const failed = { code: 'WORKER_HANDLER_FAILED' }

describe('an answer', () => {
  test('is sealed to the requester and signed for the request', async () => {
    const asked = ask(sealed)
    const { id, result, signature } = await answerRequest(asked, worker())
    const bytes = fromHex(result, 'result')

    expect(Buffer.from(openResult(reply, { ...contract, id }, bytes)).toString()).toBe('cba')
    expect(Buffer.from(bytes).includes('cba')).toBe(false)
    const signed = fromHex(signature, 'signature', 65)
    signed[64] = (signed[64] ?? 0) - 27
    expect(recoverK256Digest(signed, resultDigest(contract, id, bytes))).toEqual(k256PublicKey(key))
  })

  test('is public for a public input', async () => {
    const { id, result } = await answerRequest(ask(publicMessage(utf8ToBytes('abc'))), worker())
    const body = openResult(undefined, { ...contract, id }, fromHex(result, 'result'))
    expect(Buffer.from(body).toString()).toBe('cba')
  })

  test.each<[string, AskedRequest]>([
    ['with the id of another request', ask(sealed, { id: `0x${'00'.repeat(32)}` })],
    ['for another app', ask(sealed, { app: requester })],
    ['of another requester who copied the input', ask(sealed, { requester: app })],
    ['with another digest', ask(sealed, { inputDigest: `0x${'00'.repeat(32)}` })],
    ['whose input is elsewhere', ask(sealed, { inputReference: '0x01687474703a2f2f78' })],
    ['without an input', ask(new Uint8Array())],
    [
      'with a reply key of small order',
      ask(
        sealInput(stateRequestKey(appId, epochKeys), context, utf8ToBytes('x'), new Uint8Array(32)),
      ),
    ],
  ])('is refused for a request %s', async (_, asked) => {
    await expect(answerRequest(asked, worker())).rejects.toMatchObject(refused)
  })

  test('needs the key of the epoch', async () => {
    await expect(answerRequest(ask(sealed), worker({ appKeys: new Map() }))).rejects.toMatchObject(
      refused,
    )
  })

  test.each<[string, Handler, object]>([
    ['hangs', () => new Promise(() => {}), failed],
    ['throws', () => Promise.reject(new Error('abc')), failed],
    ['returns too much', async () => new Uint8Array(4_097), failed],
    ['refuses', () => Promise.reject(new AssentError('WORKER_INPUT_REFUSED', 'No.')), refused],
  ])('is not given if the handler %s', async (_, handler, expected) => {
    const answering = answerRequest(ask(sealed), worker({ handler, timeoutMs: 50 }))
    const error = await answering.then(
      () => undefined,
      (cause: Error) => cause,
    )
    expect(error).toMatchObject(expected)
    expect(error?.message).not.toContain('abc')
  })
})

describe('the outbox', () => {
  let database: OpenDatabase
  beforeAll(async () => {
    database = await openDatabase({ memory: true })
  })
  afterAll(() => database.close())

  test('keeps the first answer, also after it gave up and after a restart', async () => {
    const times = { chainId: 1, at: 10, expiresAt: 1_000 }
    let calls = 0
    const random = worker({ handler: async () => Uint8Array.of(calls++) })
    const asked = ask(publicMessage(utf8ToBytes('random')))
    const put = () => answerOnce(database.db, asked, random, times)
    const read = async () => (await database.db.select().from(intents))[0]

    const stored = await put()
    const first = await read()
    expect(await put()).toEqual({ id: stored.id, isNew: false })
    await database.db.update(intents).set({ state: 'abandoned' })
    expect(await put()).toEqual({ id: stored.id, isNew: false })

    const last = await read()
    expect(last?.state).toBe('queued')
    expect(last?.payload).toEqual(first?.payload)
    expect(calls).toBe(1)
    const payload = last?.payload as Answer
    const intent = { id: stored.id, key: asked.id, payload }
    const { data } = createAnswerTarget(contract.requests).encode(intent)
    expect(data).toContain(payload.signature.slice(2))
  })

  test('declines each assignment of a request once', async () => {
    const times = { chainId: 1, at: 10, expiresAt: 1_000 }
    const declined = { id: ask(sealed).id, key: requester }
    const put = (assignment: number) =>
      enqueueIntent(database.db, declineIntent({ ...declined, assignment }, times))
    expect((await put(1)).isNew).toBe(true)
    expect((await put(1)).isNew).toBe(false)
    expect((await put(2)).isNew).toBe(true)
  })
})
