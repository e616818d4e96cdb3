import { type LazyCommand, runProgram } from './program.ts'

const commands: readonly LazyCommand[] = [
  {
    name: 'quote',
    description: 'Show or verify a TDX quote',
    load: async () => (await import('./quote.ts')).quoteCommand,
  },
  {
    name: 'kms',
    description: 'Run a KMS node',
    load: async (args) => (await import('./kms.ts')).kmsCommand(args),
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

Exit codes: 0 success, 1 negative result or failure, 2 wrong usage.`

/**
 * The whole command line.
 *
 * @returns the exit code: 0 done, 1 a denial or failure that was reported, 2 wrong usage
 */
export function main(args: readonly string[]): Promise<number> {
  return runProgram(commands, args, examples)
}
