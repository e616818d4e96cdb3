/** The file operations of the release log: only a few, so that tests can make each one fail. */
import { writeSync } from 'node:fs'
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import { flushFolder, isAbsent } from '../../lib/durable-file.ts'

/** All methods throw the system's error. */
export interface LogDisk {
  /** Names of files; empty if the folder does not exist. */
  list(folder: string): Promise<string[]>
  /** The whole file; undefined if it does not exist. */
  read(path: string): Promise<Uint8Array | undefined>
  /** At most `length` bytes from an offset; fewer at the end of the file. */
  readPart(path: string, from: number, length: number): Promise<Uint8Array>
  /** Bytes; undefined if the file does not exist. */
  size(path: string): Promise<number | undefined>
  /** Does nothing if the file does not exist. */
  remove(path: string): Promise<void>
  /** Creates a file atomically and durably. Fails if the name exists. */
  create(path: string, content: Uint8Array): Promise<void>
  /** The same, but replaces an existing file. */
  replace(path: string, content: Uint8Array): Promise<void>
  /** Opens an existing file for writing. */
  open(path: string): Promise<LogFileHandle>
}

/** An open file. */
export interface LogFileHandle {
  /** Writes at an offset; durable only after `sync`. */
  write(bytes: Uint8Array, at: number): Promise<void>
  /** Returns when the bytes are on the disk (`fsync`). */
  sync(): Promise<void>
  /** Cuts the file to this length. */
  truncate(length: number): Promise<void>
  close(): Promise<void>
}

/** The real file system. */
export const systemDisk: LogDisk = {
  list: async (folder) => (await readIfThere(() => readdir(folder))) ?? [],
  read: (path) => readIfThere(async () => new Uint8Array(await readFile(path))),
  readPart: async (path, from, length) => {
    const file = await open(path, 'r')
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, from)
      return new Uint8Array(buffer.subarray(0, bytesRead))
    } finally {
      await file.close()
    }
  },
  size: (path) => readIfThere(async () => (await stat(path)).size),
  remove: (path) => rm(path, { force: true }),
  create: (path, content) => writeAside(path, content, link),
  replace: (path, content) => writeAside(path, content, rename),
  open: async (path) => {
    const file = await open(path, 'r+')
    return {
      // a write into the page cache is faster than a thread switch; only `sync` waits for the disk
      write: async (bytes, at) => {
        for (let done = 0; done < bytes.length; ) {
          done += writeSync(file.fd, bytes, done, bytes.length - done, at + done)
        }
      },
      sync: () => file.datasync(),
      truncate: (length) => file.truncate(length),
      close: () => file.close(),
    }
  },
}

async function writeAside(
  path: string,
  content: Uint8Array,
  place: (aside: string, path: string) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const aside = `${path}.new`
  try {
    const file = await open(aside, 'w', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await place(aside, path)
    await flushFolder(dirname(path))
  } finally {
    await rm(aside, { force: true })
  }
}

async function readIfThere<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw error
  }
}
