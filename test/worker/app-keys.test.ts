/** A worker gets its app keys from a real KMS, and believes no other root key than the one on-chain. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { encodeSpki, k256PublicKey } from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { openAppKeys } from '../../src/worker/app-keys.ts'
import { stateRequestKey, verifyRequestKey } from '../../src/worker/request-key.ts'
import { at, createDeployment, type KmsDeployment } from '../kms/fixture.ts'

let deployment: KmsDeployment
let kms: RunningKms
let cvm: SimulatedCvm

beforeAll(async () => {
  deployment = await createDeployment()
  kms = await deployment.start()
  cvm = deployment.boot()
})
afterAll(() => deployment.close())

const rootOf = (keys: ReturnType<typeof generateKeys>) => async () => ({
  k256PublicKey: k256PublicKey(keys.k256),
  caPublicKey: encodeSpki(keys.ca),
})

const open = (changed: Partial<Parameters<typeof openAppKeys>[0]> = {}) =>
  openAppKeys({
    kmsUrls: [kms.url],
    quotes: cvm.source,
    vmConfig: cvm.vmConfig,
    appId: cvm.appId,
    readRoot: rootOf(deployment.keys),
    clock: () => at,
    ...changed,
  })

describe('the app keys of a worker', () => {
  test('lead to the root key, and make a request key that a requester accepts', async () => {
    const keys = await open()
    expect([...keys.byEpoch.keys()]).toEqual([1])
    const root = k256PublicKey(deployment.keys.k256)
    const requestKey = stateRequestKey(cvm.appId, keys.newest())
    expect(() => verifyRequestKey(requestKey, { appId: cvm.appId, epoch: 1, root })).not.toThrow()
  })

  test('come from the second KMS node if the first one does not answer', async () => {
    const keys = await open({ kmsUrls: ['https://127.0.0.1:1', kms.url] })
    expect(keys.byEpoch.size).toBe(1)
  })

  test('are refused under another root key', async () => {
    await expect(open({ readRoot: rootOf(generateKeys()) })).rejects.toMatchObject({
      code: 'KMS_PEER_UNTRUSTED',
    })
  })

  test('are refused if the KMS denies the release', async () => {
    await deployment.setBehaviour('deny')
    await expect(open()).rejects.toMatchObject({ code: 'KMS_REFUSED' })
    await deployment.setBehaviour('allow')
  })
})
