/**
 * Bootstrap: creates the root keys of a KMS once, and a quote that binds their public keys to this CVM.
 *
 * The keys are stored first and never created again. After a crash, the next bootstrap only makes the quote.
 */
import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex, toHex } from '../../lib/bytes.ts'
import { encodeAttestation } from '../../quote/attestation.ts'
import { bootstrapReportData } from '../../quote/measurements/measure.ts'
import type { QuoteSource } from '../../tee/source.ts'
import type { SelfAuthorizer } from '../authorization/self-authorization.ts'
import { attest } from '../certificates/ratls.ts'
import { encodeSpki, k256PublicKey } from '../keys/derive.ts'
import { type KeyStore, type KmsSecrets, loadOrBootstrap, wipeKeys } from '../keys/key-store.ts'
import { withErrorContext } from '../rpc/error-context.ts'

/** The data for `RootKeys`: both root public keys and a quote over them. */
export interface BootstrapInfo {
  /** SubjectPublicKeyInfo of the root CA, DER. */
  readonly caPubkey: Uint8Array
  /** secp256k1, compressed, 33 bytes. */
  readonly k256Pubkey: Uint8Array
  /** VersionedAttestation whose report data is the root key commitment. */
  readonly attestation: Uint8Array
}

/** Dependencies of the creation of root keys. */
export interface BootstrapOptions {
  /** Folder of `bootstrap-info.json`. */
  readonly folder: string
  /** Folder for the keys. */
  readonly store: KeyStore
  /** Gives the quote that binds the public keys to this CVM. */
  readonly source: QuoteSource
  /** `insecure-off`: do not ask the chain if this node may bootstrap. */
  readonly self: SelfAuthorizer | 'insecure-off'
}

const fileName = 'bootstrap-info.json'

const infoSchema = z.strictObject({
  ca_pubkey: z.string(),
  k256_pubkey: z.string(),
  attestation: z.string(),
})

/**
 * Creates root keys, or finishes a bootstrap that was interrupted.
 *
 * @throws KMS_KEYS_EXIST after a complete bootstrap, KMS_SELF_DENIED, KMS_KEYS_UNWRITABLE, TEE_*, CHAIN_*
 */
export async function bootstrapKms(options: BootstrapOptions): Promise<BootstrapInfo> {
  const { folder, store, source, self } = options
  if (self !== 'insecure-off')
    await withErrorContext('KMS is not allowed to bootstrap', self.authorize)
  if (await exists(folder)) {
    throw new AssentError('KMS_KEYS_EXIST', 'KMS has already been bootstrapped')
  }
  const { keys } = await loadOrBootstrap(store)
  try {
    const caPubkey = encodeSpki(keys.ca)
    const k256Pubkey = k256PublicKey(keys.k256)
    const attestation = await attest(source, bootstrapReportData(caPubkey, k256Pubkey))
    const info = { caPubkey, k256Pubkey, attestation: encodeAttestation(attestation) }
    await write(folder, info)
    return info
  } finally {
    wipeKeys(keys)
  }
}

/** Reads the stored statement; undefined on a replica. @throws KMS_KEYS_UNREADABLE if it is about other keys */
export async function readBootstrapInfo(
  folder: string,
  keys: KmsSecrets,
): Promise<BootstrapInfo | undefined> {
  if (!(await exists(folder))) return undefined
  const info = await read(folder)
  const isOurs =
    equalBytes(info.caPubkey, encodeSpki(keys.ca)) &&
    equalBytes(info.k256Pubkey, k256PublicKey(keys.k256))
  if (isOurs) return info
  throw new AssentError('KMS_KEYS_UNREADABLE', `${fileName} belongs to other keys.`)
}

/** dstack's JSON of `BootstrapResponse`: snake_case, bytes as hex. */
export function bootstrapInfoToJson({ caPubkey, k256Pubkey, attestation }: BootstrapInfo) {
  return {
    ca_pubkey: toHex(caPubkey),
    k256_pubkey: toHex(k256Pubkey),
    attestation: toHex(attestation),
  }
}

async function exists(folder: string): Promise<boolean> {
  try {
    await readFile(join(folder, fileName))
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${fileName}.`, { cause })
  }
}

async function read(folder: string): Promise<BootstrapInfo> {
  try {
    const json = infoSchema.parse(JSON.parse(await readFile(join(folder, fileName), 'utf8')))
    return {
      caPubkey: fromHex(json.ca_pubkey, 'ca_pubkey', 91),
      k256Pubkey: fromHex(json.k256_pubkey, 'k256_pubkey', 33),
      attestation: fromHex(json.attestation, 'attestation'),
    }
  } catch (cause) {
    throw new AssentError('KMS_KEYS_UNREADABLE', `${fileName} is damaged.`, { cause })
  }
}

async function write(folder: string, info: BootstrapInfo): Promise<void> {
  const path = join(folder, fileName)
  try {
    const file = await open(`${path}.new`, 'w', 0o600)
    try {
      await file.writeFile(`${JSON.stringify(bootstrapInfoToJson(info), null, 2)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
  } catch (cause) {
    // the root keys are stored: the next bootstrap only makes the quote again
    throw new AssentError('KMS_KEYS_UNWRITABLE', `${fileName} could not be stored.`, {
      cause,
      facts: { path },
    })
  }
}
