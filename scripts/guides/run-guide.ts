/** Runs the commands of a guide on a terminal, as a reader types them. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

import { type GuideBlock, showsOutput } from './guide-page.ts'

export interface GuidePlace {
  /** The working folder. */
  readonly folder: string
  /** Folder of the program `assent`. */
  readonly programs: string
  readonly env?: Readonly<Record<string, string>>
  /** Default: five minutes for the whole page. */
  readonly timeoutMs?: number
  /** Width of the terminal; default: so wide that no line is wrapped. */
  readonly columns?: number
  /** Keep colours. */
  readonly hasColors?: boolean
}

/** What one block did. */
export interface RanBlock extends GuideBlock {
  readonly printed: string
}

/**
 * Runs all blocks in one shell, which stops at the first command that fails. Questions for a confirmation are answered
 * with yes.
 *
 * @throws Error with line, commands and output of the block that failed, or printed something else than the page shows
 */
export async function runGuide(
  blocks: readonly GuideBlock[],
  place: GuidePlace,
): Promise<readonly RanBlock[]> {
  const {
    folder,
    programs,
    env = {},
    timeoutMs = 300_000,
    columns = 1_000,
    hasColors = false,
  } = place
  const mark = randomBytes(8).toString('hex')
  const script = join(folder, '.guide.sh')
  const parts = blocks.map(({ commands }, index) => `echo "${mark} ${index}"\n${commands}`)
  await writeFile(script, `set -euo pipefail\n${parts.join('\n')}\necho "${mark} end"\n`)
  const recorded = await runOnTerminal(`bash --noprofile --norc ${script}`, {
    cwd: folder,
    timeoutMs,
    columns,
    env: {
      ...process.env,
      PATH: `${programs}:${process.env.PATH}`,
      TERM: 'xterm',
      // no moving signs of npx
      npm_config_progress: 'false',
      ...(hasColors ? {} : { NO_COLOR: '1' }),
      ...env,
    },
  })
  const printed = hasColors ? recorded : stripVTControlCharacters(recorded)
  const outputs = new Map(
    printed
      .split(mark)
      .slice(1)
      .map((part) => {
        const [, name = '', text = ''] = /^ (\S+)\r?\n?(.*)$/s.exec(part) ?? []
        return [name, text] as const
      }),
  )
  const hasEnded = outputs.has('end')
  return blocks.flatMap((block, index): RanBlock[] => {
    const text = outputs.get(String(index))
    if (text === undefined) return []
    const isLast = !hasEnded && !outputs.has(String(index + 1))
    if (isLast) throw new Error(describe(block, text, 'failed'))
    if (block.output !== undefined && !showsOutput(block.output, text)) {
      throw new Error(describe(block, text, `should print:\n${block.output}`))
    }
    return [{ ...block, printed: text }]
  })
}

function describe({ line, commands }: GuideBlock, printed: string, problem: string): string {
  return `The commands of line ${line} ${problem}\n\n${commands}\nThey printed:\n${printed}`
}

interface TerminalOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly timeoutMs: number
  readonly columns: number
}

/** `script` (util-linux) gives the command a terminal. */
function runOnTerminal(
  command: string,
  { timeoutMs, columns, ...options }: TerminalOptions,
): Promise<string> {
  const args = ['--quiet', '--return', '--command', `stty cols ${columns}; ${command}`, '/dev/null']
  const child = spawn('script', args, {
    ...options,
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const timer = setTimeout(() => process.kill(-(child.pid as number), 'SIGKILL'), timeoutMs)
  let printed = ''
  let answered = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
    const questions = printed.split('[y/N] ').length - 1
    for (; answered < questions; answered += 1) child.stdin.write('y\n')
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => {
      clearTimeout(timer)
      resolve(withoutStatus(printed))
    })
  })
}

/** Status lines of long steps overwrite each other, and a question moves the cursor. Colours stay. */
function withoutStatus(printed: string): string {
  // biome-ignore-start lint/suspicious/noControlCharactersInRegex: ESC begins a control sequence (ECMA-48)
  const status = /\r\x1b\[K(?:assent [^\r\n]* s(?=\r))?/g
  const movement = /\x1b\[[0-9;?]*[A-LN-Za-ln-z]/g
  // biome-ignore-end lint/suspicious/noControlCharactersInRegex: see above
  return printed.replace(status, '').replace(movement, '').replace(/\r+\n/g, '\n')
}
