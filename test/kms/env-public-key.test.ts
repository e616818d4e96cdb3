/** The public key of an environment: from a real KMS, from an unmodified dstack-kms, and from servers that lie. */
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'

import { p256 } from '@noble/curves/nist.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { issueSelfSigned, keyToPem, toPem } from '../../src/kms/certificates/certificate.ts'
import { fetchEnvPublicKey } from '../../src/kms/env-public-key.ts'
import {
  deriveEnvKey,
  deriveEpochEnvKey,
  envPublicKey,
  k256PublicKey,
  signEnvPublicKey,
  signEpochEnvPublicKey,
} from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { openEnvironment, sealEnvironment } from '../../src/manifest/seal-environment.ts'
import { at, createDeployment, type KmsDeployment } from './fixture.ts'

const appId = new Uint8Array(20).fill(7)
const clock = () => at
const keys = generateKeys()
const root = k256PublicKey(keys.k256)

let deployment: KmsDeployment
let kms: RunningKms
let server: Server
let url: string
let answer: object

beforeAll(async () => {
  deployment = await createDeployment()
  kms = await deployment.start()
  const key = p256.utils.randomSecretKey()
  const certificate = await issueSelfSigned(key, { commonName: 'somebody' }, at)
  server = createServer({ key: keyToPem(key), cert: toPem(certificate) }, (_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await deployment.close()
})

test('an environment sealed with the public key of a real KMS is opened with the key that the app gets', async () => {
  const question = { appId, root: k256PublicKey(deployment.keys.k256), epoch: 1 }
  const { publicKey, epoch } = await fetchEnvPublicKey({ url: kms.url, clock }, question)
  const sealed = sealEnvironment(publicKey, new Map([['A', '1']]))

  expect(epoch).toBe(1)
  expect(openEnvironment(deriveEnvKey(deployment.keys, appId), sealed)).toEqual(
    new Map([['A', '1']]),
  )
})

describe('a KMS that is not the one of the chain', () => {
  test('is refused because of another root key', async () => {
    await expect(
      fetchEnvPublicKey({ url: kms.url, clock }, { appId, root, epoch: 1 }),
    ).rejects.toMatchObject({ code: 'ENV_KEY_UNTRUSTED' })
  })

  test('gets no request for an epoch that the app has not opened', async () => {
    const question = { appId, root: k256PublicKey(deployment.keys.k256), epoch: 2 }

    await expect(fetchEnvPublicKey({ url: kms.url, clock }, question)).rejects.toMatchObject({
      code: 'KMS_REFUSED',
    })
  })

  test('is reported as an outage if it does not answer', async () => {
    await expect(
      fetchEnvPublicKey({ url: 'https://127.0.0.1:1', clock }, { appId, root, epoch: 1 }),
    ).rejects.toMatchObject({ code: 'KMS_UNREACHABLE' })
  })
})

/** As dstack-kms answers: no epochs, and bytes as hex. */
const publicKey = envPublicKey(deriveEnvKey(keys, appId))
const dstack = (time: number = at, key = publicKey, of = appId) => ({
  public_key: toHex(key),
  signature: toHex(signEnvPublicKey(keys, of, key)),
  timestamp: time,
  signature_v1: toHex(signEnvPublicKey(keys, of, key, time)),
})
const epochal = (epoch: number, stated = epoch) => {
  const key = envPublicKey(deriveEpochEnvKey(keys, appId, epoch))
  const signature = signEpochEnvPublicKey(keys, { appId, epoch }, key, at)
  return {
    public_key: toHex(key),
    signature: '',
    timestamp: at,
    signature_v1: '',
    epoch: stated,
    epoch_signature: toHex(signature),
  }
}
const ask = (epoch = 1) => fetchEnvPublicKey({ url, clock }, { appId, root, epoch })

describe('the environment key of an unmodified dstack-kms', () => {
  test('is accepted for the first epoch', async () => {
    answer = dstack()

    expect(await ask()).toEqual({ publicKey, epoch: 1 })
  })

  test('is not accepted for a later epoch, because old releases know this key', async () => {
    answer = dstack()

    await expect(ask(2)).rejects.toMatchObject({ code: 'ENV_KEY_UNTRUSTED' })
  })

  test.each([
    ['as old as dstack allows', -300, true],
    ['a second older', -301, false],
    ['as far ahead as dstack allows', 60, true],
    ['a second further', 61, false],
  ])('is refused with a statement %s', async (_, seconds, isAccepted) => {
    answer = dstack(at + seconds)

    if (isAccepted) expect(await ask()).toEqual({ publicKey, epoch: 1 })
    else await expect(ask()).rejects.toMatchObject({ code: 'ENV_KEY_UNTRUSTED' })
  })
})

describe('a server between the client and the KMS', () => {
  const own = new Uint8Array(32).fill(9)
  test.each<[string, object, string]>([
    ['shows its own key', { ...dstack(), public_key: toHex(own) }, 'ENV_KEY_UNTRUSTED'],
    [
      'shows the key of another app',
      dstack(at, publicKey, new Uint8Array(20).fill(8)),
      'ENV_KEY_UNTRUSTED',
    ],
    ['makes an old statement new', { ...dstack(at - 900), timestamp: at }, 'ENV_KEY_UNTRUSTED'],
    ['leaves out the signature', { ...dstack(), signature_v1: '' }, 'ENV_KEY_UNTRUSTED'],
    [
      'sends the signature without a time',
      { ...dstack(), signature_v1: dstack().signature },
      'ENV_KEY_UNTRUSTED',
    ],
    [
      'sends a signature that is none',
      { ...dstack(), signature_v1: '00'.repeat(65) },
      'ENV_KEY_UNTRUSTED',
    ],
    ['sends a short key', { ...dstack(), public_key: 'ab' }, 'KMS_ANSWER_INVALID'],
    ['sends nothing', {}, 'KMS_ANSWER_INVALID'],
    ['calls the first epoch the second', epochal(1, 2), 'ENV_KEY_UNTRUSTED'],
    ['answers for an earlier epoch', epochal(1), 'ENV_KEY_UNTRUSTED'],
    ['answers for a later epoch', epochal(3), 'ENV_KEY_UNTRUSTED'],
  ])('cannot replace the key: %s', async (_, lie, code) => {
    answer = lie

    await expect(ask(code === 'ENV_KEY_UNTRUSTED' && 'epoch' in lie ? 2 : 1)).rejects.toMatchObject(
      {
        code,
      },
    )
  })

  test('can forward the true key of a later epoch', async () => {
    answer = epochal(2)

    expect((await ask(2)).epoch).toBe(2)
  })
})
