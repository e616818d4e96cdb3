/** Encrypted inputs and results of requests, and the key to which inputs are encrypted. */
import { x25519 } from '@noble/curves/ed25519.js'
import { describe, expect, test } from 'vitest'

import { deriveEpochKeys, k256PublicKey } from '../../src/kms/keys/derive.ts'
import { generateKeys } from '../../src/kms/keys/key-store.ts'
import { type Hex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { sealEnvironment } from '../../src/manifest/seal-environment.ts'
import {
  deriveRequestKey,
  stateRequestKey,
  verifyRequestKey,
} from '../../src/worker/request-key.ts'
import {
  epochOfInput,
  openInput,
  openResult,
  publicMessage,
  sealInput,
  sealResult,
} from '../../src/worker/sealed-message.ts'

const address = (byte: string): Hex => `0x${byte.repeat(20)}`
const context = {
  chainId: 1,
  requests: address('11'),
  app: address('22'),
  requester: address('33'),
}
const resultContext = { chainId: 1, requests: address('11'), id: `0x${'44'.repeat(32)}` as Hex }
const secret = x25519.utils.randomSecretKey()
const reply = x25519.utils.randomSecretKey()
const to = { epoch: 3, publicKey: x25519.getPublicKey(secret) }
const body = utf8ToBytes('a secret')
const unreadable = expect.objectContaining({ code: 'REQUEST_INPUT_UNREADABLE' })
const untrusted = expect.objectContaining({ code: 'REQUEST_KEY_UNTRUSTED' })

describe('a sealed input', () => {
  const sealed = sealInput(to, context, body, x25519.getPublicKey(reply))

  test('opens with the request key, and names its epoch and the key for the result', () => {
    expect(epochOfInput(sealed)).toBe(3)
    expect(openInput(secret, context, sealed)).toEqual({
      body,
      replyKey: x25519.getPublicKey(reply),
    })
  })

  test.each([
    ['chain', { chainId: 2 }],
    ['contract', { requests: address('12') }],
    ['app', { app: address('23') }],
    ['requester', { requester: address('34') }],
  ])('opens for no other %s', (_, changed) => {
    expect(() => openInput(secret, { ...context, ...changed }, sealed)).toThrow(unreadable)
  })

  test('is refused if any byte was changed, or if it is shorter', () => {
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice()
      changed[i] = (changed[i] ?? 0) ^ 0x80
      expect(() => openInput(secret, context, changed)).toThrow(unreadable)
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => openInput(secret, context, sealed.subarray(0, length))).toThrow(unreadable)
    }
  })

  test('is nothing that was sealed as an environment, and the other way round', () => {
    const environment = sealEnvironment(to.publicKey, new Map([['A', 'b']]))
    const disguised = new Uint8Array([1, 0, 0, 0, 3, ...environment])
    expect(() => openInput(secret, context, disguised)).toThrow(unreadable)
  })

  test('cannot be made for a key of small order', () => {
    const weak = { epoch: 1, publicKey: new Uint8Array(32) }
    expect(() => sealInput(weak, context, body, x25519.getPublicKey(reply))).toThrow(untrusted)
  })
})

describe('a result', () => {
  test('opens with the reply key for its request only', () => {
    const sealed = sealResult(x25519.getPublicKey(reply), resultContext, body)
    expect(openResult(reply, resultContext, sealed)).toEqual(body)
    const other = { ...resultContext, id: `0x${'45'.repeat(32)}` as Hex }
    expect(() => openResult(reply, other, sealed)).toThrow(unreadable)
    expect(() => openResult(secret, resultContext, sealed)).toThrow(unreadable)
    expect(() => openResult(undefined, resultContext, sealed)).toThrow(unreadable)
  })

  test('is public for a public input', () => {
    const { replyKey } = openInput(undefined, context, publicMessage(body))
    expect(replyKey).toBeUndefined()
    expect(openResult(undefined, resultContext, sealResult(replyKey, resultContext, body))).toEqual(
      body,
    )
  })
})

describe('the request key of an app', () => {
  const root = generateKeys()
  const appId = new Uint8Array(20).fill(7)
  const expected = { appId, epoch: 2, root: k256PublicKey(root.k256) }
  const key = stateRequestKey(appId, deriveEpochKeys(root, appId, 2))

  test('leads to the root key', () => {
    expect(() => verifyRequestKey(key, expected)).not.toThrow()
    const { k256Key } = deriveEpochKeys(root, appId, 2)
    expect(key.publicKey).toEqual(x25519.getPublicKey(deriveRequestKey(k256Key)))
  })

  test.each<[string, Partial<typeof key>, Partial<typeof expected>]>([
    ['another app', {}, { appId: new Uint8Array(20).fill(8) }],
    ['another epoch', {}, { epoch: 3 }],
    ['another root key', {}, { root: k256PublicKey(generateKeys().k256) }],
    ['another key', { publicKey: x25519.getPublicKey(secret) }, {}],
    ['a claimed epoch', { epoch: 3 }, { epoch: 3 }],
    ['a malformed signature', { signature: new Uint8Array(65) }, {}],
  ])('is refused for %s', (_, changed, wanted) => {
    expect(() => verifyRequestKey({ ...key, ...changed }, { ...expected, ...wanted })).toThrow(
      untrusted,
    )
  })
})
