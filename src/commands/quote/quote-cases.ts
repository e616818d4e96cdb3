/** Quotes with their collateral, from wherever the command line points: a file, a folder, a suite, a list. */
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'

import { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { readBytes } from '../../lib/files.ts'

/** The location of one quote. It is read later, so that a quote that cannot be read does not hide the others. */
export interface QuoteCase {
  readonly name: string
  /** Path, `-`, or the address of a server. */
  readonly quote: string
  /** Path; undefined: a PCCS has it. */
  readonly collateral: string | undefined
  /** unix seconds, where the list says so */
  readonly at?: number
}

/** The quotes that the paths of a command line name. */
export interface QuoteSuite {
  readonly cases: readonly QuoteCase[]
  /** one quote, named by itself: its answer is no list */
  readonly isSingle: boolean
}

/**
 * Evidence (with `collateral` next to it), a folder with `quote.bin` and `collateral.json`, a folder of such
 * folders, or a list: a `.jsonl` file with a line `{name, quote, collateral, at}` for each, paths from there.
 *
 * @throws FILE_UNREADABLE, CASE_INCOMPLETE
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

function unreadable(file: string, cause: unknown): AssentError {
  return new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
}

function incomplete(place: string, found: string): AssentError {
  return new AssentError('CASE_INCOMPLETE', `${place} is ${found}.`, { facts: { place, found } })
}
