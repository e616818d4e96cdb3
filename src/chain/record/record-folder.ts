/**
 * A folder of sealed records that never goes back: one file for each step, named so that later steps sort higher.
 *
 * The highest file counts. Lower ones are deleted after it is on the disk, so several processes can share the folder
 * without locks, and a process that is killed leaves a valid record.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { sha256 } from '@noble/hashes/sha2.js'

import { utf8ToBytes } from '../../lib/bytes.ts'
import { flushFolder, isAbsent, writeFlushed } from '../../lib/durable-file.ts'

/** Paths of the records, highest first; none if the folder does not exist. @throws Error of the file system */
export async function listRecords(folder: string, namePattern: RegExp): Promise<string[]> {
  try {
    const names = (await readdir(folder)).filter((name) => namePattern.test(name))
    return names
      .sort()
      .reverse()
      .map((name) => join(folder, name))
  } catch (error) {
    if (isAbsent(error)) return []
    throw error
  }
}

/** Stores a record, then deletes the lower ones. It is on the disk when this returns. @throws Error of the file system */
export async function storeRecord(path: string, text: string, namePattern: RegExp): Promise<void> {
  const folder = dirname(path)
  const aside = `${path}.new-${process.pid}-${randomBytes(4).toString('hex')}`
  await writeFlushed(aside, text)
  await rename(aside, path)
  await flushFolder(folder)
  const older = (await listRecords(folder, namePattern)).filter((other) => other < path)
  await Promise.all(older.map((other) => rm(other, { force: true })))
}

/** Seal of a record: an HMAC-SHA256. Without a key only a checksum, which anyone can compute. */
export function macOfRecord(text: string, key: Uint8Array | undefined): Uint8Array {
  const bytes = utf8ToBytes(text)
  return key === undefined ? sha256(bytes) : createHmac('sha256', key).update(bytes).digest()
}
