/** Options that the command line adds to a command and reads itself. */
import type { Command, OptionTable } from './command.ts'
import { chainOptions, commonOptions, signerOptions } from './options.ts'

/** Options of the command line alone: Hardhat has networks instead of endpoints. */
export const commandLineOptions = {
  rpcUrl: {
    value: 'URL',
    description: 'JSON-RPC endpoint; can be given several times (default: from the profile)',
    isRepeatable: true,
  },
  profile: { value: 'NAME', description: 'profile in assent.toml' },
} as const satisfies OptionTable

/** Options of the command line for commands that sign: Hardhat has accounts of its own. */
export const browserOption = {
  browser: { description: 'sign with a wallet in your browser, on a page that the command serves' },
} as const satisfies OptionTable

export function frontDoorOptions({ isService, sends, needs }: Command): OptionTable {
  const chain = { ...chainOptions, rpcUrl: commandLineOptions.rpcUrl }
  const { profile } = commandLineOptions
  // most services read a settings file instead
  if (isService === true) return needs === 'nothing' ? {} : { ...chain, profile }
  return {
    ...(sends === undefined ? {} : { ...signerOptions, ...browserOption }),
    ...(needs === 'nothing' ? {} : chain),
    profile,
    ...commonOptions,
  }
}
