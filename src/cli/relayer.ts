import { Command } from 'commander'

import { showFindings } from './print-findings.ts'

/** `assent relayer …` */
export const relayerCommand = new Command('relayer').description(
  'Bring quotes to the chain and keep them fresh.',
)

relayerCommand
  .command('run')
  .description('Run the relayer until SIGINT or SIGTERM.')
  .option('--config <file>', 'settings as JSON; variables ASSENT_RELAYER_… win over it')
  .addHelpText('after', '\nExample:\n  assent relayer run --config relayer.json')
  .action(async ({ config }: { config?: string }) => {
    const { runRelayer } = await import('../relayer/main.ts')
    await runRelayer(process.env, config)
  })

relayerCommand
  .command('doctor')
  .description('Look at everything that the relayer needs; exit code 1 if something is not fit.')
  .option('--config <file>', 'settings as JSON; variables ASSENT_RELAYER_… win over it')
  .option('--json', 'one JSON object with all findings', false)
  .action(async ({ config, json }: { config?: string; json: boolean }) => {
    const { runDoctor } = await import('../relayer/main.ts')
    showFindings(await runDoctor(process.env, config), json)
  })
