/** Findings of the deployment check. Each has a stable code. */
import { type Address, getAddress, zeroAddress } from 'viem'

/** The fault behind a finding that does not hold, by its code. docs/governance.md contains this list. */
export const findingCodes = {
  INCOMPLETE: 'the deployment is incomplete',
  WRONG_CONTRACT: 'a contract does not answer like the expected contract',
  ROLE_ADMIN: 'another account than the timelock itself can grant its roles',
  ROLE_PROPOSER: 'another account than the governor can schedule operations',
  ROLE_CANCELLER: 'another account than the governor can cancel operations',
  ROLE_EXECUTOR:
    'another account than the governor can execute, so an expired decision could take effect',
  ROLE_HISTORY:
    'another account than the governor had a role of the timelock during the deployment',
  HANDOVER:
    'the deployer could use the timelock when a registry existed already, or made it schedule or execute an operation',
  ROLE_UNKNOWN: 'an account has an unknown role of the timelock',
  GOVERNOR_TIMELOCK: 'the governor uses another timelock',
  GOVERNOR_VOTES: 'the governor uses another votes token',
  SETTINGS: 'a voting parameter or suspension time differs from the expected settings',
  OWNER: 'the timelock is not the owner of a registry',
  PENDING_OWNER: 'a registry is offered to another owner',
  OWNER_HISTORY: 'another account than the timelock was once the owner of a registry',
  UPGRADE_HISTORY: 'a registry once ran code that neither its creation nor the DAO put in force',
  STORAGE: 'other code once wrote into the storage of a registry',
  GUARDIAN: 'the guardian differs from the expected settings or between contracts',
  UPGRADES: 'another account than the DAO can replace code',
  PERMISSION_DEPLOYER: 'the deployer can call a function that is only for the DAO',
  PERMISSION_GUARDIAN: 'the guardian can call a function that is only for the DAO',
  PERMISSION_ANYONE: 'anyone can call a function that is only for the DAO',
  DEPLOYER_HOLDS: 'the deployer has votes or tokens that become votes, or is the guardian',
  UNDERLYING: 'the code of the token behind wrapped votes is not part of Assent and is not checked',
  IMPLEMENTATION: 'a proxy has another implementation than recorded',
  INITIALIZABLE: 'anyone can initialize an implementation or a registry',
  REPLACED_CODE:
    'a registry once used code of other sources, which this checkout cannot compare: check out the commit of its record',
  CODE: 'the code differs from these sources with the recorded arguments',
  TYPE: 'a recorded contract has another type than its name requires',
  CREATION:
    'a contract was created by other code than these sources, which could have written anything into its storage',
  LIBRARY: 'a contract uses another library than the recorded one',
  RECORD: 'transaction, block or initialization in the record differ from the chain',
  COMPILER: 'the recorded compiler settings differ from this checkout',
  COMMIT: 'the contracts of the recorded commit differ from this checkout',
  APP_IMPLEMENTATION: 'new apps get other code than recorded',
  HOSTS: '`KmsAuth` uses another host registry',
  IMAGES: '`KmsAuth` uses another image registry',
  VERIFIER: 'a registry uses another quote verifier',
  BONDS: 'the host registry uses another bond contract',
  KMS_AUTH: 'the root key registry uses another `KmsAuth`',
  INSTANCES: 'the registry of instances, or the signers of apps, ask other contracts',
  REQUESTS: 'the contract of requests asks other contracts, or pays another account than the DAO',
  ROOT: 'the root of trust differs from the expected one',
  P256: 'P-256 signatures cannot be verified on this chain, or by unknown code',
  DAO_FACTORY: 'the DAO factory uses other creation code than recorded',
  QUORUM_FLOOR: 'the quorum is lower than the DAO’s share of the total token supply',
  UNBONDING: 'a bond can be paid out before the DAO can slash it',
} as const satisfies Record<string, string>

/** The code of a finding. A code never gets another meaning. */
export type FindingCode = keyof typeof findingCodes

/** One checked fact of a deployment. */
export interface DeploymentFinding {
  /** The fault if it does not hold; see {@link findingCodes}. */
  readonly code: FindingCode
  /** True: the chain is as expected. */
  readonly holds: boolean
  /** What was checked. */
  readonly what: string
  /** What the chain shows. */
  readonly found: string
  /** True: it was not found wrong, but this check cannot tell. `holds` is then false. */
  readonly isUnchecked?: true
}

/** Holds if the accounts found are exactly the expected ones, in any order. */
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

/** Holds if the address found is one of the allowed ones. */
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
