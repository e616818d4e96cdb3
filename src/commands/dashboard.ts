/** The command `dashboard`, which belongs to no group. */
import { defineCommand } from './command.ts'

export const dashboard = defineCommand({
  path: ['dashboard'],
  summary:
    'Serve the dashboard of a deployment on this computer until Ctrl-C, or write it into a folder',
  help: `The page checks critical values in the browser with storage proofs.
Without --indexer, the command runs an indexer of its own, with its database in .assent/dashboard.`,
  examples: ['dashboard', 'dashboard --indexer https://indexer.example', 'dashboard --out site'],
  options: {
    indexer: {
      value: 'URL',
      description: 'API of a running indexer (default: from the profile, or one of its own)',
    },
    port: { value: 'N', description: 'port on 127.0.0.1; 0: any free port', default: '8480' },
    out: {
      value: 'FOLDER',
      description:
        'write a static folder, for example for IPFS, that asks the endpoints and the indexer directly; needs an indexer',
    },
  },
  reads: 'the deployment and, for the indexer, its events',
  isService: true,
  load: () => import('./dashboard/serve.ts'),
})
