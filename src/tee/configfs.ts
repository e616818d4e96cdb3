/**
 * Quotes from the Linux kernel: configfs-tsm, `/sys/kernel/config/tsm/report` (Linux 6.7 and later).
 *
 * An entry is a folder with files of the kernel: `inblob` takes the report data, `outblob` returns the quote,
 * `generation` counts writes, `provider` names the TEE.
 */

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rmdir } from 'node:fs/promises'
import { join } from 'node:path'

import { AssentError, isAssentError } from '../errors/index.ts'
import { requireLength } from '../lib/bytes.ts'
import { type QuoteSource, type RawAttestation, requireReportData } from './source.ts'

/** Operations on the kernel's files; tests replace them by a simulated kernel. */
export interface ReportFolder {
  /** Creates an entry: the kernel makes its attribute files. */
  create(entry: string): Promise<void>
  /** Reads an attribute. The kernel generates the quote when `outblob` is read. */
  read(entry: string, attribute: string): Promise<Uint8Array>
  /** Writes an attribute, such as `inblob`, the report data. */
  write(entry: string, attribute: string, value: Uint8Array): Promise<void>
  /** Removes an entry. */
  remove(entry: string): Promise<void>
}

/** Access to the kernel's report interface. */
export interface ConfigfsOptions {
  /** Default: the real kernel. */
  readonly folder?: ReportFolder
  /** For one quote; default 30,000. */
  readonly timeoutMs?: number
  /** Gives event log and VM configuration, which the kernel does not have. Default: empty ones. */
  readonly describe?: () => Promise<Pick<RawAttestation, 'eventLog' | 'vmConfig'>>
}

/** Mount point of the report interface in Linux. */
export const reportRoot = '/sys/kernel/config/tsm/report'

const maxAttributeBytes = 128 * 1024

/**
 * A quote source that uses the kernel directly, without a guest agent.
 *
 * @example const { quote } = await createConfigfsSource().attest(new Uint8Array(64))
 */
export function createConfigfsSource(options: ConfigfsOptions = {}): QuoteSource {
  const {
    folder = kernelFolder(reportRoot),
    timeoutMs = 30_000,
    describe = async () => ({ eventLog: '[]', vmConfig: '' }),
  } = options
  return {
    async attest(reportData) {
      requireLength(reportData, 'report data', 64)
      const quote = await withTimeout(timeoutMs, () => quoteOnce(folder, reportData))
      requireReportData(quote, reportData)
      return { quote, ...(await describe()) }
    },
  }
}

/** The kernel's files below `root`. */
export function kernelFolder(root: string): ReportFolder {
  return {
    create: (entry) => mkdir(join(root, entry)),
    read: (entry, attribute) => readAttribute(join(root, entry, attribute)),
    write: (entry, attribute, value) => writeAttribute(join(root, entry, attribute), value),
    remove: (entry) => rmdir(join(root, entry)),
  }
}

/** Uses a new entry for each quote, so that two processes never share one. */
async function quoteOnce(folder: ReportFolder, reportData: Uint8Array): Promise<Uint8Array> {
  const entry = `assent-${randomBytes(8).toString('hex')}`
  await attempt('create an entry', () => folder.create(entry))
  try {
    return await attempt('make a quote', () => exchange(folder, entry, reportData))
  } finally {
    // an entry that cannot be removed only keeps its name
    await folder.remove(entry).catch(() => undefined)
  }
}

async function exchange(
  folder: ReportFolder,
  entry: string,
  reportData: Uint8Array,
): Promise<Uint8Array> {
  await requireTdx(folder, entry)
  const before = await readGeneration(folder, entry)
  await folder.write(entry, 'inblob', reportData)
  const quote = await folder.read(entry, 'outblob')
  const after = await readGeneration(folder, entry)
  // our one write increases it by one; otherwise another process may have written its report data
  if (after === before + 1n) return quote
  throw new AssentError('TEE_CONCURRENT_USE', 'Another process wrote to the report entry.', {
    facts: { entry, before: before.toString(), after: after.toString() },
  })
}

async function requireTdx(folder: ReportFolder, entry: string): Promise<void> {
  const provider = toText(await folder.read(entry, 'provider'))
  if (provider === 'tdx_guest') return
  throw new AssentError('TEE_UNAVAILABLE', `This kernel reports for ${provider}, not for TDX.`, {
    facts: { provider },
  })
}

async function readGeneration(folder: ReportFolder, entry: string): Promise<bigint> {
  const text = toText(await folder.read(entry, 'generation'))
  if (/^[0-9]{1,20}$/.test(text)) return BigInt(text)
  throw new AssentError('TEE_ANSWER_INVALID', 'The kernel gave no generation number.', {
    facts: { entry },
  })
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').trim()
}

const absent = ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ENXIO', 'ENODEV', 'EROFS']

async function attempt<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    if (isAssentError(cause)) throw cause
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown'
    const facts = { reason }
    if (reason === 'ETIMEDOUT') {
      throw new AssentError('TEE_TIMEOUT', `The kernel could not ${what} in time.`, {
        facts,
        cause,
      })
    }
    const code = absent.includes(reason) ? 'TEE_UNAVAILABLE' : 'TEE_REFUSED'
    throw new AssentError(code, `The kernel could not ${what} (${reason}).`, { facts, cause })
  }
}

async function withTimeout<T>(timeoutMs: number, act: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new AssentError('TEE_TIMEOUT', 'The kernel gave no quote in time.', {
            facts: { timeoutMs },
          }),
        ),
      timeoutMs,
    )
  })
  try {
    return await Promise.race([act(), late])
  } finally {
    clearTimeout(timer)
  }
}

/** Reads to the end of the file, because configfs does not state the real size. */
async function readAttribute(path: string): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY)
  try {
    const chunks: Buffer[] = []
    for (let size = 0; ; ) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(16_384), 0, 16_384)
      if (bytesRead === 0) return new Uint8Array(Buffer.concat(chunks))
      size += bytesRead
      if (size > maxAttributeBytes) throw endless(path)
      chunks.push(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

function endless(path: string): AssentError {
  return new AssentError('TEE_ANSWER_INVALID', `${path} is longer than any quote.`, {
    facts: { limit: maxAttributeBytes },
  })
}

/** Writes with one call, because the kernel takes each write as a complete value. */
async function writeAttribute(path: string, value: Uint8Array): Promise<void> {
  const file = await open(path, constants.O_WRONLY)
  try {
    const { bytesWritten } = await file.write(value, 0, value.length)
    if (bytesWritten !== value.length) {
      throw new AssentError('TEE_REFUSED', `The kernel took only a part of ${path}.`, {
        facts: { bytesWritten },
      })
    }
  } finally {
    await file.close()
  }
}
