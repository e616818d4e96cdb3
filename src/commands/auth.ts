/** The group `auth`. */
import { defineCommand, type OptionTable } from './command.ts'

const configOption = {
  config: {
    value: 'FILE',
    description: 'JSON file with the settings; ASSENT_AUTH_* variables override it',
  },
} as const satisfies OptionTable

export const run = defineCommand({
  path: ['auth', 'run'],
  summary: 'Serve the auth webhook of dstack KMS nodes until SIGTERM',
  examples: ['auth run --config auth.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings, and the chain through the configured endpoints',
  isService: true,
  load: () => import('./auth/run.ts'),
})

export const initCheckpoint = defineCommand({
  path: ['auth', 'init-checkpoint'],
  summary: 'Create the trusted checkpoint, once, before the first run',
  examples: ['auth init-checkpoint --config auth.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings, and the newest accepted block',
  load: () => import('./auth/init-checkpoint.ts'),
})

export const authCommands = [run, initCheckpoint]
