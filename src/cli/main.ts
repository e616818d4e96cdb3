import { readFileSync } from 'node:fs'

import { Command, CommanderError } from 'commander'

import { reportError } from './report.ts'

interface LazyCommand {
  readonly name: string
  readonly description: string
  /** Loads what the command needs, and nothing else does. */
  readonly load: () => Promise<Command>
}

const commands: readonly LazyCommand[] = [
  {
    name: 'quote',
    description: 'Show or verify a TDX quote',
    load: async () => (await import('./quote.ts')).quoteCommand,
  },
  {
    name: 'kms',
    description: 'Run a KMS node',
    load: async () => (await import('./kms.ts')).kmsCommand,
  },
  {
    name: 'relayer',
    description: 'Run a relayer',
    load: async () => (await import('./relayer.ts')).relayerCommand,
  },
  {
    name: 'auth',
    description: 'Run the boot authorization webhook for dstack KMS nodes',
    load: async () => (await import('./auth.ts')).authCommand,
  },
]

const examples = `
Examples:
  assent quote show quote.bin
  assent quote verify quote.bin --collateral bundle.json --at 1787184000 --json
  assent kms run --config kms.json

Deploying, proposing, voting, suspending, showing: npx hardhat assent

Exit codes: 0 yes or done, 1 no or failed, 2 the question was wrong.`

/**
 * The whole command line.
 *
 * @returns the exit code: 0 done, 1 a refusal or failure that was reported, 2 wrong usage
 */
export async function main(args: readonly string[]): Promise<number> {
  process.stdout.on('error', stopWhenUnread)
  const program = await createProgram(args)
  try {
    await program.parseAsync(args, { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    reportError(error, args.includes('--json'))
    return 1
  }
}

/** `assent … | head`: whoever read the output has enough. */
function stopWhenUnread(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit()
  throw error
}

/** Loads the one command that is asked for; of the others, name and description are enough. */
async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command('assent')
    .description('The keys of a confidential-computing fleet, under a DAO.')
    .version(version())
    .addHelpText('after', examples)
  const wanted = args.find((arg) => !arg.startsWith('-'))
  for (const { name, description, load } of commands) {
    program.addCommand(name === wanted ? await load() : new Command(name).description(description))
  }
  return refuseLoudly(program)
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
