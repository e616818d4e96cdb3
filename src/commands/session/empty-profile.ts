/** The settings of commands that need none. It is not in `profile.ts`, which loads the parser of project files. */
import type { Profile } from './settings.ts'

/** No project file, no endpoints and the defaults of everything else. */
export const emptyProfile: Profile = {
  name: undefined,
  file: undefined,
  rpcUrls: [],
  chainId: undefined,
  deployments: 'deployments',
  account: { kind: 'node' },
  governor: undefined,
  app: undefined,
  kms: undefined,
  relayer: undefined,
  indexer: undefined,
  pccs: undefined,
  simulatedHost: undefined,
  names: new Map(),
  sources: {},
}
