import { Command } from 'commander'

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
