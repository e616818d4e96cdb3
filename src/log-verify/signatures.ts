/** The two signature algorithms of a release log, with Node's crypto. */
import { createPublicKey, verify } from 'node:crypto'

/** SubjectPublicKeyInfo without the key: Ed25519 (RFC 8410), secp256k1 with a compressed point (RFC 5480). */
const ed25519Head = Buffer.from('302a300506032b6570032100', 'hex')
const secp256k1Head = Buffer.from('3036301006072a8648ce3d020106052b8104000a032200', 'hex')

/** Verifies an Ed25519 signature. @param key 32 bytes @param signature 64 bytes */
export function isEd25519(key: Buffer, message: string, signature: Buffer): boolean {
  if (key.length !== 32 || signature.length !== 64) return false
  return check(Buffer.concat([ed25519Head, key]), null, message, signature)
}

/** Half of the order of secp256k1 (SEC 2, section 2.4.1), rounded down. */
const halfOrder = BigInt('0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0')

/**
 * Verifies an ECDSA signature with SHA-256. Only the form with the low s is accepted.
 *
 * @param key 33 bytes, compressed
 * @param signature r and s, 32 bytes each
 */
export function isSecp256k1(key: Buffer, message: string, signature: Buffer): boolean {
  if (key.length !== 33 || signature.length !== 64) return false
  if (BigInt(`0x${signature.subarray(32).toString('hex')}`) > halfOrder) return false
  return check(Buffer.concat([secp256k1Head, key]), 'sha256', message, signature)
}

function check(spki: Buffer, digest: string | null, message: string, signature: Buffer): boolean {
  try {
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    return verify(digest, Buffer.from(message), { key, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    return false
  }
}
