import { Command } from 'commander'

import { bootstrapInfoToJson } from '../kms/bootstrap.ts'
import { runBootstrap, runKms } from '../kms/main.ts'
import { stopSignal } from './stop-signal.ts'

const configOption = [
  '--config <file>',
  'JSON file with the settings; ASSENT_KMS_* variables win over it',
] as const

export const kmsCommand = new Command('kms')
  .description('Release app keys to CVMs that the chain allows')
  .addCommand(
    new Command('run')
      .description('Serve until SIGTERM')
      .option(...configOption)
      .action(({ config }: { config?: string }) =>
        runKms({ configFile: config, signal: stopSignal() }),
      ),
  )
  .addCommand(
    new Command('bootstrap')
      .description('Make the root keys, once, and print what the chain registers about them')
      .option(...configOption)
      .action(async ({ config }: { config?: string }) => {
        const info = await runBootstrap({ configFile: config })
        console.log(JSON.stringify(bootstrapInfoToJson(info), null, 2))
      }),
  )
