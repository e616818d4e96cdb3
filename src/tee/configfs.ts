/**
 * Quotes from the Linux kernel itself: configfs-tsm, `/sys/kernel/config/tsm/report` (Linux 6.7 and later).
 *
 * An entry is a folder whose files the kernel provides: `inblob` takes the report data, `outblob` gives the
 * quote, `generation` counts the writes, `provider` names the TEE.
 */

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, rmdir } from 'node:fs/promises'
import { join } from 'node:path'

import { AssentError, isAssentError } from '../errors/index.ts'
import { requireLength } from '../lib/bytes.ts'
import { type QuoteSource, type RawAttestation, requireReportData } from './source.ts'

/** What is done to the kernel's files; a test puts a kernel of its own here. */
export interface ReportFolder {
  create(entry: string): Promise<void>
  read(entry: string, attribute: string): Promise<Uint8Array>
  write(entry: string, attribute: string, value: Uint8Array): Promise<void>
  remove(entry: string): Promise<void>
}

export interface ConfigfsOptions {
  readonly folder?: ReportFolder
  readonly timeoutMs?: number
  /** Where the event log and vm_config come from: the kernel knows neither. */
  readonly describe?: () => Promise<Pick<RawAttestation, 'eventLog' | 'vmConfig'>>
}

export const reportRoot = '/sys/kernel/config/tsm/report'

const maxAttributeBytes = 128 * 1024

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

/** The files of the kernel under `root`. */
export function kernelFolder(root: string): ReportFolder {
  return {
    create: (entry) => mkdir(join(root, entry)),
    read: (entry, attribute) => readAttribute(join(root, entry, attribute)),
    write: (entry, attribute, value) => writeAttribute(join(root, entry, attribute), value),
    remove: (entry) => rmdir(join(root, entry)),
  }
}

/** A fresh entry for each quote, so that two processes never share one. */
async function quoteOnce(folder: ReportFolder, reportData: Uint8Array): Promise<Uint8Array> {
  const entry = `assent-${randomBytes(8).toString('hex')}`
  await attempt('create an entry', () => folder.create(entry))
  try {
    return await attempt('make a quote', () => exchange(folder, entry, reportData))
  } finally {
    // an entry that stays behind costs nothing but a name
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
  // one write of ours is one step; any other step means that somebody else's report data may be in the quote
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

/** The size that configfs states is not the size of the content: read to the end. */
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
  return new AssentError('TEE_ANSWER_INVALID', `${path} has no end.`, {
    facts: { limit: maxAttributeBytes },
  })
}

/** One write call: the kernel takes what one call brings as the whole value. */
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
