/** Reading and writing files that the user named. An error always contains the path. */
import { randomBytes, X509Certificate } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, rename, rm, writeFile } from 'node:fs/promises'

import { AssentError, type ErrorCode } from '../errors/index.ts'

/** Longest file that is read as a whole, bytes. Longer files are streamed. */
export const maxFileBytes = 64 * 1024 * 1024

/**
 * Reads a whole file, also a pipe such as `/dev/stdin`.
 *
 * @throws FILE_UNREADABLE, INPUT_TOO_LARGE
 */
export async function readBytes(file: string): Promise<Buffer> {
  const pieces: Buffer[] = []
  let length = 0
  try {
    for await (const piece of createReadStream(file, { end: maxFileBytes })) {
      pieces.push(piece)
      length += piece.length
    }
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
  }
  if (length <= maxFileBytes) return Buffer.concat(pieces, length)
  throw new AssentError('INPUT_TOO_LARGE', `${file} has more than ${maxFileBytes} bytes.`, {
    facts: { file, expected: `at most ${maxFileBytes} bytes` },
  })
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
  await writeAside(file, content, mode, rename)
}

/**
 * Writes a file that must not exist, as a whole.
 *
 * @param mode default: as the process creates files
 * @throws FILE_EXISTS, FILE_UNWRITABLE
 */
export async function writeNewFile(
  file: string,
  content: string | Uint8Array,
  { mode }: { readonly mode?: number } = {},
): Promise<void> {
  await writeAside(file, content, mode, async (aside) => {
    await link(aside, file)
    await rm(aside)
  })
}

async function writeAside(
  file: string,
  content: string | Uint8Array,
  mode: number | undefined,
  place: (aside: string, file: string) => Promise<void>,
): Promise<void> {
  const aside = `${file}.new-${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    await writeFile(aside, content, { flag: 'wx', ...(mode === undefined ? {} : { mode }) })
    await place(aside, file)
  } catch (cause) {
    await rm(aside, { force: true }).catch(() => undefined)
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST'
    throw exists
      ? new AssentError('FILE_EXISTS', `${file} exists already.`, { cause, facts: { file } })
      : new AssentError('FILE_UNWRITABLE', `Cannot write ${file}.`, { cause, facts: { file } })
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
