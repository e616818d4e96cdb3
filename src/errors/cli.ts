/** Errors of the command line itself. */
export const cliErrors = {
  USAGE_INVALID: {
    why: 'The command line has an unknown option, a missing argument or a wrong value.',
    fix: 'Run the same command with --help.',
  },
  IN_PROCESS_CHAIN_UNAVAILABLE: {
    why: 'The in-process chain needs the package `hardhat` and the compiled contracts. One of them is missing.',
    fix: 'In a clone, run `npm run build`. With the installed package, run `npm install hardhat@3`. Without --onchain neither is needed.',
  },
  CASE_INCOMPLETE: {
    why: 'A case in the folder or list lacks a required file or has an unknown one.',
    fix: 'Give each folder a `quote.bin` and a `collateral.json`, and each line of a list a quote and its collateral.',
  },
} as const
