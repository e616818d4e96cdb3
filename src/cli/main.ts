import { readFileSync } from 'node:fs'

import { Command, CommanderError } from 'commander'

import { reportError } from './report.ts'

/**
 * The whole command line. Commands are loaded when they are asked for, so `--help` stays quick.
 *
 * @returns the exit code: 0 done, 1 a refusal or failure that was reported, 2 wrong usage
 */
export async function main(args: readonly string[]): Promise<number> {
  const program = await createProgram()
  try {
    await program.parseAsync(args, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    reportError(error, args.includes('--json'))
    return 1
  }
}

async function createProgram(): Promise<Command> {
  const program = new Command('assent')
    .description('The keys of a confidential-computing fleet, under a DAO.')
    .version(version())
    .showHelpAfterError('(add --help for the options and an example)')
  return program
}

/** The package's own version; the path is the same from `src/cli` and from `dist/cli`. */
function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
