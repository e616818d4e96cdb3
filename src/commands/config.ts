/** The group `config`. */
import { defineCommand } from './command.ts'

export const show = defineCommand({
  path: ['config', 'show'],
  summary: 'Show the settings of commands, and where each comes from; never a secret',
  examples: ['config show', 'config show --profile mainnet'],
  needs: 'nothing',
  reads: 'assent.toml of this folder or of one above it, and ASSENT_* variables',
  load: () => import('./config/show.ts'),
})

export const configCommands = [show]
