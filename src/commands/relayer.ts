/** The group `relayer`. */
import { defineCommand, type OptionTable } from './command.ts'

const configOption = {
  config: {
    value: 'FILE',
    description: 'JSON file with the settings; ASSENT_RELAYER_* variables override it',
  },
} as const satisfies OptionTable

export const run = defineCommand({
  path: ['relayer', 'run'],
  summary: 'Run the relayer until SIGINT or SIGTERM',
  examples: ['relayer run --config relayer.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings, its database, and the chain through the configured endpoints',
  isService: true,
  load: () => import('./relayer/run.ts'),
})

export const doctor = defineCommand({
  path: ['relayer', 'doctor'],
  summary: 'Check everything that the relayer needs; exit code 1 if a check fails',
  examples: ['relayer doctor --config relayer.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings and everything that they name; it changes nothing',
  load: () => import('./relayer/doctor.ts'),
})

export const relayerCommands = [run, doctor]
