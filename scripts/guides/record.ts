/**
 * Runs the six commands of the README for real and draws the terminal: `node scripts/guides/record.ts`
 *
 * It writes docs/pictures/six-commands.svg. Hashes and ports differ from run to run.
 */
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { drawTerminal } from './draw-terminal.ts'
import { startLocalStack } from './local-stack.ts'
import { runGuide } from './run-guide.ts'
import { readSixCommands } from './six-commands.ts'

const root = resolve(import.meta.dirname, '../..')
const columns = 80
const bold = (text: string) => `\x1b[1m${text}\x1b[22m`
const dim = (text: string) => `\x1b[2m${text}\x1b[22m`

const { start, blocks } = await readSixCommands()
const folder = await mkdtemp(join(tmpdir(), 'shop-'))
const stack = await startLocalStack(folder)
try {
  await cp(join(root, 'docs/examples'), join(folder, 'docs/examples'), { recursive: true })
  const programs = join(folder, 'node_modules/.bin')
  await mkdir(programs, { recursive: true })
  await symlink(join(root, 'bin/assent.js'), join(programs, 'assent'))
  const ran = await runGuide(blocks, { folder, programs, columns, hasColors: true })
  const summary = stack.printed.split('\n').filter((line) => /steps succeeded/.test(line))
  const lines = [
    bold(`$ ${start}`),
    dim('…'),
    ...summary,
    dim('…'),
    ...ran.flatMap(({ commands, printed }) => [
      '',
      ...commandLines(commands),
      // the folder of this recording says nothing
      ...shorten(printed.replaceAll(`${folder}/`, '').trimEnd().split('\n')),
    ]),
  ]
  const picture = drawTerminal({
    title: 'From nothing to a booted release',
    description: `The output of: ${[start, ...blocks.map(({ commands }) => commands)].join('; ')}`,
    lines,
    columns,
  })
  await writeFile(join(root, 'docs/pictures/six-commands.svg'), picture)
  console.log(`docs/pictures/six-commands.svg: ${lines.length} lines`)
} finally {
  await stack.stop()
  await rm(folder, { recursive: true, force: true })
}

/** The first and the last lines. */
function shorten(lines: readonly string[]): readonly string[] {
  return lines.length <= 9 ? lines : [...lines.slice(0, 4), dim('…'), ...lines.slice(-4)]
}

/** Long commands go on in the next line, as in a shell. */
function commandLines(command: string): string[] {
  const lines: string[] = []
  let line = '$'
  for (const word of command.split(' ')) {
    if (line.length + word.length + 3 > columns) {
      lines.push(bold(`${line} \\`))
      line = ' '
    }
    line += ` ${word}`
  }
  return [...lines, bold(line)]
}
