/** The contract type of each name in a deployment record. Without it, a record could call any code a timelock. */
import type { DeployedContract, Deployment } from '../record/deployments.ts'
import { proxyOf } from '../record/deployments.ts'
import type { CheckContext } from './context.ts'
import { type DeploymentFinding, exactly } from './finding.ts'
import { upgradeableContracts } from './proxies.ts'

const proxyType = 'ERC1967Proxy'

/** Contract types by name in the record. */
const typesByName: Readonly<Record<string, readonly string[]>> = {
  votes: ['AssentVotes', 'AssentVotesWrapper'],
  timelock: ['TimelockController'],
  governor: ['AssentGovernor'],
  bootEvaluator: ['BootEvaluator'],
  issuerUpload: ['IssuerUpload'],
  documentUpload: ['DocumentUpload'],
  p256: ['P256Solidity'],
  quoteVerifier: ['QuoteVerifier'],
  bootLog: ['BootLog'],
  heartbeat: ['Heartbeat'],
  instances: ['Instances'],
  appSigner: ['AppSigner'],
  appSigners: ['AppSigners'],
  requests: ['Requests'],
  daoFactory: ['DaoFactory'],
  ...Object.fromEntries(Object.keys(upgradeableContracts).map((name) => [name, [proxyType]])),
}

/** `CreationCode` contracts of the factory, and the contract whose creation code each stores. */
export const heldContracts: Readonly<Record<string, string>> = {
  governorHead: 'AssentGovernor',
  governorTail: 'AssentGovernor',
  timelockCode: 'TimelockController',
  votesCode: 'AssentVotes',
  wrapperCode: 'AssentVotesWrapper',
}

/** One finding: each name in the record has the contract type that it requires. */
export function checkTypes({ deployment }: CheckContext): DeploymentFinding[] {
  const wrong = Object.entries(deployment.contracts).flatMap(([name, recorded]) =>
    isOfItsType(deployment, name, recorded) ? [] : [`${name} is ${describeType(recorded)}`],
  )
  return [
    {
      code: 'TYPE',
      holds: wrong.length === 0,
      what: 'each recorded contract has the type of its name',
      found: wrong.length === 0 ? 'yes' : wrong.join(', '),
    },
  ]
}

function isOfItsType(deployment: Deployment, name: string, recorded: DeployedContract): boolean {
  const { contract, creationCodePart: part } = recorded
  const held = heldContracts[name]
  if (held !== undefined) return contract === 'CreationCode' && part?.contract === held
  if (part !== undefined) return false
  const proxy = proxyOf(deployment, name)
  if (proxy !== undefined) return isImplementationOf(proxy, name, contract)
  return typesByName[name]?.includes(contract) ?? false
}

/** Only an upgrade, which the DAO decides, records an implementation with a number; its type can be a next version. */
function isImplementationOf(proxy: string, name: string, contract: string): boolean {
  const type =
    proxy === 'app' ? 'App' : upgradeableContracts[proxy as keyof typeof upgradeableContracts]
  if (type === undefined) return false
  return contract === type || (/\d$/.test(name) && contract.replace(/V\d+$/, '') === type)
}

function describeType({ contract, creationCodePart: part }: DeployedContract): string {
  return part === undefined ? contract : `${contract} of ${part.contract}`
}

/** One finding for each linked library: it is the recorded contract of that type, whose code is compared too. */
export function checkLibraries({ deployment: { contracts } }: CheckContext): DeploymentFinding[] {
  return Object.entries(contracts).flatMap(([name, { libraries = {} }]) =>
    Object.entries(libraries).map(([library, address]) =>
      exactly(
        'LIBRARY',
        `library ${library} of ${name}, as recorded`,
        [address],
        Object.values(contracts)
          .filter(({ contract }) => contract === library)
          .map((each) => each.address),
      ),
    ),
  )
}
