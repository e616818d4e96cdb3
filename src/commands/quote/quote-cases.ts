/** Quotes with their collateral, from wherever the command line points: a file, a folder, a suite, a list. */
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { fromHex } from '../../lib/bytes.ts'
import { readBytes, readJson } from '../../lib/files.ts'
import { type Collateral, parseCollateral } from '../../quote/collateral/collateral.ts'

const maxInput = 16 * 1024 * 1024

/** Files of one quote. Nothing is read yet, so that one that cannot be read does not hide the others. */
export interface QuoteCase {
  readonly name: string
  readonly quote: string
  readonly collateral: string
  /** unix seconds, where the list says so */
  readonly at?: number
}

/** What the paths of a command line stand for. */
export interface QuoteSuite {
  readonly cases: readonly QuoteCase[]
  /** one quote, named by itself: its answer is no list */
  readonly isSingle: boolean
}

/**
 * A quote (with `collateral` beside it), a folder with `quote.bin` and `collateral.json`, a folder of such
 * folders, or a list: a `.jsonl` file with a line `{name, quote, collateral, at}` for each, paths from there.
 *
 * @throws FILE_UNREADABLE, CASE_INCOMPLETE, USAGE_INVALID
 */
export async function findCases(
  paths: readonly string[],
  collateral: string | undefined,
): Promise<QuoteSuite> {
  const found = await Promise.all(paths.map((place) => casesAt(place, collateral)))
  const cases = found.flatMap((suite) => suite.cases)
  return { cases, isSingle: cases.length === 1 && found.every((suite) => suite.isSingle) }
}

async function casesAt(place: string, collateral: string | undefined): Promise<QuoteSuite> {
  if (await isFolder(place)) return { cases: await casesInFolder(place), isSingle: false }
  if (place.endsWith('.jsonl')) return { cases: await casesInList(place), isSingle: false }
  if (collateral === undefined) {
    throw new AssentError('USAGE_INVALID', `${place} is a quote: name its --collateral too.`, {
      facts: { file: place },
    })
  }
  return { cases: [{ name: place, quote: place, collateral }], isSingle: true }
}

async function isFolder(place: string): Promise<boolean> {
  try {
    return (await stat(place)).isDirectory()
  } catch (cause) {
    // what opens it says why it cannot be read
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw unreadable(place, cause)
  }
}

async function casesInFolder(folder: string): Promise<QuoteCase[]> {
  const own = await readdir(folder, { withFileTypes: true })
  if (own.some((entry) => entry.name === 'quote.bin')) return [caseInFolder(folder, folder)]
  const cases = own
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .map((name) => caseInFolder(name, path.join(folder, name)))
  if (cases.length > 0) return cases
  throw incomplete(folder, 'neither a quote.bin nor folders with one')
}

function caseInFolder(name: string, folder: string): QuoteCase {
  const quote = path.join(folder, 'quote.bin')
  return { name, quote, collateral: path.join(folder, 'collateral.json') }
}

const lineSchema = z.strictObject({
  name: z.string().min(1).optional(),
  quote: z.string().min(1),
  collateral: z.string().min(1),
  at: z.int().min(0).optional(),
})

async function casesInList(list: string): Promise<QuoteCase[]> {
  const folder = path.dirname(list)
  const lines = (await readBytes(list)).toString('utf8').split('\n')
  return lines.flatMap((line, index) => {
    if (line.trim() === '') return []
    const entry = lineSchema.safeParse(parseLine(line))
    if (!entry.success) throw incomplete(`${list}, line ${index + 1}`, 'no case')
    const { name, quote, collateral, at } = entry.data
    return {
      name: name ?? quote,
      quote: path.resolve(folder, quote),
      collateral: path.resolve(folder, collateral),
      ...(at === undefined ? {} : { at }),
    }
  })
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/**
 * A quote in a form that people have: raw bytes, hex text in one line or several (`xxd -p`), base64, or the JSON that
 * `GetQuote` answers. Texts are told apart because a raw quote starts with a version and a zero byte.
 *
 * @param file path, or `-` for standard input
 * @throws FILE_UNREADABLE, HEX_INVALID, INPUT_TOO_LARGE
 */
export async function readQuote(file: string): Promise<Uint8Array> {
  const bytes = file === '-' ? await readStandardInput() : await readBytes(file)
  const text = bytes.toString('latin1').trim()
  return quoteFromText(text.startsWith('{') ? quoteMember(text) : text) ?? new Uint8Array(bytes)
}

function quoteFromText(text: string): Uint8Array | undefined {
  const digits = text.replace(/\s+/g, '')
  if (/^(?:0x)?[0-9a-fA-F]+$/.test(digits)) return fromHex(digits, 'quote')
  const decoded = Buffer.from(digits, 'base64')
  const isBase64 = digits !== '' && decoded.toString('base64') === digits
  return isBase64 ? new Uint8Array(decoded) : undefined
}

/** The member `quote` of a JSON object, which may be an answer of the guest agent's. */
function quoteMember(text: string): string {
  const json = parseLine(text) as { quote?: unknown } | undefined
  return typeof json?.quote === 'string' ? json.quote : ''
}

async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxInput) {
      throw new AssentError('INPUT_TOO_LARGE', 'Standard input is larger than 16 MiB.')
    }
  }
  return Buffer.concat(chunks)
}

/** @throws FILE_UNREADABLE, QUOTE_COLLATERAL_MALFORMED */
export async function readCollateral(file: string): Promise<Collateral> {
  return parseCollateral(await readJson(file, 'QUOTE_COLLATERAL_MALFORMED'))
}

function unreadable(file: string, cause: unknown): AssentError {
  return new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
}

function incomplete(place: string, found: string): AssentError {
  return new AssentError('CASE_INCOMPLETE', `${place} is ${found}.`, { facts: { place, found } })
}
