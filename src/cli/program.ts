/** Runs the command line: `main.ts` with all commands, `kms-image.ts` with those of a KMS node. */
import { readFileSync } from 'node:fs'

import { CommanderError } from 'commander'

import type { Command, Group } from '../commands/command.ts'
import { exitCodeOf, exitCodes, outputClosed } from '../commands/exit-code.ts'
import { reportError } from '../commands/output/report-error.ts'
import { buildProgram } from './build-program.ts'
import type { CommandLineDoor } from './run-from-command-line.ts'

/** The groups and single commands of a program. */
export interface ProgramOptions {
  readonly groups: readonly Group[]
  /** Commands of one word, such as `completion`. */
  readonly single?: readonly Command[]
  /** Opens what commands need. */
  readonly door: () => Promise<CommandLineDoor>
}

/**
 * Runs the command that the arguments name.
 *
 * @returns the exit code, as in `src/commands/exit-code.ts`
 */
export async function runProgram(
  { groups, single = [], door }: ProgramOptions,
  args: readonly string[],
): Promise<number> {
  if (!process.stdout.listeners('error').includes(stopWhenUnread))
    process.stdout.on('error', stopWhenUnread)
  try {
    const words = asHelpOption(args)
    const program = await buildProgram({
      groups,
      single,
      door,
      args: words,
      version: readVersion(),
    })
    await program.parseAsync(words, { from: 'user' })
    return Number(process.exitCode ?? exitCodes.yes)
  } catch (error) {
    // the help was printed: because it was asked for, or because a group does nothing by itself
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.yes : exitCodes.usage
    reportError(error, args.includes('--json'))
    return exitCodeOf(error)
  }
}

/** `assent help dao vote` is `assent dao vote --help`. */
function asHelpOption(args: readonly string[]): readonly string[] {
  const [first, ...words] = args
  return first === 'help' ? [...words.filter((word) => !word.startsWith('-')), '--help'] : args
}

/** `assent … | head`: the reader of the output has stopped. Without an answer so far, this is no "yes". */
function stopWhenUnread(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? outputClosed)
  throw error
}

/** The version of the package; the path is the same from `src/cli` and from `dist/cli`. */
function readVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
