/** The functions of `node:crypto` that shared code uses, for browsers. noble computes them, synchronously as Node does. */
import { p256 } from '@noble/curves/nist.js'
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js'

const algorithms = { sha256, sha384, sha512 } as const

type Algorithm = keyof typeof algorithms
type Data = string | Uint8Array

/** As `hash` of Node 20.12. */
export function hash(algorithm: Algorithm, data: Data, encoding: 'buffer'): Buffer
export function hash(algorithm: Algorithm, data: Data, encoding?: 'hex' | 'base64'): string
export function hash(
  algorithm: Algorithm,
  data: Data,
  encoding: 'buffer' | 'hex' | 'base64' = 'hex',
): string | Buffer {
  const digest = Buffer.from(algorithms[algorithm](bytesOf(data)))
  return encoding === 'buffer' ? digest : digest.toString(encoding)
}

/** As `createHash`, for `update` and `digest`. */
export function createHash(algorithm: Algorithm) {
  const state = algorithms[algorithm].create()
  const self = {
    update(data: Data) {
      state.update(bytesOf(data))
      return self
    },
    digest(encoding?: 'hex' | 'base64'): string | Buffer {
      const digest = Buffer.from(state.digest())
      return encoding === undefined ? digest : digest.toString(encoding)
    },
  }
  return self
}

/** A P-256 public key: 65 bytes, `04`, x and y. */
export interface KeyObject {
  readonly point: Uint8Array
}

/** The point is at the end of a SubjectPublicKeyInfo of P-256. @throws if it is not on the curve */
export function createPublicKey({ key }: { readonly key: Uint8Array }): KeyObject {
  const point = key.slice(-65)
  p256.Point.fromBytes(point).assertValidity()
  return { point }
}

/** ECDSA with SHA-256. @param signature DER */
export function verify(
  _: 'sha256',
  message: Uint8Array,
  { point }: KeyObject,
  signature: Uint8Array,
): boolean {
  try {
    // Intel does not normalize s, and OpenSSL accepts a high s too
    return p256.verify(signature, message, point, { format: 'der', lowS: false })
  } catch {
    return false
  }
}

function bytesOf(data: Data): Uint8Array {
  return typeof data === 'string' ? new TextEncoder().encode(data) : data
}

/** As `randomBytes`. */
export function randomBytes(length: number): Buffer {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(length)))
}

/** Shared modules import it beside what the page uses; see `absent.ts`. */
export class X509Certificate {
  constructor() {
    throw new Error('X509Certificate of Node does not exist in a browser.')
  }
}
