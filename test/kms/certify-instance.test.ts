/** `CertifyInstance`: the KMS's statement about a key of an instance, for `Instances` on-chain. */
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

import {
  type InstanceBinding,
  instanceSignerMessage,
  instanceStatementDigest,
} from '../../src/chain/registries/instance-statements.ts'
import { certifyInstance, verifyInstanceCertificate } from '../../src/kms/certify-instance.ts'
import { callKms, fetchAppKeys, type KmsClientOptions } from '../../src/kms/client.ts'
import {
  deriveEpochKeys,
  deriveInstanceSigner,
  deriveKey,
  k256PublicKey,
  recoverK256,
} from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { to0x, toHex } from '../../src/lib/bytes.ts'
import { k256Address, recoverK256Digest } from '../../src/lib/k256.ts'
import { deriveGuestKeyV0, deriveGuestKeyV1 } from '../../src/tee/guest-keys.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { at, createDeployment, type KmsDeployment } from './fixture.ts'

let deployment: KmsDeployment
let kms: RunningKms
let cvm: SimulatedCvm
let options: KmsClientOptions

beforeAll(async () => {
  deployment = await createDeployment()
  kms = await deployment.start()
  cvm = deployment.boot()
  options = { url: kms.url, clock: () => at }
})
afterAll(() => deployment.close())

function bindingOf(changed: Partial<InstanceBinding> = {}): InstanceBinding {
  return {
    chainId: deployment.chain.chainId,
    registry: `0x${'11'.repeat(20)}`,
    app: to0x(cvm.appId),
    key: `0x${'22'.repeat(20)}`,
    block: { number: 7n, hash: `0x${'33'.repeat(32)}` },
    ...changed,
  }
}

describe('the statement about an instance', () => {
  test('gives a statement that leads to the root key', async () => {
    const binding = bindingOf()
    const found = await certifyInstance(options, cvm.source, cvm.vmConfig, binding)
    const root = k256PublicKey(deployment.keys.k256)

    expect(found.appId).toEqual(cvm.appId)
    expect(found.composeHash).toEqual(cvm.composeHash)
    expect(found.epoch).toBe(1)
    expect(() => verifyInstanceCertificate(binding, found, root)).not.toThrow()

    const digest = instanceStatementDigest(binding, cvm.composeHash)
    const signer = k256Address(recoverK256Digest(found.statement, digest))
    const message = instanceSignerMessage(cvm.appId, 1, signer)
    expect(toHex(recoverK256(found.link, message))).toBe(toHex(root))
  })

  test.each<[string, Partial<InstanceBinding>]>([
    ['chain', { chainId: 1 }],
    ['registry', { registry: `0x${'44'.repeat(20)}` }],
    ['app', { app: `0x${'44'.repeat(20)}` }],
    ['key', { key: `0x${'44'.repeat(20)}` }],
    ['block', { block: { number: 8n, hash: `0x${'33'.repeat(32)}` } }],
    ['block hash', { block: { number: 7n, hash: `0x${'44'.repeat(32)}` } }],
  ])('counts for no other %s', async (_, changed) => {
    const found = await certifyInstance(options, cvm.source, cvm.vmConfig, bindingOf())
    const root = k256PublicKey(deployment.keys.k256)

    expect(() => verifyInstanceCertificate(bindingOf(changed), found, root)).toThrow(
      expect.objectContaining({ code: 'KMS_KEY_CHAIN_BROKEN' }),
    )
  })

  test('is refused for a caller without a quote, and for a boot that the chain denies', async () => {
    const body = {
      key: '22'.repeat(20),
      registry: '11'.repeat(20),
      block_number: 7,
      block_hash: '33'.repeat(32),
      vm_config: cvm.vmConfig,
    }
    await expect(callKms(options, 'CertifyInstance', body, z.unknown())).rejects.toMatchObject({
      code: 'KMS_REFUSED',
    })

    await deployment.setBehaviour('deny')
    await expect(
      certifyInstance(options, cvm.source, cvm.vmConfig, bindingOf()),
    ).rejects.toMatchObject({ code: 'KMS_REFUSED' })
    await deployment.setBehaviour('allow')
  })

  test('is refused while the chain names any gateway, as all keys are', async () => {
    await deployment.setGateway('any')
    const open = await deployment.start()
    const refused = certifyInstance(
      { ...options, url: open.url },
      cvm.source,
      cvm.vmConfig,
      bindingOf(),
    )
    await expect(refused).rejects.toMatchObject({
      code: 'KMS_REFUSED',
      facts: { code: 'KMS_GATEWAY_ANY' },
    })
    await deployment.setGateway('gateway')
  })

  test('is refused for a key of another length', async () => {
    await expect(
      certifyInstance(options, cvm.source, cvm.vmConfig, bindingOf({ key: '0x2222' })),
    ).rejects.toMatchObject({ code: 'KMS_REFUSED' })
  })

  test('is a signature that no other method makes', async () => {
    const binding = bindingOf()
    const { statement } = await certifyInstance(options, cvm.source, cvm.vmConfig, binding)
    const digest = instanceStatementDigest(binding, cvm.composeHash)
    const signer = toHex(recoverK256Digest(statement, digest))
    const { k256Key, epochKeys } = await fetchAppKeys(options, cvm.source, cvm.vmConfig)
    const path = 'assent-instance-signer'
    const derived = [
      k256Key,
      ...epochKeys.map((each) => each.k256Key),
      deriveGuestKeyV0(k256Key, path, 'secp256k1').key,
      deriveGuestKeyV1(k256Key, { domain: path, algorithm: 'secp256k1' }).key,
      deriveKey(k256Key, [cvm.appId, path]),
      deriveKey(k256Key, [path]),
    ]

    for (const key of derived) {
      expect(toHex(secp256k1.getPublicKey(key, true))).not.toBe(signer)
    }
  })
})

describe('the instance signer', () => {
  const keys = generateKeys()
  const app = new Uint8Array(20).fill(7)
  const other = new Uint8Array(20).fill(8)

  test('differs between apps, epochs and root keys, and from every app key', () => {
    const all = [
      deriveInstanceSigner(keys, app, 1),
      deriveInstanceSigner(keys, app, 2),
      deriveInstanceSigner(keys, other, 1),
      deriveInstanceSigner(generateKeys(), app, 1),
      deriveEpochKeys(keys, app, 1).k256Key,
      deriveEpochKeys(keys, app, 2).k256Key,
    ].map(toHex)

    expect(new Set(all).size).toBe(all.length)
  })

  test('needs an app id of 20 bytes and an epoch from 1 on', () => {
    expect(() => deriveInstanceSigner(keys, new Uint8Array(21), 1)).toThrow(
      expect.objectContaining({ code: 'LENGTH_WRONG' }),
    )
    expect(() => deriveInstanceSigner(keys, app, 0)).toThrow(
      expect.objectContaining({ code: 'KMS_EPOCH_INVALID' }),
    )
  })
})
