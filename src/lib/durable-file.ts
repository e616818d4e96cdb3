/** Files that are on the disk when the call returns. */
import { open } from 'node:fs/promises'

/** Creates a file that only this user can read, and flushes it. @throws Error if the file exists */
export async function writeFlushed(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Flushes the names in a folder: a new or renamed file is durable only after this. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Tells if a file operation failed because the path does not exist. */
export function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
}
