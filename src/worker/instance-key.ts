/** The key of an instance: random, one for each boot of a CVM. */
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

import { secp256k1 } from '@noble/curves/secp256k1.js'

import { AssentError, isAssentError } from '../errors/index.ts'
import { fromHex, toHex } from '../lib/bytes.ts'
import { makeFolder, readBytes, writeNewFile } from '../lib/files.ts'

/** Types of file systems in memory (statfs(2)): tmpfs and ramfs. */
const memoryTypes: ReadonlySet<number> = new Set([0x01021994, 0x858458f6])

/** Where the key is stored. */
export interface InstanceKeySettings {
  readonly keyFile: string
  /** Allows a file on a disk, for tests. */
  readonly insecureKeyOnDisk: boolean
}

/**
 * The key of the file; a new one if there is no file.
 *
 * The file must be in memory: then the key survives a crash of the worker and ends with the boot. On a disk, another
 * release of the app could read it after an update, and would speak as the release for which the key was registered.
 *
 * @returns secp256k1 private key, 32 bytes
 * @throws WORKER_KEY_ON_DISK, FILE_UNREADABLE, FILE_UNWRITABLE, INPUT_INVALID
 */
export async function openInstanceKey(settings: InstanceKeySettings): Promise<Uint8Array> {
  const { keyFile } = settings
  await makeFolder(dirname(keyFile), { mode: 0o700 })
  await requireMemory(settings)
  const created = secp256k1.utils.randomSecretKey()
  try {
    await writeNewFile(keyFile, `${toHex(created)}\n`, { mode: 0o600 })
    return created
  } catch (error) {
    if (!isAssentError(error, 'FILE_EXISTS')) throw error
  }
  const key = /^([0-9a-f]{64})\n$/.exec((await readBytes(keyFile, 65)).toString('latin1'))?.[1]
  const bytes = key === undefined ? undefined : fromHex(key, 'key')
  if (bytes !== undefined && secp256k1.utils.isValidSecretKey(bytes)) return bytes
  throw new AssentError('INPUT_INVALID', `${keyFile} is no key of an instance.`, {
    facts: { file: keyFile },
  })
}

async function requireMemory({ keyFile, insecureKeyOnDisk }: InstanceKeySettings): Promise<void> {
  if (insecureKeyOnDisk) return
  const { type } = await statfs(dirname(keyFile))
  if (memoryTypes.has(type)) return
  throw new AssentError('WORKER_KEY_ON_DISK', `The folder of ${keyFile} is on a disk.`, {
    facts: { file: keyFile, found: `0x${type.toString(16)}`, expected: 'tmpfs' },
  })
}
