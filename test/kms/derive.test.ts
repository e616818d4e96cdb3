import { createHash, createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto'

import { describe, expect, test } from 'vitest'
import {
  appKeyMessage,
  deriveAppCaKey,
  deriveAppKeys,
  deriveCheckpointKey,
  deriveDhSecret,
  deriveEnvKey,
  deriveEpochEnvKey,
  deriveEpochKeys,
  deriveKey,
  encodePkcs8,
  encodeSpki,
  envKeyMessage,
  envPublicKey,
  k256PublicKey,
  recoverK256,
  signEnvPublicKey,
  signEpochEnvPublicKey,
} from '../../src/kms/keys/derive.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
import { signK256 } from '../../src/lib/k256.ts'
import { describeRecorded, readCommittedJson, readVectorJson } from '../vectors.ts'

type Strings = Record<string, string>

const derived = readCommittedJson<Strings & { timestamp: number }>(
  'dstack/kat/k256-derivation-derived.json',
)
const bytes = (hex: string | undefined) => fromHex(hex ?? '?', 'vector')
const root = { ca: new Uint8Array(32).fill(9), k256: bytes(derived.root_k256_key) }
const appId = bytes(derived.app_id)

describe('KMS key derivation against independent implementations', () => {
  test('gives the same app key and the same signature of the root', () => {
    const keys = deriveAppKeys(root, appId, new Uint8Array(20))

    expect(toHex(keys.k256Key)).toBe(derived.app_k256_key)
    expect(toHex(keys.k256Signature)).toBe(derived.k256_signature)
    expect(toHex(k256PublicKey(keys.k256Key))).toBe(derived.app_k256_pubkey)
  })

  test('gives the keys of dstack in the first epoch', () => {
    const { k256Key, k256Signature } = deriveEpochKeys(root, appId, 1)

    expect(toHex(k256Key)).toBe(derived.app_k256_key)
    expect(toHex(k256Signature)).toBe(derived.k256_signature)
    expect(toHex(deriveEpochKeys(root, appId, 2).k256Key)).not.toBe(derived.app_k256_key)
  })

  test('gives both signatures of the environment key', () => {
    const publicKey = bytes(derived.env_public_key)

    expect(toHex(signEnvPublicKey(root, appId, publicKey))).toBe(derived.signature)
    expect(toHex(signEnvPublicKey(root, appId, publicKey, derived.timestamp))).toBe(
      derived.signature_v1,
    )
  })

  test('gives the keys that an app derives from its app key', () => {
    const vector = readCommittedJson<Strings & { cases: Strings[] }>('dstack/kat/guest-getkey.json')

    for (const { path, key } of vector.cases) {
      expect(toHex(deriveKey(bytes(vector.app_k256_key), [path ?? '?']))).toBe(key)
    }
  })

  test('computes HKDF like node:crypto', () => {
    const expected = hkdfSync('sha256', root.k256, 'RATLS', Buffer.from('onetwo'), 32)

    expect(deriveKey(root.k256, ['one', 'two'])).toEqual(new Uint8Array(expected))
  })

  test('encodes PKCS#8 and SPKI that OpenSSL reads', () => {
    const key = createPrivateKey({
      key: Buffer.from(encodePkcs8(root.ca)),
      format: 'der',
      type: 'pkcs8',
    })
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })

    expect(new Uint8Array(spki)).toEqual(encodeSpki(root.ca))
    expect(key.export({ format: 'jwk' }).d).toBe(Buffer.from(root.ca).toString('base64url'))
  })
})

describeRecorded('KMS key derivation and recorded dstack values:', () => {
  test("the shared secret of dstack's own test is the same", () => {
    const vector = readVectorJson<Strings & { context_utf8: string[] }>(
      'dstack/kat/kdf-dh-secret.json',
    )
    const scalar = bytes(vector.root_scalar)

    expect(toHex(encodePkcs8(scalar))).toBe(vector.root_pkcs8_der)
    expect(toHex(deriveKey(scalar, vector.context_utf8))).toBe(vector.hkdf_out)
    expect(toHex(deriveDhSecret(scalar, vector.context_utf8))).toBe(vector.dh_secret)
  })

  test('the root key with which a real KMS signed is the same', () => {
    const vector = readVectorJson<Strings>('dstack/kat/k256-signature.json')
    const message = appKeyMessage(bytes(vector.app_id), bytes(vector.app_k256_pubkey))

    expect(toHex(recoverK256(bytes(vector.signature), message))).toBe(vector.kms_root_k256_pubkey)
  })

  test('the signer of a recorded environment key is recovered', () => {
    const vector = readVectorJson<Strings>('dstack/kat/env-pubkey-signature.json')
    const message = envKeyMessage(bytes(vector.app_id), bytes(vector.env_public_key))

    expect(toHex(recoverK256(bytes(vector.signature), message))).toBe(
      vector.signer_compressed_pubkey,
    )
  })
})

describe('KMS key derivation', () => {
  test('depends on app and instance for the disk key and on the app alone for the environment key', () => {
    const one = deriveAppKeys(root, appId, new Uint8Array(20).fill(1))
    const two = deriveAppKeys(root, appId, new Uint8Array(20).fill(2))
    const other = deriveAppKeys(root, new Uint8Array(20).fill(3), new Uint8Array(20).fill(1))

    expect(toHex(one.diskCryptKey)).not.toBe(toHex(two.diskCryptKey))
    expect(toHex(one.envCryptKey)).toBe(toHex(two.envCryptKey))
    expect(toHex(one.envCryptKey)).not.toBe(toHex(other.envCryptKey))
    expect(toHex(one.envCryptKey)).toBe(toHex(deriveEnvKey(root, appId)))
  })

  test('follows the formulas of the specification, computed with node:crypto', () => {
    const instanceId = new Uint8Array(20).fill(7)
    const info = Buffer.concat([appId, instanceId, Buffer.from('app-disk-crypt-key')])
    const scalar = new Uint8Array(hkdfSync('sha256', root.ca, 'RATLS', info, 32))
    const expected = createHash('sha256').update(encodePkcs8(scalar)).digest('hex')
    const caInfo = Buffer.concat([appId, Buffer.from('app-ca')])

    expect(toHex(deriveAppKeys(root, appId, instanceId).diskCryptKey)).toBe(expected)
    expect(deriveAppCaKey(root, appId)).toEqual(
      new Uint8Array(hkdfSync('sha256', root.ca, 'RATLS', caInfo, 32)),
    )
  })

  test('follows the formulas of a later epoch, computed with node:crypto', () => {
    const epoch = [0, 0, 1, 2]
    const rootOf = (key: Uint8Array, name: string) => {
      const info = Buffer.concat([Buffer.from(epoch), Buffer.from(name)])
      return new Uint8Array(hkdfSync('sha256', key, 'ASSENT-EPOCH', info, 32))
    }
    const of = (key: Uint8Array, name: string) => {
      const info = Buffer.concat([appId, Buffer.from(name)])
      return new Uint8Array(hkdfSync('sha256', key, 'RATLS', info, 32))
    }
    const keys = deriveEpochKeys(root, appId, 258)
    const envScalar = of(rootOf(root.ca, 'ca'), 'env-encrypt-key')
    const message = Buffer.concat([
      ...[Buffer.from('assent-kms-issued-epoch:'), appId, Buffer.from(epoch)],
      k256PublicKey(keys.k256Key),
    ])

    expect(keys.epoch).toBe(258)
    expect(keys.k256Key).toEqual(of(rootOf(root.k256, 'k256'), 'app-key'))
    expect(toHex(keys.envCryptKey)).toBe(
      createHash('sha256').update(encodePkcs8(envScalar)).digest('hex'),
    )
    expect(recoverK256(keys.k256Signature, message)).toEqual(k256PublicKey(root.k256))
    expect(deriveEpochEnvKey(root, appId, 258)).toEqual(keys.envCryptKey)
  })

  test('signs the environment key of an epoch with the epoch and the time', () => {
    const publicKey = envPublicKey(deriveEpochEnvKey(root, appId, 2))
    const signature = signEpochEnvPublicKey(root, { appId, epoch: 2 }, publicKey, 0x01020304)
    const message = Buffer.concat([
      ...[Buffer.from('assent-env-encrypt-pubkey-epoch:'), Buffer.from([0, 0, 0, 2])],
      ...[Buffer.from('dstack-env-encrypt-pubkey:'), appId],
      ...[Buffer.from([0, 0, 0, 0, 1, 2, 3, 4]), publicKey],
    ])

    expect(recoverK256(signature, message)).toEqual(k256PublicKey(root.k256))
  })

  test.each([0, -1, 1.5, 2 ** 32, Number.NaN])('refuses %d as a key epoch', (epoch) => {
    expect(() => deriveEpochKeys(root, appId, epoch)).toThrow(
      expect.objectContaining({ code: 'KMS_EPOCH_INVALID' }),
    )
  })

  test('accepts the last key epoch that 32 bits hold', () => {
    expect(deriveEpochKeys(root, appId, 2 ** 32 - 1).epoch).toBe(2 ** 32 - 1)
  })

  test('has a key of its own for the checkpoint', () => {
    const expected = hkdfSync('sha256', root.k256, 'RATLS', 'assent/chain-memory', 32)

    expect(deriveCheckpointKey(root)).toEqual(new Uint8Array(expected))
  })

  test('refuses the second form of a signature, with high s', () => {
    const message = appKeyMessage(appId, k256PublicKey(root.k256))
    const signature = signK256(root.k256, message)
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const high = (order - BigInt(`0x${toHex(signature.subarray(32, 64))}`)).toString(16)
    const other = new Uint8Array(signature)
    other.set(fromHex(high.padStart(64, '0'), 's'), 32)
    other[64] = 1 - (signature[64] as number)

    expect(recoverK256(signature, message)).toEqual(k256PublicKey(root.k256))
    expect(() => recoverK256(other, message)).toThrow(
      expect.objectContaining({ code: 'KMS_SIGNATURE_INVALID' }),
    )
  })

  test('refuses scalars and environment keys of apps of another length', () => {
    for (const refused of [
      () => encodePkcs8(new Uint8Array(31).fill(1)),
      () => encodeSpki(new Uint8Array(33).fill(1)),
      () => deriveEnvKey(root, new Uint8Array(19)),
      () => deriveAppCaKey(root, new Uint8Array(21)),
      () => deriveEpochKeys(root, new Uint8Array(19), 2),
    ]) {
      expect(refused).toThrow(expect.objectContaining({ code: 'LENGTH_WRONG' }))
    }
  })

  test('refuses an app id of another length', () => {
    for (const length of [0, 19, 21, 32]) {
      expect(() => deriveAppKeys(root, new Uint8Array(length), new Uint8Array())).toThrow(
        expect.objectContaining({ code: 'LENGTH_WRONG' }),
      )
    }
  })

  test('refuses a signature that no key could have made', () => {
    for (const signature of [new Uint8Array(65), new Uint8Array(65).fill(255)]) {
      expect(() => recoverK256(signature, new Uint8Array(1))).toThrow(
        expect.objectContaining({ code: 'KMS_SIGNATURE_INVALID' }),
      )
    }
  })
})
