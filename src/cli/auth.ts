import { Command } from 'commander'

import { runAuth } from '../auth/main.ts'
import { stopSignal } from './stop-signal.ts'

export const authCommand = new Command('auth')
  .description('Answer the boot authorization webhook of dstack KMS nodes from the chain')
  .addCommand(
    new Command('run')
      .description('Serve until SIGTERM')
      .option('--config <file>', 'JSON file with the settings; ASSENT_AUTH_* variables win over it')
      .action(({ config }: { config?: string }) =>
        runAuth({ configFile: config, signal: stopSignal() }),
      ),
  )
