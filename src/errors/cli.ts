export const cliErrors = {
  USAGE_INVALID: {
    why: 'The command line has an unknown option, a missing argument or a wrong value.',
    fix: 'Run the same command with --help.',
  },
  IN_PROCESS_CHAIN_UNAVAILABLE: {
    why: 'The chain inside the process needs the package hardhat and the compiled contracts; one is missing.',
    fix: 'In a clone run `npm run build`; beside the package run `npm install hardhat@3`. Or leave out --onchain.',
  },
  CASE_INCOMPLETE: {
    why: 'A folder or a list of quotes lacks what a case needs, or has what no case has.',
    fix: 'Give each folder a quote.bin and a collateral.json, and each line of a list quote and collateral.',
  },
} as const
