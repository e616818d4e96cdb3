/** The group `worker`. */
import { defineCommand, type OptionTable } from './command.ts'

const configOption = {
  config: {
    value: 'FILE',
    description: 'JSON file with the settings; ASSENT_WORKER_* variables override it',
  },
} as const satisfies OptionTable

export const run = defineCommand({
  path: ['worker', 'run'],
  summary: 'Register a key of this CVM, and answer the requests of its app until SIGTERM',
  examples: ['worker run --config worker.json'],
  options: configOption,
  needs: 'nothing',
  reads:
    'the settings, its database, the guest agent, and the chain through the configured endpoints',
  isService: true,
  load: () => import('./worker/run.ts'),
})

export const workerCommands = [run]
