/** The group `indexer`. */
import { defineCommand, type OptionTable } from './command.ts'

const configOption = {
  config: {
    value: 'FILE',
    description: 'JSON file with the settings; ASSENT_INDEXER_* variables override it',
  },
} as const satisfies OptionTable

export const run = defineCommand({
  path: ['indexer', 'run'],
  summary: 'Follow the chain, keep the state of all contracts in SQL, and serve it until SIGTERM',
  examples: ['indexer run --config indexer.json'],
  options: configOption,
  needs: 'nothing',
  reads: 'the settings, its database, and the chain through the configured endpoints',
  isService: true,
  load: () => import('./indexer/run.ts'),
})

export const indexerCommands = [run]
