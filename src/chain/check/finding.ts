/** One thing that must hold of a deployment, by a code that stays, and what was found. */
import { type Address, getAddress, zeroAddress } from 'viem'

/** What each code says if it does not hold; the list in docs/governance.md is of these. */
export const findingCodes = {
  INCOMPLETE: 'the deployment stopped in the middle',
  SILENT: 'a contract does not answer as what it must be',
  ROLE_ADMIN: 'somebody beside the timelock itself can give away its roles',
  ROLE_PROPOSER: 'somebody beside the governor can schedule operations',
  ROLE_CANCELLER: 'somebody beside the governor can cancel operations',
  ROLE_EXECUTOR: 'somebody beside the governor can execute, so that a late decision could fire',
  ROLE_UNKNOWN: 'somebody has a role that nobody knows',
  GOVERNOR_TIMELOCK: 'the governor decides for another timelock',
  GOVERNOR_VOTES: 'the governor counts another token',
  SETTING: 'the DAO decides faster, slower or with fewer votes than intended',
  OWNER: 'a registry has another owner than the timelock',
  PENDING_OWNER: 'a registry is on its way to another owner',
  GUARDIAN: 'the guardian is not the intended one, or not the same everywhere',
  UPGRADES: 'somebody beside the DAO can replace code',
  PERMISSION_DEPLOYER: 'the deployer can call what only the DAO may',
  PERMISSION_GUARDIAN: 'the guardian can call what only the DAO may',
  PERMISSION_ANYONE: 'anyone can call what only the DAO may',
  DEPLOYER_HOLDS: 'the deployer has votes, or is the guardian',
  IMPLEMENTATION: 'another implementation than the recorded one is behind a proxy',
  INITIALIZABLE: 'anyone can initialize an implementation',
  CODE: 'the code is not what these sources and the recorded arguments make',
  RECORD: 'the record tells of another transaction, block or initialization than the chain',
  COMPILER: 'the recorded compiler settings are not those of this checkout',
  COMMIT: 'the contracts of the recorded commit are not those of this checkout',
  APP_IMPLEMENTATION: 'new apps are made of other code',
  HOSTS: 'the KMSs ask another registry of hosts',
  IMAGES: 'the KMSs ask another registry of images',
  VERIFIER: 'a registry believes another quote verifier',
  BONDS: 'the registry of hosts asks another contract for bonds',
  KMS_AUTH: 'the registry of root keys asks another contract for measurements',
  ROOT: 'quotes lead back to another root key',
  P256: 'signatures are not verified on this chain',
  QUORUM_FLOOR: 'so few votes are a quorum that fewer than the DAO’s share of all tokens decide',
  UNBONDING: 'a bond leaves before the DAO could decide to slash it',
} as const satisfies Record<string, string>

export type FindingCode = keyof typeof findingCodes

export interface DeploymentFinding {
  readonly code: FindingCode
  readonly holds: boolean
  readonly what: string
  readonly found: string
}

/** These accounts, and no others. */
export function exactly(
  code: FindingCode,
  what: string,
  found: readonly string[],
  expected: readonly string[],
): DeploymentFinding {
  const normal = (list: readonly string[]) => list.map((each) => getAddress(each)).sort()
  const [is, must] = [normal(found), normal(expected)]
  return {
    code,
    holds: is.join() === must.join(),
    what,
    found: is.map(named).join(', ') || 'nobody',
  }
}

export function oneOf(
  code: FindingCode,
  what: string,
  found: Address,
  allowed: readonly Address[],
): DeploymentFinding {
  const holds = allowed.some((each) => getAddress(each) === getAddress(found))
  return { code, holds, what, found: named(found) }
}

function named(address: string): string {
  return address === zeroAddress ? 'nobody' : getAddress(address)
}
