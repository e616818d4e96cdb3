/** The contracts of a deployment that the indexer follows. */
import type { Deployment } from '../chain/record/deployments.ts'
import type { Hex } from '../lib/bytes.ts'
import { eventsOfRole, type Role } from './contracts/index.ts'

/** Contracts with their roles, and the block from which their events are read. */
export interface Sources {
  readonly sources: readonly (readonly [Hex, Role])[]
  readonly fromBlock: number
}

/** The followed contracts of a deployment record: those whose name is a role. */
export function sourcesOf({ contracts }: Deployment): Sources {
  const sources = Object.entries(contracts).flatMap(([name, { address }]) =>
    Object.hasOwn(eventsOfRole, name) ? [[address, name as Role] as const] : [],
  )
  return { sources, fromBlock: Math.min(...Object.values(contracts).map(({ block }) => block)) }
}
