import { createHash } from 'node:crypto'

import { fromBinary, toBinary } from '@bufbuild/protobuf'
import { beforeEach, describe, expect, test } from 'vitest'

import { createAdmin, startAdmin } from '../../src/kms/admin.ts'
import { ClearImageCacheRequestSchema, EmptySchema } from '../../src/kms/rpc/kms_pb.ts'
import { createLog } from '../../src/lib/log.ts'

const token = 'a token that nobody guesses'
const tokenSha256 = createHash('sha256').update(token).digest('hex')
const cleared: string[] = []
const log = createLog({ service: 'test', level: 'silent' })
const options = { tokenSha256, clear: (image: string) => void cleared.push(image), log }
const hash = 'ab'.repeat(32)

beforeEach(() => cleared.splice(0))

const bearer = { authorization: `Bearer ${token}` }
const call = (body: object, headers: Record<string, string> = bearer, app = createAdmin(options)) =>
  app.request('/prpc/Admin.ClearImageCache?json', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

describe('Admin.ClearImageCache', () => {
  test('clears one image or all images, and succeeds for an unknown image', async () => {
    const answers = [
      await call({ image_hash: hash.toUpperCase(), config_hash: '' }),
      await call({ image_hash: 'all' }),
      await call({ config_hash: '12ab' }),
      await call({}),
    ]

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(await answers[0]?.text()).toBe('null')
    expect(cleared).toEqual([hash, 'all', 'all'])
  })

  test('accepts protobuf too', async () => {
    const message = {
      $typeName: 'kms.ClearImageCacheRequest' as const,
      imageHash: hash,
      configHash: '',
    }
    const answer = await createAdmin(options).request('/prpc/ClearImageCache', {
      method: 'POST',
      headers: bearer,
      body: new Uint8Array(toBinary(ClearImageCacheRequestSchema, message)),
    })

    expect(answer.status).toBe(200)
    fromBinary(EmptySchema, new Uint8Array(await answer.arrayBuffer()))
    expect(cleared).toEqual([hash])
  })

  test.each(['../..', 'a/b', 'zz', 'ALL', ' all'])('refuses %j as a key', async (key) => {
    const answer = await call({ image_hash: key })

    expect(answer.status).toBe(400)
    expect(await answer.json()).toEqual({ error: 'invalid cache key' })
    expect(cleared).toEqual([])
  })
})

describe('the token of the KMS Admin API', () => {
  const basic = (password: string) => ({
    authorization: `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`,
  })

  test.each([
    ['Bearer', bearer],
    ['X-Admin-Token', { 'x-admin-token': token }],
    ['the password of Basic', basic(token)],
  ])('is compared correctly if it is %s', async (_, headers) => {
    expect((await call({}, headers)).status).toBe(200)
  })

  test.each([
    ['none', {}],
    ['an empty one', { authorization: 'Bearer ' }],
    ['another', { authorization: `Bearer ${token}x` }],
    ['its hash', { authorization: `Bearer ${tokenSha256}` }],
    ['another scheme', { authorization: `Digest ${token}` }],
    [
      'the name of Basic',
      { authorization: `Basic ${Buffer.from(`${token}:`).toString('base64')}` },
    ],
  ])('is required: a request with %s is refused for every method', async (_, headers) => {
    const paths = ['/prpc/Admin.ClearImageCache?json', '/prpc/Nothing', '/']
    for (const path of paths) {
      const answer = await createAdmin(options).request(path, { method: 'POST', headers })
      expect(answer.status).toBe(401)
    }
    expect(cleared).toEqual([])
  })

  test('cannot be guessed with many requests', async () => {
    const app = createAdmin(options)
    const wrong = { authorization: 'Bearer guess' }
    const statuses: number[] = []
    for (let round = 0; round < 70; round++) statuses.push((await call({}, wrong, app)).status)

    expect(statuses.filter((status) => status === 401).length).toBeLessThanOrEqual(61)
    expect(statuses.at(-1)).toBe(429)
    expect((await call({}, bearer, app)).status).toBe(200)
  })
})

test('the KMS Admin API listens at the configured address, and stops', async () => {
  const admin = await startAdmin({ ...options, host: '127.0.0.1', port: 0 })
  const ask = () =>
    fetch(`${admin.url}/prpc/Admin.ClearImageCache?json`, { method: 'POST', headers: bearer })

  expect((await ask()).status).toBe(200)
  await admin.stop()
  await expect(ask()).rejects.toThrow()
})

test('Admin.GetKmsKey is refused as an unsupported method, with and without a token', async () => {
  const ask = (headers: Record<string, string>) =>
    createAdmin(options).request('/prpc/Admin.GetKmsKey?json', {
      method: 'POST',
      headers,
      body: '{}',
    })

  const refused = await ask(bearer)
  expect(refused.status).toBe(400)
  expect(refused.headers.get('x-assent-error')).toBe('KMS_FEATURE_UNSUPPORTED')
  expect(await refused.json()).toEqual({ error: 'Not supported: Admin.GetKmsKey' })
  expect((await ask({})).status).toBe(401)
})
