export const cliErrors = {
  USAGE_INVALID: {
    why: 'The command line has an unknown option, a missing argument or a wrong value.',
    fix: 'Run the same command with --help.',
  },
} as const
