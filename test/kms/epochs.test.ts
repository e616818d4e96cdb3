/** Key epochs: the keys of each epoch, and the epochs that the chain grants to a release. */
import { hkdfSync } from 'node:crypto'

import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { network } from 'hardhat'
import type { EIP1193Provider } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { trustSingleEndpoint } from '../../src/chain/boot/ask-contracts.ts'
import type { BootAuthorizer } from '../../src/chain/boot/boot.ts'
import { verifyAttestation, verifyBoot } from '../../src/kms/authorization/verify-attestation.ts'
import { attest } from '../../src/kms/certificates/ratls.ts'
import {
  callKms,
  type FetchedAppKeys,
  fetchAppKeys,
  verifyFetchedKeys,
} from '../../src/kms/client.ts'
import {
  deriveAppKeys,
  deriveEpochEnvKey,
  deriveEpochKeys,
  envKeyMessage,
  envPublicKey,
  k256PublicKey,
  recoverK256,
} from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import { AppKeyResponseSchema } from '../../src/kms/rpc/kms_pb.ts'
import { concatBytes, fromHex, type Hex, to0x, toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { viewOf } from '../chain/endpoints.ts'
import { appCall, deployRegistries, kmsCall, type Registries } from '../chain/registries.ts'
import { startNode } from './node-fixture.ts'

const appId = new Uint8Array(20).fill(7)
const instanceId = new Uint8Array(20).fill(8)

describe('the KMS keys of a key epoch', () => {
  const keys = generateKeys()

  test('are the keys of dstack in the first epoch', () => {
    const { envCryptKey, k256Key, k256Signature } = deriveAppKeys(keys, appId, instanceId)

    expect(deriveEpochKeys(keys, appId, 1)).toEqual({
      epoch: 1,
      envCryptKey,
      k256Key,
      k256Signature,
    })
  })

  test('are derived from root keys of the epoch by HKDF in later epochs', () => {
    const expand = (ikm: Uint8Array, salt: string, info: Uint8Array) =>
      new Uint8Array(hkdfSync('sha256', ikm, utf8ToBytes(salt), info, 32))
    const root = expand(
      keys.k256,
      'ASSENT-EPOCH',
      concatBytes(fromHex('00000003', 'epoch'), utf8ToBytes('k256')),
    )

    expect(deriveEpochKeys(keys, appId, 3).k256Key).toEqual(
      expand(root, 'RATLS', concatBytes(appId, utf8ToBytes('app-key'))),
    )
  })

  test('differ between epochs, apps and roots', () => {
    const all = [
      deriveEpochKeys(keys, appId, 1),
      deriveEpochKeys(keys, appId, 2),
      deriveEpochKeys(keys, appId, 3),
      deriveEpochKeys(keys, instanceId, 2),
      deriveEpochKeys(generateKeys(), appId, 2),
    ].flatMap(({ envCryptKey, k256Key }) => [toHex(envCryptKey), toHex(k256Key)])

    expect(new Set(all).size).toBe(all.length)
  })

  test.each([0, -1, 1.5, 2 ** 32, Number.NaN])('do not exist for epoch %s', (epoch) => {
    expect(() => deriveEpochKeys(keys, appId, epoch)).toThrow(
      expect.objectContaining({ code: 'KMS_EPOCH_INVALID' }),
    )
  })
})

describe('a key release with key epochs', () => {
  let connection: Awaited<ReturnType<typeof network.create>>
  let chain: Registries
  let node: Awaited<ReturnType<typeof startNode>>
  let view: BootAuthorizer
  let now: number
  let app: Hex
  let old: SimulatedCvm
  let next: SimulatedCvm
  let end: number

  const chainTime = async () => Number((await chain.client.getBlock()).timestamp)

  beforeAll(async () => {
    connection = await network.create()
    const provider = connection.provider as unknown as EIP1193Provider
    chain = await deployRegistries(provider, 'hardhat')
    now = (await chainTime()) + 60
    const simulator = createSimulator({ at: now })
    node = await startNode({
      simulator,
      clock: () => now,
      view: () => view,
      chain,
    })
    app = await chain.createApp({ allowAnyDevice: true })
    const { host } = node
    old = node.boot(app, host)
    next = host.createCvm({ image: node.image, compose: '{"name":"next"}', appId: old.appId })
    await approve()
    end = now + 1000
    view = newView()
  })
  afterAll(async () => {
    await node.stop()
    await connection.close()
  })

  async function approve(): Promise<void> {
    const { kmsAuth, send } = chain
    const device = to0x(node.host.deviceId)
    const attestation = await attest(node.own.source, new Uint8Array(64))
    const own = verifyBoot(
      await verifyAttestation(attestation, node.rules),
      '',
      'full',
      node.rules,
    ).bootInfo
    for (const hash of [own.osImageHash, node.image.osImageHash]) {
      await send(kmsAuth, kmsCall('addOsImageHash', [to0x(hash)]))
    }
    await send(kmsAuth, kmsCall('addKmsAggregatedMr', [to0x(own.mrAggregated)]))
    await send(kmsAuth, kmsCall('addKmsDevice', [device]))
    await send(kmsAuth, kmsCall('setGatewayAppId', ['gateway']))
    await send(app, appCall('addComposeHash', [to0x(old.composeHash)]))
    await send(app, appCall('addComposeHash', [to0x(next.composeHash)]))
  }

  /** Opens a new view, as after `refreshSeconds`. */
  const newView = () => viewOf(connection.provider as unknown as EIP1193Provider, chain, () => now)

  /** The view of a node with one trusted endpoint. */
  const singleEndpointView = () =>
    trustSingleEndpoint({
      client: chain.client,
      chainId: 31337,
      kms: chain.kmsAuth,
      finality: { confirmations: 0 },
      maxBlockAgeSeconds: 5000,
      timeoutMs: 20_000,
      clock: () => now,
    })
  const fetchKeys = (cvm: SimulatedCvm) =>
    fetchAppKeys({ url: node.kms.url, clock: () => now }, cvm.source, cvm.vmConfig)
  const epochsOf = ({ writeEpoch, epochKeys }: FetchedAppKeys) => ({
    write: writeEpoch,
    granted: epochKeys.map(({ epoch }) => epoch),
  })

  test('gets the keys of the first epoch if the app opened no other', async () => {
    const keys = await fetchKeys(old)

    expect(epochsOf(keys)).toEqual({ write: 1, granted: [1] })
    expect(keys.epochKeys[0]?.k256Key).toEqual(keys.k256Key)
  })

  test('gets the keys of both epochs during a migration, and an older release only its own', async () => {
    await chain.send(app, appCall('supersede', [2, end, true]))
    view = newView()
    const [before, after] = [await fetchKeys(old), await fetchKeys(next)]

    expect(epochsOf(before)).toEqual({ write: 1, granted: [1] })
    expect(epochsOf(after)).toEqual({ write: 2, granted: [1, 2] })
    view = singleEndpointView()
    expect([await fetchKeys(old), await fetchKeys(next)]).toEqual([before, after])
    // a client without epoch support gets the new keys in dstack's fields, and the same disk key
    const first = deriveAppKeys(node.keys, next.appId, next.instanceId)
    const second = deriveEpochKeys(node.keys, next.appId, 2)
    expect(before).toMatchObject({ k256Key: first.k256Key, envCryptKey: first.envCryptKey })
    expect(after).toMatchObject({ k256Key: second.k256Key, envCryptKey: second.envCryptKey })
    expect(after.diskCryptKey).toEqual(first.diskCryptKey)
    verifyFetchedKeys(next.appId, after, k256PublicKey(node.keys.k256))
    const [oldKeys, newKeys] = after.epochKeys
    const swapped = { ...after, epochKeys: [{ ...oldKeys, epoch: 2 }, newKeys] } as FetchedAppKeys
    expect(() => verifyFetchedKeys(next.appId, swapped, k256PublicKey(node.keys.k256))).toThrow(
      expect.objectContaining({ code: 'KMS_KEY_CHAIN_BROKEN' }),
    )
  })

  test('gets no key of the previous epoch after the migration by the local clock', async () => {
    now = end
    view = newView()

    expect(await chainTime()).toBeLessThan(end)
    const keys = await fetchKeys(next)
    expect(epochsOf(keys)).toEqual({ write: 2, granted: [2] })
    const first = deriveEpochKeys(node.keys, next.appId, 1)
    expect([toHex(keys.k256Key), toHex(keys.envCryptKey)]).not.toContain(toHex(first.k256Key))
    expect(toHex(keys.envCryptKey)).not.toBe(toHex(first.envCryptKey))
    await expect(fetchKeys(old)).rejects.toMatchObject({ facts: { code: 'KMS_BOOT_DENIED' } })
  })

  test('gets no key of the previous epoch again once a final block is later', async () => {
    await chain.pass(1100)
    now = (await chainTime()) + 1
    view = newView()

    expect(epochsOf(await fetchKeys(next))).toEqual({ write: 2, granted: [2] })
    await expect(fetchKeys(old)).rejects.toMatchObject({
      message: expect.stringContaining('Compose hash not allowed'),
    })
  })

  test('gets no earlier epoch from a node with one trusted endpoint', async () => {
    view = singleEndpointView()

    expect(epochsOf(await fetchKeys(next))).toEqual({ write: 2, granted: [2] })
    await expect(fetchKeys(old)).rejects.toMatchObject({ facts: { code: 'KMS_BOOT_DENIED' } })
    expect(await view.newestEpoch?.(next.appId)).toBe(2)
    expect(await newView().newestEpoch?.(next.appId)).toBe(2)
    // a contract without epochs: undefined
    expect(await view.newestEpoch?.(fromHex(chain.bonds, 'bonds', 20))).toBeUndefined()
    view = newView()
  })

  test('includes an environment key for each epoch, the newest by default', async () => {
    const ask = (asked: object) =>
      callKms(
        { url: node.kms.url, clock: () => now },
        'GetAppEnvEncryptPubKey',
        { app_id: toHex(old.appId), ...asked },
        z.object({
          public_key: z.string(),
          timestamp: z.int(),
          signature: z.string(),
          signature_v1: z.string(),
          epoch: z.int(),
          epoch_signature: z.string(),
        }),
      )
    const publicKey = (epoch: number) =>
      toHex(envPublicKey(deriveEpochEnvKey(node.keys, old.appId, epoch)))

    expect(await ask({})).toMatchObject({ epoch: 2, public_key: publicKey(2) })
    const newest = await ask({ epoch: 2 })
    const message = (time?: number) =>
      envKeyMessage(old.appId, fromHex(newest.public_key, 'key'), time)
    const rootKey = toHex(k256PublicKey(node.keys.k256))
    const signer = (signature: string, time?: number) =>
      toHex(recoverK256(fromHex(signature, 'signature'), message(time)))
    expect(signer(newest.signature)).toBe(rootKey)
    expect(signer(newest.signature_v1, newest.timestamp)).toBe(rootKey)
    // a deployer that knows no epochs must not be led to the key of an old release
    const { epoch_signature: signed, ...first } = await ask({ epoch: 1 })
    expect(first).toMatchObject({ epoch: 1, public_key: publicKey(1) })
    expect([first.signature, first.signature_v1]).toEqual(['', ''])
    expect(signed).toHaveLength(130)
    for (const epoch of [3, 7, 0xffff_ffff]) {
      await expect(ask({ epoch })).rejects.toMatchObject({ facts: { code: 'KMS_REQUEST_INVALID' } })
    }
  })

  test('is readable as the message of dstack for older clients', () => {
    const { epochKeys, writeEpoch, ...plain } = {
      caCert: 'root',
      diskCryptKey: new Uint8Array(32).fill(1),
      envCryptKey: new Uint8Array(32).fill(2),
      k256Key: new Uint8Array(32).fill(3),
      k256Signature: new Uint8Array(65).fill(4),
      gatewayAppId: 'gateway',
      osImageHash: new Uint8Array(32).fill(5),
      writeEpoch: 2,
      epochKeys: [deriveEpochKeys(generateKeys(), appId, 2)],
    }
    const encode = (message: MessageInitShape<typeof AppKeyResponseSchema>) =>
      toBinary(AppKeyResponseSchema, create(AppKeyResponseSchema, message))
    const [known, whole] = [encode(plain), encode({ ...plain, writeEpoch, epochKeys })]

    expect(whole.subarray(0, known.length)).toEqual(known)
    // what follows is two fields whose numbers dstack does not use: 1001, a number, and 1002, bytes
    expect(toHex(whole.subarray(known.length, known.length + 5))).toBe('c83e02d23e')
  })
})
