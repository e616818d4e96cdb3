/** A release log in a folder of its own, on a disk that fails when it is told to. */

import { existsSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Entry } from '../../../src/kms/log/entry.ts'
import { type LogDisk, systemDisk } from '../../../src/kms/log/file-system.ts'
import { deriveLogKey } from '../../../src/kms/log/key.ts'
import { createReleaseLog, openReleaseLog } from '../../../src/kms/log/log.ts'
import type { LogLocation } from '../../../src/kms/log/writer.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { keccak256 } from '../../../src/lib/keccak.ts'

// flushing is what takes time, and a disk in memory does it too
const fastest = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

export const rootKey = new Uint8Array(32).fill(7)

export async function newLocation(changed: Partial<LogLocation> = {}): Promise<LogLocation> {
  const folder = await mkdtemp(join(fastest, 'release-log-'))
  return {
    folder: join(folder, 'log'),
    headFile: join(folder, 'head', 'log-head.bin'),
    key: deriveLogKey(rootKey, 'kms-1'),
    clock: () => 1_787_184_000,
    ...changed,
  }
}

export async function begin(location: LogLocation) {
  await createReleaseLog(location)
  return openReleaseLog(location)
}

export function denial(index: number): Entry {
  return { kind: 'denial', method: 'GetAppKey', code: 'KMS_BOOT_DENIED', reason: `reason ${index}` }
}

/** A header and paths of one node each, as evidence has them. */
export function named([header, ...nodes]: readonly [Hex, ...Hex[]]) {
  const nameOf = (node: Hex) => [keccak256(node), node] as const
  return { block: nameOf(header), paths: nodes.map((node) => [nameOf(node)]), signatures: [] }
}

export type Operation = 'write' | 'sync' | 'truncate' | 'create' | 'replace'

/** `fail` sees every operation that changes something, before it is done; what it throws is the disk's answer. */
export function failingDisk(
  fail: (operation: Operation, path: string, bytes?: Uint8Array) => Promise<void> | void,
): LogDisk {
  return {
    ...systemDisk,
    create: async (path, content) => {
      await fail('create', path, content)
      return systemDisk.create(path, content)
    },
    replace: async (path, content) => {
      await fail('replace', path, content)
      return systemDisk.replace(path, content)
    },
    open: async (path) => {
      const file = await systemDisk.open(path)
      return {
        write: async (bytes, at) => {
          await fail('write', path, bytes)
          return file.write(bytes, at)
        },
        sync: async () => {
          await fail('sync', path)
          return file.sync()
        },
        truncate: async (length) => {
          await fail('truncate', path)
          return file.truncate(length)
        },
        close: () => file.close(),
      }
    },
  }
}
