/** Runs commands with `--json`, and compares everything that they write to standard output with their schemas. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { format } from 'node:util'

import { expect, vi } from 'vitest'

import { main } from '../../src/cli/main.ts'
import type { Command } from '../../src/commands/command.ts'
import type { CommandModule } from '../../src/commands/session/run-command.ts'

const program = join(import.meta.dirname, '../../bin/assent.js')

/** Characters of output in the message of a failed test. */
const maxShown = 2_000

export interface JsonRunner {
  /**
   * Runs a command that must answer. Standard output must be its JSON value, or one value for each line of a command
   * with lines, exactly as the schema says, and nothing else.
   *
   * @param exitCodes that the answer may have; default: 0
   * @returns the value, or the list of values
   */
  // the values have no common type; the scenario looks at single members
  // biome-ignore lint/suspicious/noExplicitAny: see above
  run(line: string, options?: { readonly exitCodes?: readonly number[] }): Promise<any>
  /** Starts a command that prints one line and then serves until `stop`. @returns the line */
  // biome-ignore lint/suspicious/noExplicitAny: see above
  serve(line: string): Promise<any>
  /** Starts a service, which prints log lines and no JSON value, and waits for the member `url` of one. */
  startService(line: string): Promise<string>
  /** Stops everything that still runs. */
  stop(): Promise<void>
  /** The commands that ran, by their paths. */
  readonly ran: ReadonlySet<string>
}

/** @param folder working folder of this process, with the `assent.toml` */
export function createJsonRunner(commands: readonly Command[], folder: string): JsonRunner {
  const ran = new Set<string>()
  const running: ChildProcess[] = []
  const accept = async (command: Command, values: readonly unknown[]) => {
    await requireSchema(command, values)
    ran.add(command.path.join(' '))
  }
  const start = (words: readonly string[]) => {
    const child = spawn(process.execPath, [program, ...words], { cwd: folder, env: environment() })
    running.push(child)
    let errors = ''
    child.stderr.on('data', (text) => {
      errors += text
    })
    const lines = createInterface(child.stdout)
    const fail = (reject: (error: Error) => void) =>
      child.once('exit', (code) =>
        reject(new Error(`assent ${words.join(' ')} ended with ${code}: ${errors}`)),
      )
    return { lines, fail }
  }
  return {
    ran,
    async run(line, { exitCodes = [0] } = {}) {
      const words = wordsOf(line)
      const command = commandOf(commands, words)
      const { code, stdout, stderr } = await execute([...words, '--json'])
      expect(exitCodes, `${line}\n${`${stdout}${stderr}`.slice(0, maxShown)}`).toContain(code)
      const values = valuesIn(stdout, command)
      await accept(command, values)
      return command.hasLines === true ? values : values[0]
    },
    async serve(line) {
      const words = wordsOf(line)
      const { lines, fail } = start([...words, '--json'])
      const first = await new Promise<string>((resolve, reject) => {
        lines.once('line', resolve)
        fail(reject)
      })
      const value = JSON.parse(first)
      await accept(commandOf(commands, words), [value])
      return value
    },
    startService(line) {
      const { lines, fail } = start(wordsOf(line))
      return new Promise((resolve, reject) => {
        lines.on('line', (text) => {
          const { url } = JSON.parse(text)
          if (typeof url === 'string') resolve(url)
        })
        fail(reject)
      })
    },
    async stop() {
      const alive = running.filter((child) => child.exitCode === null && child.signalCode === null)
      await Promise.all(
        alive.map(async (child) => {
          const ended = once(child, 'exit')
          child.kill('SIGKILL')
          await ended
        }),
      )
    },
  }
}

/** Words in quotes stay together, as in a shell. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '')
}

/** The command with the longest path that the words begin with. */
function commandOf(commands: readonly Command[], words: readonly string[]): Command {
  const fits = commands.filter(({ path }) => path.every((word, i) => words[i] === word))
  const [longest] = fits.sort((a, b) => b.path.length - a.path.length)
  if (longest === undefined) throw new Error(`No command: ${words.join(' ')}`)
  return longest
}

/** Without the settings of the person who runs the tests. */
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('ASSENT_'))
  return Object.fromEntries(own)
}

/** Runs a command in this process, which saves the start of a hundred programs. Nothing that it writes is lost. */
async function execute(words: readonly string[]) {
  const written = { stdout: '', stderr: '' }
  const spies = [
    ...captured(process.stdout, (text) => (written.stdout += text), ['log', 'info']),
    ...captured(process.stderr, (text) => (written.stderr += text), ['error', 'warn']),
  ]
  process.exitCode = undefined
  try {
    return { code: await main(words), ...written }
  } finally {
    for (const spy of spies) spy.mockRestore()
    process.exitCode = undefined
  }
}

/** A stream, and the functions of the console that write to it: the test runner has its own console. */
function captured(
  stream: NodeJS.WriteStream,
  add: (text: string) => void,
  names: readonly ('log' | 'info' | 'error' | 'warn')[],
) {
  const write = vi.spyOn(stream, 'write').mockImplementation((piece: unknown) => {
    add(String(piece))
    return true
  })
  const ofConsole = names.map((name) =>
    vi.spyOn(console, name).mockImplementation((...values) => add(`${format(...values)}\n`)),
  )
  return [write, ...ofConsole]
}

/** Every line is one JSON document, and the output ends with a line end. */
function valuesIn(stdout: string, { hasLines }: Command): readonly unknown[] {
  expect(stdout.endsWith('\n'), `no line end:\n${stdout.slice(0, maxShown)}`).toBe(true)
  const lines = stdout.slice(0, -1).split('\n')
  if (hasLines !== true)
    expect(lines, `more than one line:\n${stdout.slice(0, maxShown)}`).toHaveLength(1)
  return lines.map((line) => JSON.parse(line))
}

async function requireSchema(command: Command, values: readonly unknown[]): Promise<void> {
  const { schema } = (await command.load()) as CommandModule
  const name = command.path.join(' ')
  if (schema === undefined) throw new Error(`${name} has no schema.`)
  for (const value of values) {
    const parsed = schema.safeParse(value)
    expect(
      parsed.error?.issues,
      `${name} prints\n${JSON.stringify(value).slice(0, maxShown)}`,
    ).toBeUndefined()
    // a schema that drops or changes members accepts more than it describes
    expect(parsed.data, name).toEqual(value)
  }
}
