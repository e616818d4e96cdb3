import { Command } from 'commander'

import type { Finding } from '../relayer/doctor.ts'
import { colors as pc } from './colors.ts'

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
    const [{ runDoctor }, { exitCodeOf }] = await Promise.all([
      import('../relayer/main.ts'),
      import('../relayer/doctor.ts'),
    ])
    const findings = await runDoctor(process.env, config)
    const exitCode = exitCodeOf(findings)
    if (json) console.log(JSON.stringify({ isFit: exitCode === 0, findings }))
    else for (const finding of findings) console.log(describeFinding(finding))
    process.exitCode = exitCode
  })

const marks = { ok: pc.green('ok     '), warning: pc.yellow('warning'), failed: pc.red('FAILED ') }

function describeFinding({ check, verdict, found, todo }: Finding): string {
  const line = `${marks[verdict]} ${check}: ${found}`
  return todo === null ? line : `${line}\n        ${pc.dim(todo)}`
}
