/**
 * The root keys on disk: created once, never overwritten, readable by this user only.
 *
 * All secrets are in one file, which is created atomically. So a crash never leaves a part of a bootstrap.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { link, mkdir, open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { sha256 } from '@noble/hashes/sha2.js'

import { AssentError } from '../../errors/index.ts'
import { concatBytes, equalBytes, utf8ToBytes } from '../../lib/bytes.ts'
import { flushFolder, isAbsent, writeFlushed } from '../../lib/durable-file.ts'
import type { RootKeys } from './derive.ts'

/** All keys that replicas share. */
export interface KmsSecrets extends RootKeys {
  /** P-256 scalar of the temporary CA. Not a secret: every client can get it from `GetTempCaCert`. */
  readonly tempCa: Uint8Array
}

/** Protection of the file of root keys. */
export type Protection =
  /** AES-256-GCM under a key that only this CVM can get. The key is fetched when needed and overwritten after use. */
  | { readonly kind: 'sealed'; readonly sealingKey: () => Promise<Uint8Array> }
  /** Not encrypted. For development only. */
  | { readonly kind: 'insecure-plain' }

/** Keeps the root keys on disk, protected as {@link Protection} says. */
export interface KeyStore {
  /** @returns undefined before the bootstrap @throws KMS_KEYS_UNREADABLE, KMS_KEYS_EXPOSED */
  load(): Promise<KmsSecrets | undefined>
  /** Stores keys durably; existing keys are never replaced. @throws KMS_KEYS_EXIST, KMS_KEYS_UNWRITABLE */
  create(keys: KmsSecrets): Promise<void>
}

const fileName = 'root-keys.bin'
const magic = utf8ToBytes('ASNTKMS1')
const kinds = { 'insecure-plain': 0, sealed: 1 } as const
const headLength = magic.length + 1
const nonceLength = 12
const tagLength = 16
const bodyLength = 96

/** New root keys from the operating system's random number generator. */
export function generateKeys(): KmsSecrets {
  return {
    ca: p256.utils.randomSecretKey(),
    k256: secp256k1.utils.randomSecretKey(),
    tempCa: p256.utils.randomSecretKey(),
  }
}

/** @param folder belongs to this KMS alone; it is created if it does not exist */
export function openKeyStore(folder: string, protection: Protection): KeyStore {
  const path = join(folder, fileName)
  return {
    load: async () => {
      const file = await readWhole(path)
      if (file === undefined) return undefined
      await removeLeftovers(folder)
      try {
        return splitBody(await decode(file, protection))
      } finally {
        file.fill(0)
      }
    },
    create: async (keys) => {
      const body = concatBytes(keys.ca, keys.k256, keys.tempCa)
      const file = await encode(body, protection)
      try {
        await writeOnce(folder, path, file)
      } finally {
        body.fill(0)
        file.fill(0)
      }
    },
  }
}

/**
 * Loads the keys, or creates them at the first start. It can be killed at any point and run again.
 *
 * @param generate source of new keys: random ones for a bootstrap, those of the other node for an onboarding
 */
export async function loadOrBootstrap(
  store: KeyStore,
  generate: () => KmsSecrets = generateKeys,
): Promise<{ keys: KmsSecrets; created: boolean }> {
  const existing = await store.load()
  if (existing !== undefined) return { keys: existing, created: false }
  const keys = generate()
  await store.create(keys)
  wipeKeys(keys)
  // nothing is derived from keys that the disk does not return unchanged
  const stored = await store.load()
  if (stored === undefined) throw unreadable('vanished after it was written')
  return { keys: stored, created: true }
}

/** Overwrites the keys in memory. Copies that the JavaScript runtime made are out of reach. */
export function wipeKeys(keys: KmsSecrets): void {
  for (const key of [keys.ca, keys.k256, keys.tempCa]) key.fill(0)
}

async function encode(body: Uint8Array, protection: Protection): Promise<Uint8Array> {
  const head = concatBytes(magic, Uint8Array.of(kinds[protection.kind]))
  // a checksum detects damage, as the authentication tag does in the sealed form
  if (protection.kind === 'insecure-plain') return concatBytes(head, body, sha256(body))
  const nonce = randomBytes(nonceLength)
  const sealed = await withSealingKey(protection, (key) => {
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(head)
    return concatBytes(cipher.update(body), cipher.final(), cipher.getAuthTag())
  })
  return concatBytes(head, nonce, sealed)
}

async function decode(file: Uint8Array, protection: Protection): Promise<Uint8Array> {
  const head = file.subarray(0, headLength)
  if (!equalBytes(head.subarray(0, magic.length), magic)) throw unreadable('is not a key file')
  const kind = head[magic.length]
  if (kind !== kinds[protection.kind]) {
    throw unreadable(
      kind === kinds.sealed
        ? 'is sealed, but the settings say `insecure-plain`'
        : 'is not sealed, but the settings say `sealed`',
    )
  }
  const rest = file.subarray(headLength)
  return protection.kind === 'sealed' ? unseal(head, rest, protection) : checkPlain(rest)
}

function checkPlain(rest: Uint8Array): Uint8Array {
  const body = rest.slice(0, bodyLength)
  if (!equalBytes(sha256(body), rest.subarray(bodyLength))) throw unreadable('is damaged')
  return body
}

async function unseal(
  head: Uint8Array,
  rest: Uint8Array,
  protection: Extract<Protection, { kind: 'sealed' }>,
): Promise<Uint8Array> {
  if (rest.length !== nonceLength + bodyLength + tagLength) throw unreadable('is damaged')
  const nonce = rest.subarray(0, nonceLength)
  const sealed = rest.subarray(nonceLength, nonceLength + bodyLength)
  const tag = rest.subarray(nonceLength + bodyLength)
  return withSealingKey(protection, (key) => {
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(head).setAuthTag(tag)
      return concatBytes(decipher.update(sealed), decipher.final())
    } catch (cause) {
      throw unreadable('is damaged, or was sealed by another CVM', cause)
    }
  })
}

async function withSealingKey<T>(
  { sealingKey }: Extract<Protection, { kind: 'sealed' }>,
  use: (key: Uint8Array) => T,
): Promise<T> {
  const key = await sealingKey()
  try {
    if (key.length !== 32) throw unreadable('cannot be opened: the sealing key has a wrong length')
    return use(key)
  } finally {
    key.fill(0)
  }
}

function splitBody(body: Uint8Array): KmsSecrets {
  const keys = { ca: body.slice(0, 32), k256: body.slice(32, 64), tempCa: body.slice(64, 96) }
  body.fill(0)
  const valid =
    p256.utils.isValidSecretKey(keys.ca) &&
    secp256k1.utils.isValidSecretKey(keys.k256) &&
    p256.utils.isValidSecretKey(keys.tempCa)
  if (!valid) throw unreadable('holds a number that is not a private key')
  return keys
}

async function readWhole(path: string): Promise<Uint8Array | undefined> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0) {
      throw new AssentError('KMS_KEYS_EXPOSED', 'Other users may read the root keys.', {
        facts: { path, mode: (mode & 0o777).toString(8) },
      })
    }
    const file = await open(path, 'r')
    try {
      return new Uint8Array(await file.readFile())
    } finally {
      await file.close()
    }
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    if (isAbsent(cause)) return undefined
    throw unreadable('cannot be read', cause)
  }
}

/**
 * Writes to a temporary name, flushes, then links to the final name. The link fails if the name exists, and until then
 * the file is not visible.
 */
async function writeOnce(folder: string, path: string, file: Uint8Array): Promise<void> {
  const aside = `${path}.new-${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeFlushed(aside, file)
    await link(aside, path)
    await removeLeftovers(folder)
    await flushFolder(folder)
  } catch (cause) {
    await rm(aside, { force: true })
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new AssentError('KMS_KEYS_EXIST', 'This KMS already has root keys.', {
        facts: { path },
      })
    }
    throw new AssentError('KMS_KEYS_UNWRITABLE', 'The root keys could not be stored.', {
      cause,
      facts: { path },
    })
  }
}

/** Removes temporary files of a killed process: they contain secrets too. */
async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder)
  const leftovers = names.filter((name) => name.startsWith(`${fileName}.new-`))
  await Promise.all(leftovers.map((name) => rm(join(folder, name), { force: true })))
}

function unreadable(what: string, cause?: unknown): AssentError {
  return new AssentError('KMS_KEYS_UNREADABLE', `The file of root keys ${what}.`, { cause })
}
