/**
 * Makes a KMS's root keys, once, and the statement that binds them to this CVM.
 *
 * The keys come first and are never made again; the statement can be made as often as a crash demands.
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

/** What the chain registers: both public keys, and a quote over them. */
export interface BootstrapInfo {
  /** SubjectPublicKeyInfo of the root CA, DER. */
  readonly caPubkey: Uint8Array
  /** Compressed. */
  readonly k256Pubkey: Uint8Array
  /** VersionedAttestation over both. */
  readonly attestation: Uint8Array
}

export interface BootstrapOptions {
  readonly folder: string
  readonly store: KeyStore
  readonly source: QuoteSource
  readonly self: SelfAuthorizer | 'insecure-off'
}

const fileName = 'bootstrap-info.json'

const infoSchema = z.strictObject({
  ca_pubkey: z.string(),
  k256_pubkey: z.string(),
  attestation: z.string(),
})

/** @throws KMS_KEYS_EXIST if a bootstrap was finished before, KMS_SELF_DENIED if the chain forbids it */
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

/** The statement made at bootstrap, if there is one. @throws KMS_KEYS_UNREADABLE if it is of other keys */
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
  throw new AssentError('KMS_KEYS_UNREADABLE', `${fileName} speaks of other keys.`)
}

/** As dstack writes it: `BootstrapResponse` with hex bytes. */
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
    // the keys are there; the next bootstrap only makes the statement again
    throw new AssentError('KMS_KEYS_UNWRITABLE', `${fileName} could not be stored.`, {
      cause,
      facts: { path },
    })
  }
}
