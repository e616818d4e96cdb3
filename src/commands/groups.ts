/** The groups of commands. A group is loaded when one of its commands is used or listed. */
import type { Command } from './command.ts'

export interface Group {
  readonly name: string
  /** One line. */
  readonly summary: string
  readonly load: () => Promise<readonly Command[]>
}

export const groups: readonly Group[] = [
  {
    name: 'dao',
    summary: 'Propose, vote, approve and suspend',
    load: async () => (await import('./dao.ts')).daoCommands,
  },
  {
    name: 'app',
    summary: 'Prepare, approve and follow the releases of an app',
    load: async () => (await import('./app-release.ts')).releaseCommands,
  },
  {
    name: 'host',
    summary: 'Register hosts, and see why one is admitted or not',
    load: async () => (await import('./app-release.ts')).hostReleaseCommands,
  },
  {
    name: 'kms',
    summary: 'Run a KMS node, and prepare one',
    load: async () => [
      ...(await import('./kms.ts')).kmsCommands,
      ...(await import('./app-release.ts')).kmsReleaseCommands,
    ],
  },
  {
    name: 'relayer',
    summary: 'Run a relayer',
    load: async () => (await import('./relayer.ts')).relayerCommands,
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
    name: 'config',
    summary: 'Show the settings of commands',
    load: async () => (await import('./config.ts')).configCommands,
  },
]

/** All commands of all groups. */
export async function loadCommands(): Promise<readonly Command[]> {
  return (await Promise.all(groups.map(({ load }) => load()))).flat()
}
