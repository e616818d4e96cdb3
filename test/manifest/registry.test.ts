/** Digests from a container registry: a real HTTP server with Docker's token login, and every way in which it can lie. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { resolveImage } from '../../src/manifest/resolve-image.ts'

const index = JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [],
})
const digest = `sha256:${createHash('sha256').update(index).digest('hex')}`
const indexType = 'application/vnd.oci.image.index.v1+json'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

let server: Server
let host: string
let asked: string[]
let manifest: Answer
let token: Answer

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.url}`)
    const answer = request.url?.startsWith('/token') ? token : manifest
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  asked = []
  manifest = deliver(index)
  token = (_, response) => response.end('{"token":"let-me-in"}')
})

const deliver =
  (body: string, headers: Record<string, string> = {}, status = 200): Answer =>
  (_, response) => {
    response.writeHead(status, {
      'content-type': indexType,
      'docker-content-digest': `sha256:${createHash('sha256').update(body).digest('hex')}`,
      ...headers,
    })
    response.end(body)
  }

const challenge = (realm = `http://${host}/token`) =>
  deliver('{}', { 'www-authenticate': `Bearer realm="${realm}",service="registry"` }, 401)

/** Shows the manifest to holders of the token only. */
const guarded: Answer = (request, response) => {
  const isIn = request.headers.authorization === 'Bearer let-me-in'
  return (isIn ? deliver(index) : challenge())(request, response)
}

const resolve = (timeoutMs = 5_000) => resolveImage(`${host}/shop/web:1.2`, { timeoutMs })

test('an image digest is fetched from an open registry', async () => {
  expect(await resolve()).toBe(`${host}/shop/web:1.2@${digest}`)
  expect(asked).toEqual(['/v2/shop/web/manifests/1.2'])
})

test('an image digest is fetched from a registry with an anonymous token', async () => {
  manifest = guarded

  expect(await resolve()).toBe(`${host}/shop/web:1.2@${digest}`)
  expect(asked).toEqual([
    '/v2/shop/web/manifests/1.2',
    '/token?service=registry&scope=repository%3Ashop%2Fweb%3Apull',
    '/v2/shop/web/manifests/1.2',
  ])
})

test('an image without a tag is looked up as latest', async () => {
  await resolveImage(`${host}/shop/web`)

  expect(asked).toEqual(['/v2/shop/web/manifests/latest'])
})

test('an image with a digest causes no request', async () => {
  const pinned = `${host}/shop/web@sha256:${'00'.repeat(32)}`

  expect(await resolveImage(pinned)).toBe(pinned)
  expect(asked).toEqual([])
})

test('an image digest is computed from the bytes if the registry sends none', async () => {
  manifest = (_, response) => {
    response.writeHead(200, { 'content-type': `${indexType}; charset=utf-8` })
    response.end(index)
  }

  expect(await resolve()).toContain(digest)
})

describe('a registry that lies or fails', () => {
  const other = `sha256:${'11'.repeat(32)}`
  test.each<[string, () => Answer, string]>([
    [
      'another digest',
      () => deliver(index, { 'docker-content-digest': other }),
      'REGISTRY_ANSWER_INVALID',
    ],
    [
      'a web page',
      () => deliver('<html>', { 'content-type': 'text/html' }),
      'REGISTRY_ANSWER_INVALID',
    ],
    ['no JSON', () => deliver('<html>'), 'REGISTRY_ANSWER_INVALID'],
    [
      'the old format, whose digest is of other bytes',
      () =>
        deliver(index, {
          'content-type': 'application/vnd.docker.distribution.manifest.v1+prettyjws',
        }),
      'REGISTRY_ANSWER_INVALID',
    ],
    [
      'a huge manifest',
      () => deliver(`{"a":"${'x'.repeat(5_000_000)}"}`),
      'REGISTRY_ANSWER_INVALID',
    ],
    [
      'a redirect',
      () => deliver('', { location: 'http://127.0.0.1:1/' }, 307),
      'REGISTRY_UNREACHABLE',
    ],
    ['not found', () => deliver('{}', {}, 404), 'REGISTRY_REFUSED'],
    ['an error of its own', () => deliver('{}', {}, 500), 'REGISTRY_UNREACHABLE'],
    ['too many requests', () => deliver('{}', {}, 429), 'REGISTRY_UNREACHABLE'],
    [
      'a login with a password',
      () => deliver('{}', { 'www-authenticate': 'Basic realm="x"' }, 401),
      'REGISTRY_ANSWER_INVALID',
    ],
    [
      'a login elsewhere without https',
      () => challenge('http://127.0.0.2/token'),
      'REGISTRY_ANSWER_INVALID',
    ],
    ['a login at no address', () => challenge('nowhere'), 'REGISTRY_ANSWER_INVALID'],
    ['a login that does not help', () => challenge(), 'REGISTRY_REFUSED'],
    ['a closed connection', () => (request) => request.socket.destroy(), 'REGISTRY_UNREACHABLE'],
    ['silence', () => () => {}, 'REGISTRY_UNREACHABLE'],
  ])('gives no digest: %s', async (_, answer, code) => {
    manifest = answer()

    await expect(resolve(1_000)).rejects.toMatchObject({ code })
  })

  test.each<[string, Answer]>([
    ['no token', (_, response) => response.end('{}')],
    ['a token with a line break', (_, response) => response.end('{"token":"a\\r\\nx: y"}')],
    ['a refusal', (_, response) => response.writeHead(403).end('{}')],
  ])('with %s of its token service gives no digest', async (_, answer) => {
    manifest = guarded
    token = answer

    await expect(resolve()).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' })
  })

  test('that does not listen is an outage', async () => {
    await expect(resolveImage('127.0.0.1:1/a:1')).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
    })
  })
})
