/** The KMS client tells a refusal of the KMS from an outage, an overload and a server that is no KMS. */
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'

import { p256 } from '@noble/curves/nist.js'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { exitCodeOfError } from '../../src/commands/exit-code.ts'
import { type AssentError, isAssentError } from '../../src/errors/index.ts'
import { issueSelfSigned, keyToPem, toPem } from '../../src/kms/certificates/certificate.ts'
import { readNodeMeta } from '../../src/kms/client.ts'
import { at } from './fixture.ts'

interface Answer {
  readonly status: number
  readonly body: string
  readonly code?: string
}

let server: Server
let url: string
let answer: Answer

beforeAll(async () => {
  const key = p256.utils.randomSecretKey()
  const certificate = await issueSelfSigned(key, { commonName: 'stub' }, at)
  server = createServer({ key: keyToPem(key), cert: toPem(certificate) }, (_, response) => {
    if (answer.code !== undefined) response.setHeader('x-assent-error', answer.code)
    response.writeHead(answer.status).end(answer.body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

async function failureOf(given: Answer): Promise<AssentError> {
  answer = given
  const error = await readNodeMeta({ url }).catch((thrown: unknown) => thrown)
  if (isAssentError(error)) return error
  throw new Error('no AssentError', { cause: error })
}

const body = JSON.stringify({ error: 'the reason' })

test.each<[string, Answer, string, number]>([
  ['a denial', { status: 400, body, code: 'KMS_BOOT_DENIED' }, 'KMS_REFUSED', 1],
  ['an invalid request', { status: 400, body, code: 'KMS_EPOCH_INVALID' }, 'KMS_REFUSED', 1],
  ['an error of dstack-kms', { status: 400, body }, 'KMS_REFUSED', 1],
  ['an outage', { status: 400, body, code: 'CHAIN_NO_AGREEMENT' }, 'KMS_UNAVAILABLE', 3],
  ['an unexpected error', { status: 400, body, code: 'UNEXPECTED' }, 'KMS_UNAVAILABLE', 3],
  ['an unknown code', { status: 400, body, code: 'OF_THE_FUTURE' }, 'KMS_UNAVAILABLE', 3],
  ['the code "toString"', { status: 400, body, code: 'toString' }, 'KMS_UNAVAILABLE', 3],
  ['an overload', { status: 429, body, code: 'KMS_OVERLOADED' }, 'KMS_UNAVAILABLE', 3],
  ['an overloaded proxy', { status: 429, body: 'slow down' }, 'KMS_UNAVAILABLE', 3],
  ['a proxy without a KMS', { status: 503, body }, 'KMS_UNAVAILABLE', 3],
  [
    'a denial with status 502',
    { status: 502, body, code: 'KMS_BOOT_DENIED' },
    'KMS_UNAVAILABLE',
    3,
  ],
  ['a redirect', { status: 302, body }, 'KMS_ANSWER_INVALID', 3],
  ['a server without the method', { status: 404, body }, 'KMS_ANSWER_INVALID', 3],
  ['an error without a reason', { status: 400, body: '{}' }, 'KMS_ANSWER_INVALID', 3],
  ['an error that is HTML', { status: 400, body: '<html>' }, 'KMS_ANSWER_INVALID', 3],
])('the client reports %s as such', async (_, given, code, exitCode) => {
  const error = await failureOf(given)

  expect([error.code, exitCodeOfError(error.code)]).toEqual([code, exitCode])
  expect(error.facts).toMatchObject({ status: given.status, code: given.code ?? null })
})

test('the reason of the KMS stays in the message of an outage', async () => {
  const { message } = await failureOf({ status: 400, body, code: 'CHAIN_STALE' })

  expect(message).toContain('the reason')
})
