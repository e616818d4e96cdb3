/** Files that were named by whoever runs us: what cannot be read is an error that says which. */
import { readFile } from 'node:fs/promises'

import { AssentError, type ErrorCode } from '../errors/index.ts'

/** @throws FILE_UNREADABLE */
export async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
  }
}

/** @throws FILE_UNREADABLE, or `code` */
export async function readJson(file: string, code: ErrorCode = 'CONFIG_INVALID'): Promise<unknown> {
  const bytes = await readBytes(file)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new AssentError(code, `${file} is not JSON.`, { cause, facts: { file } })
  }
}
