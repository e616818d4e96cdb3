/** ECDSA over P-256 with SHA-256 (FIPS 186-5 §6), on Node's native crypto. */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'

/** SubjectPublicKeyInfo of a P-256 key up to the point (RFC 5480): algorithm, curve, `04`. */
export const SPKI_PREFIX = Uint8Array.of(
  ...[0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06],
  ...[0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04],
)

/** Length of a P-256 SubjectPublicKeyInfo: a fixed prefix and 64 bytes of point (RFC 5480). */
export const SPKI_BYTES = SPKI_PREFIX.length + 64

/** A P-256 public key. It is imported when it is used for the first time. */
export class P256Key {
  /** 64 bytes: x and y, big-endian. */
  readonly point: Uint8Array
  #imported: KeyObject | 'not on the curve' | undefined

  constructor(point: Uint8Array) {
    this.point = point
  }

  /**
   * Tells if a signature over `message` is valid. False also if the key is not on the curve.
   *
   * A high s is accepted, because Intel does not normalize it. So the same message can have two signatures: never use a
   * signature as an id.
   *
   * @param signature DER as in certificates, or 64 bytes r and s as in quotes
   */
  verifies(message: Uint8Array, signature: Uint8Array): boolean {
    this.#imported ??= importOnce(this.point)
    if (this.#imported === 'not on the curve') return false
    // Node verifies DER in a third less time than `dsaEncoding: 'ieee-p1363'`
    const der = signature.length === 64 ? signatureToDer(signature) : signature
    return verify('sha256', message, this.#imported, der)
  }
}

/**
 * Imported keys. The import and the first use of a key cost more than a verification, and most quotes have the same few
 * issuers. The entries are public and decide nothing. When it is full, the oldest import is dropped.
 */
const imports = new Map<string, KeyObject | 'not on the curve'>()
const maxImports = 512

function importOnce(point: Uint8Array): KeyObject | 'not on the curve' {
  const id = Buffer.from(point.buffer, point.byteOffset, point.length).toString('latin1')
  const known = imports.get(id)
  if (known !== undefined) return known
  const imported = importPoint(point)
  imports.set(id, imported)
  if (imports.size > maxImports) imports.delete(imports.keys().next().value as string)
  return imported
}

function importPoint(point: Uint8Array): KeyObject | 'not on the curve' {
  const spki = new Uint8Array(SPKI_BYTES)
  spki.set(SPKI_PREFIX)
  spki.set(point, SPKI_PREFIX.length)
  try {
    return createPublicKey({ key: spki as Buffer, format: 'der', type: 'spki' })
  } catch {
    return 'not on the curve'
  }
}

/** Converts r and s of 32 bytes each into DER: a SEQUENCE of two INTEGERs (RFC 3279 §2.2.3). */
export function signatureToDer(signature: Uint8Array): Uint8Array {
  const der = new Uint8Array(72)
  let end = writeInteger(der, 2, signature.subarray(0, 32))
  end = writeInteger(der, end, signature.subarray(32))
  der[0] = 0x30
  der[1] = end - 2
  return der.subarray(0, end)
}

function writeInteger(der: Uint8Array, offset: number, magnitude: Uint8Array): number {
  let start = 0
  while (start < 31 && magnitude[start] === 0) start += 1
  const digits = magnitude.subarray(start)
  const pad = (digits[0] as number) >= 0x80 ? 1 : 0
  der[offset] = 0x02
  der[offset + 1] = digits.length + pad
  der.set(digits, offset + 2 + pad)
  return offset + 2 + pad + digits.length
}
