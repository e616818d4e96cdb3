/** Reading and writing files that the user named. An error always contains the path. */
import { randomBytes, X509Certificate } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'

import { AssentError, type ErrorCode } from '../errors/index.ts'

/** Reads a whole file. @throws FILE_UNREADABLE */
export async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
  }
}

/**
 * Reads a JSON file.
 *
 * @param code thrown if the content is not JSON
 * @throws FILE_UNREADABLE, `code`
 */
export async function readJson(file: string, code: ErrorCode = 'CONFIG_INVALID'): Promise<unknown> {
  const bytes = await readBytes(file)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new AssentError(code, `${file} is not JSON.`, { cause, facts: { file } })
  }
}

/**
 * Writes a file as a whole: at every moment, also after an interruption, it has the old content or the new one.
 *
 * @param mode of a new file; default: as the process creates files
 * @throws FILE_UNWRITABLE
 */
export async function replaceFile(
  file: string,
  content: string | Uint8Array,
  { mode }: { readonly mode?: number } = {},
): Promise<void> {
  const aside = `${file}.new-${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    await writeFile(aside, content, { flag: 'wx', ...(mode === undefined ? {} : { mode }) })
    await rename(aside, file)
  } catch (cause) {
    await rm(aside, { force: true }).catch(() => undefined)
    throw new AssentError('FILE_UNWRITABLE', `Cannot write ${file}.`, { cause, facts: { file } })
  }
}

/**
 * Reads certificates in PEM, for use as trusted authorities.
 *
 * @throws FILE_UNREADABLE, CONFIG_INVALID
 */
export async function readCertificates(file: string): Promise<string> {
  const text = (await readBytes(file)).toString('utf8')
  if (!isPemCertificates(text)) {
    throw new AssentError('CONFIG_INVALID', `${file} does not contain PEM certificates.`, {
      facts: { file },
    })
  }
  return text
}

/** Tells if a text has at least one PEM block and each block is an X.509 certificate. */
export function isPemCertificates(text: string): boolean {
  const blocks = text.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? []
  try {
    return blocks.length > 0 && blocks.every((block) => new X509Certificate(block).raw.length > 0)
  } catch {
    return false
  }
}
