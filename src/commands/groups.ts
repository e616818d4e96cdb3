/** The groups of commands. A group is loaded when one of its commands is used or listed. */
import type { Command, Group } from './command.ts'
import { completion } from './completion.ts'
import { dashboard } from './dashboard.ts'

export const groups: readonly Group[] = [
  {
    name: 'dao',
    summary: 'Propose, vote, approve and suspend',
    load: async () => (await import('./dao.ts')).daoCommands,
  },
  {
    name: 'app',
    summary: 'Create apps, prepare and approve releases, set their rules',
    load: async () => [
      ...(await import('./app-release.ts')).releaseCommands,
      ...(await import('./app.ts')).appCommands,
      ...(await import('./app-instance.ts')).instanceCommands,
    ],
  },
  {
    name: 'image',
    summary: 'Approve and list base images and their measurements, close them',
    load: async () => (await import('./image.ts')).imageCommands,
  },
  {
    name: 'host',
    summary: 'Register hosts, deposit bonds, set the rules for hosts',
    load: async () => [
      ...(await import('./host.ts')).hostCommands,
      (await import('./why.ts')).hostWhy,
    ],
  },
  {
    name: 'kms',
    summary: 'Run a KMS node, and prepare one',
    load: async () => [
      ...(await import('./kms.ts')).kmsCommands,
      (await import('./why.ts')).kmsWhy,
    ],
  },
  {
    name: 'relayer',
    summary: 'Run a relayer',
    load: async () => (await import('./relayer.ts')).relayerCommands,
  },
  {
    name: 'indexer',
    summary: 'Run an indexer',
    load: async () => (await import('./indexer.ts')).indexerCommands,
  },
  {
    name: 'worker',
    summary: 'Answer the requests of an app, in its CVM',
    load: async () => (await import('./worker.ts')).workerCommands,
  },
  {
    name: 'request',
    summary: 'Ask an app for work, and get the result or the fee back',
    load: async () => (await import('./request.ts')).requestCommands,
  },
  {
    name: 'auth',
    summary: 'Run the auth webhook of dstack KMS nodes',
    load: async () => (await import('./auth.ts')).authCommands,
  },
  {
    name: 'quote',
    summary: 'Show or verify a TDX quote',
    load: async () => (await import('./quote.ts')).quoteCommands,
  },
  {
    name: 'log',
    summary: 'Verify the release log of a KMS node',
    load: async () => (await import('./log.ts')).logCommands,
  },
  {
    name: 'deployment',
    summary: 'Deploy Assent, check it, upgrade it',
    load: async () => (await import('./deployment.ts')).deploymentCommands,
  },
  {
    name: 'simulate',
    summary: 'Try things out without hardware',
    load: async () => (await import('./simulate.ts')).simulateCommands,
  },
  {
    name: 'config',
    summary: 'Show the settings of commands',
    load: async () => (await import('./config.ts')).configCommands,
  },
]

/** Commands of one word. */
export const singleCommands: readonly Command[] = [dashboard, completion]

/** All commands of all groups. */
export async function loadCommands(): Promise<readonly Command[]> {
  return (await Promise.all(groups.map(({ load }) => load()))).flat()
}
