/** Opens a Web3 Secret Storage file, version 3: the encrypted key file of Ethereum's tools. */
import { createDecipheriv, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

import { scryptAsync } from '@noble/hashes/scrypt.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { concatBytes, fromHex } from '../../lib/bytes.ts'
import { describeIssues } from '../../lib/config.ts'

const bytes = (length?: number) =>
  z
    .string()
    .regex(
      length === undefined ? /^([0-9a-fA-F]{2})+$/ : new RegExp(`^[0-9a-fA-F]{${length * 2}}$`),
    )

/** Work beyond these limits is no stronger, it only hangs the service at its start. */
const scryptParameters = z.object({
  dklen: z.literal(32),
  n: z
    .int()
    .min(2)
    .max(2 ** 22),
  r: z.int().min(1).max(32),
  p: z.int().min(1).max(16),
  salt: bytes(),
})

const pbkdf2Parameters = z.object({
  dklen: z.literal(32),
  c: z.int().min(1).max(10_000_000),
  prf: z.literal('hmac-sha256'),
  salt: bytes(),
})

const contents = {
  cipher: z.literal('aes-128-ctr'),
  cipherparams: z.object({ iv: bytes(16) }),
  ciphertext: bytes(32),
  mac: bytes(32),
}

const cryptoSection = z.discriminatedUnion('kdf', [
  z.object({ ...contents, kdf: z.literal('scrypt'), kdfparams: scryptParameters }),
  z.object({ ...contents, kdf: z.literal('pbkdf2'), kdfparams: pbkdf2Parameters }),
])

/** Some tools write `Crypto`. */
const keystoreFile = z
  .object({
    version: z.literal(3),
    crypto: cryptoSection.optional(),
    Crypto: cryptoSection.optional(),
  })
  .transform(({ crypto, Crypto }) => crypto ?? Crypto)

type CryptoSection = z.output<typeof cryptoSection>

/**
 * The 32 bytes of the private key.
 *
 * @throws KEYSTORE_INVALID, KEYSTORE_PASSWORD
 */
export async function openKeystore(json: string, password: string): Promise<Uint8Array> {
  const section = parseKeystore(json)
  const derived = await deriveKey(section, new TextEncoder().encode(password))
  const ciphertext = fromHex(section.ciphertext, 'ciphertext')

  const mac = keccak_256(concatBytes(derived.subarray(16, 32), ciphertext))
  if (!timingSafeEqual(mac, fromHex(section.mac, 'mac', 32))) {
    throw new AssentError('KEYSTORE_PASSWORD', 'The password does not open the keystore.')
  }
  const iv = fromHex(section.cipherparams.iv, 'iv', 16)
  const cipher = createDecipheriv('aes-128-ctr', derived.subarray(0, 16), iv)
  return new Uint8Array(cipher.update(ciphertext))
}

function parseKeystore(json: string): CryptoSection {
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch {
    // The parser's message quotes the text.
    throw new AssentError('KEYSTORE_INVALID', 'The keystore is not JSON.')
  }
  const result = keystoreFile.safeParse(parsed)
  if (!result.success) {
    throw new AssentError('KEYSTORE_INVALID', `Keystore: ${describeIssues(result.error)}`)
  }
  if (result.data === undefined) {
    throw new AssentError('KEYSTORE_INVALID', 'The keystore has no `crypto` section.')
  }
  return result.data
}

function deriveKey({ kdf, kdfparams }: CryptoSection, password: Uint8Array): Promise<Uint8Array> {
  const salt = fromHex(kdfparams.salt, 'salt')
  if (kdf === 'scrypt') {
    // Not Node's own: OpenSSL refuses r = 1 with n ≥ 2^16, which common tools write.
    const { n: N, r, p, dklen: dkLen } = kdfparams
    return scryptAsync(password, salt, { N, r, p, dkLen })
  }
  return promisify(pbkdf2)(password, salt, kdfparams.c, kdfparams.dklen, 'sha256')
}
