import { Command } from 'commander'

import { runAuth, runInitCheckpoint } from '../auth/main.ts'
import { stopSignal } from './stop-signal.ts'

const configOption = [
  '--config <file>',
  'JSON file with the settings; ASSENT_AUTH_* variables override it',
] as const

export const authCommand = new Command('auth')
  .description('The auth webhook of dstack KMS nodes, answered from the chain')
  .addCommand(
    new Command('run')
      .description('Serve until SIGTERM')
      .option(...configOption)
      .action(({ config }: { config?: string }) =>
        runAuth({ configFile: config, signal: stopSignal() }),
      ),
  )
  .addCommand(
    new Command('init-checkpoint')
      .description('Create the trusted checkpoint, once, before the first run')
      .option(...configOption)
      .action(({ config }: { config?: string }) => runInitCheckpoint({ configFile: config })),
  )
