/** Runs the command line: `main.ts` with all commands, `kms-image.ts` with those of the KMS image. */
import { readFileSync } from 'node:fs'

import { Command, CommanderError } from 'commander'

import { reportError } from './report.ts'

export interface LazyCommand {
  readonly name: string
  readonly description: string
  /** Loads what the command needs, and nothing else does. @param args the arguments after its name */
  readonly load: (args: readonly string[]) => Promise<Command>
}

/**
 * Runs the command that the arguments name.
 *
 * @returns the exit code: 0 done, 1 a refusal or failure that was reported, 2 wrong usage
 */
export async function runProgram(
  commands: readonly LazyCommand[],
  args: readonly string[],
  help = '',
): Promise<number> {
  process.stdout.on('error', stopWhenUnread)
  const program = await createProgram(commands, args, help)
  try {
    await program.parseAsync(args, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    reportError(error, args.includes('--json'))
    return 1
  }
}

/** `assent … | head`: the reader of the output has stopped. */
function stopWhenUnread(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit()
  throw error
}

async function createProgram(
  commands: readonly LazyCommand[],
  args: readonly string[],
  help: string,
): Promise<Command> {
  const program = new Command('assent')
    .description('Release keys to confidential VMs that a DAO approved.')
    .version(version())
    .addHelpText('after', help)
  return refuseLoudly(await addLazily(program, commands, args))
}

/** Loads the one command that the arguments name; of the others, name and description are enough. */
export async function addLazily(
  parent: Command,
  commands: readonly LazyCommand[],
  args: readonly string[],
): Promise<Command> {
  const at = args.findIndex((arg) => !arg.startsWith('-'))
  for (const { name, description, load } of commands) {
    const isWanted = name === args[at]
    parent.addCommand(
      isWanted ? await load(args.slice(at + 1)) : new Command(name).description(description),
    )
  }
  return parent
}

/** Wrong usage ends with exit code 2 and a hint, on every level. */
function refuseLoudly(command: Command): Command {
  command.exitOverride().showHelpAfterError('(add --help for the options)')
  command.commands.forEach(refuseLoudly)
  return command
}

/** The package's own version; the path is the same from `src/cli` and from `dist/cli`. */
function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
