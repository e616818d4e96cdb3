/** The followed contracts: which events each has, by the role of the contract. */
import type { ContractEvents } from '../change.ts'
import { appEvents } from './app.ts'
import { governorEvents } from './governor.ts'
import { heartbeatEvents } from './heartbeat.ts'
import { hostBondsEvents } from './host-bonds.ts'
import { hostsEvents } from './hosts.ts'
import { imagesEvents } from './images.ts'
import { kmsAuthEvents } from './kms-auth.ts'
import { rootKeysEvents } from './root-keys.ts'
import { timelockEvents } from './timelock.ts'
import { votesEvents } from './votes.ts'

/** Roles, named as contracts in a deployment record; `app` is the contract of any registered app. */
export const eventsOfRole = {
  kmsAuth: kmsAuthEvents,
  hosts: hostsEvents,
  images: imagesEvents,
  rootKeys: rootKeysEvents,
  hostBonds: hostBondsEvents,
  heartbeat: heartbeatEvents,
  governor: governorEvents,
  votes: votesEvents,
  timelock: timelockEvents,
  app: appEvents,
} as const satisfies Record<string, ContractEvents>

/** What a followed contract is. */
export type Role = keyof typeof eventsOfRole
