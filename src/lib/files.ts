/** Reading and writing files that the user named. An error always contains the path. */
import { randomBytes, X509Certificate } from 'node:crypto'
import { constants } from 'node:fs'
import {
  chmod,
  chown,
  type FileHandle,
  link,
  mkdir,
  open,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'

import { AssentError, type ErrorCode } from '../errors/index.ts'

/** Longest file that is read as a whole, bytes. Longer files are streamed. */
export const maxFileBytes = 64 * 1024 * 1024

/** The pipe or terminal that the user connected, also by `<(command)` of a shell. */
const connected = /^\/dev\/(?:stdin|fd\/\d+)$/

/**
 * Reads a whole file: a regular file, or `/dev/stdin`.
 *
 * @param maxBytes longest content
 * @throws FILE_UNREADABLE, INPUT_TOO_LARGE
 */
export async function readBytes(file: string, maxBytes = maxFileBytes): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of readPieces(file)) {
    pieces.push(piece)
    length += piece.length
    if (length > maxBytes) {
      throw new AssentError('INPUT_TOO_LARGE', `${file} has more than ${maxBytes} bytes.`, {
        facts: { file, expected: `at most ${maxBytes} bytes` },
      })
    }
  }
  return Buffer.concat(pieces, length)
}

/**
 * The content of a file, a piece at a time. A device can have no end, and a named pipe can have no writer, so both are
 * refused, also behind a symbolic link.
 *
 * @throws FILE_UNREADABLE
 */
export async function* readPieces(file: string): AsyncGenerator<Uint8Array> {
  try {
    const handle = await openReadable(file)
    // the stream closes the handle, also if the reader stops early
    yield* handle.createReadStream({ highWaterMark: 2 ** 18 })
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
  }
}

async function openReadable(file: string): Promise<FileHandle> {
  if (connected.test(file)) return open(file)
  // without O_NONBLOCK, to open a named pipe waits for a writer
  const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  throw new AssentError('FILE_UNREADABLE', `${file} is not a regular file.`, { facts: { file } })
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
 * Makes a folder, and those above it, unless it exists.
 *
 * @param mode of new folders; default: as the process creates folders
 * @throws FILE_UNWRITABLE
 */
export async function makeFolder(
  folder: string,
  { mode }: { readonly mode?: number } = {},
): Promise<void> {
  await mkdir(folder, { recursive: true, mode }).catch((cause: unknown) => {
    throw new AssentError('FILE_UNWRITABLE', `Cannot make ${folder}.`, { cause, facts: { folder } })
  })
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
 * Changes a file that exists, as a whole. Its mode and owner stay. A symbolic link stays, and the file behind it changes.
 *
 * @throws FILE_UNWRITABLE
 */
export async function rewriteFile(file: string, content: string | Uint8Array): Promise<void> {
  const target = await realpath(file).catch((cause: unknown) => {
    throw new AssentError('FILE_UNWRITABLE', `Cannot write ${file}.`, { cause, facts: { file } })
  })
  await writeAside(target, content, 0o600, async (aside) => {
    const old = await stat(target)
    const made = await stat(aside)
    if (old.uid !== made.uid || old.gid !== made.gid) await chown(aside, old.uid, old.gid)
    await chmod(aside, old.mode & 0o777)
    await rename(aside, target)
  })
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
