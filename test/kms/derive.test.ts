import { createHash, createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto'

import { describe, expect, test } from 'vitest'
import {
  appKeyMessage,
  deriveAppCaKey,
  deriveAppKeys,
  deriveDhSecret,
  deriveEnvKey,
  deriveEpochKeys,
  deriveKey,
  encodePkcs8,
  encodeSpki,
  envKeyMessage,
  k256PublicKey,
  recoverK256,
  signEnvPublicKey,
} from '../../src/kms/keys/derive.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
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
