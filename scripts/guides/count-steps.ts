/**
 * Counts what each guide asks of its reader: `node scripts/guides/count-steps.ts`
 *
 * It writes the table into README.md. A test compares the table with the guides.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { readGuide } from './guide-page.ts'

/** What one guide asks for. */
export interface GuideSteps {
  /** First heading of the page. */
  readonly title: string
  readonly file: string
  /** Commands in blocks that a test runs. */
  readonly commands: number
  /** Those that begin with `assent`. */
  readonly assent: number
  /** Values of earlier outputs that the reader copies by hand into an argument. */
  readonly copied: number
  /** Values of earlier outputs that a variable or a substitution of the shell carries. */
  readonly carried: number
}

const root = join(import.meta.dirname, '../..')
const readme = join(root, 'README.md')
const folder = join(root, 'docs/guides')
const [begin, end] = ['<!-- steps of the guides: begin -->', '<!-- end -->']

/** Shell words that are no commands of their own. */
const syntax = /^(?:do|done|then|fi|\}|for .*|local .*)$/

/** Counts one page. A value has more than 20 digits; shorter ones, such as first digits of an id, are quickly typed. */
export function countSteps(file: string, page: string): GuideSteps {
  const commands = readGuide(page).flatMap((block) => commandsOf(block.commands))
  const own = commands.filter((line) => /(?:^|[ (])assent /.test(line))
  const words = own.flatMap((line) => line.split(/[\s"'=]+/))
  return {
    title: /^# (.*)$/m.exec(page)?.[1] ?? file,
    file,
    commands: commands.length,
    assent: own.length,
    copied: words.filter((word) => /^(?:0x)?[0-9a-fA-F]{21,}$/.test(word)).length,
    carried: own.reduce((sum, line) => sum + carriedValues(line), 0),
  }
}

/** Lines that run something: without the content of files, comments and shell syntax; continued lines are one. */
function commandsOf(block: string): string[] {
  const withoutFiles = block.replace(/<<'END'(.*)\n[\s\S]*?\nEND$/gm, '$1')
  return withoutFiles
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#') && !syntax.test(line))
    .filter((line) => !/^\w+\(\) \{$/.test(line))
}

/** Uses of variables and substitutions as arguments. `$1` of a function counts at its call. */
function carriedValues(line: string): number {
  return line.match(/\$\(|\$[A-Za-z_]\w*/g)?.length ?? 0
}

/** Counts all guides, in the order of their file names. */
export async function countGuides(): Promise<readonly GuideSteps[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.md')).sort()
  return Promise.all(
    files.map(async (file) => countSteps(file, await readFile(join(folder, file), 'utf8'))),
  )
}

/** The table of README.md. */
export function stepsTable(guides: readonly GuideSteps[]): string {
  return [
    '| guide | commands | of `assent` | values copied by hand | values that the shell carries |',
    '| --- | --- | --- | --- | --- |',
    ...guides.map(
      ({ title, file, commands, assent, copied, carried }) =>
        `| [${title}](docs/guides/${file}) | ${commands} | ${assent} | ${copied} | ${carried} |`,
    ),
  ].join('\n')
}

/** @throws TypeError if the page has no place for the table */
export function withTable(page: string, table: string): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new TypeError(`README.md has no line ${begin}.`)
  return `${page.slice(0, from + begin.length)}\n\n${table}\n\n${page.slice(to)}`
}

if (import.meta.main) {
  const table = stepsTable(await countGuides())
  const page = await readFile(readme, 'utf8')
  await writeFile(readme, withTable(page, table))
  console.log(table)
}
