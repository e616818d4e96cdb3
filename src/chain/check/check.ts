/**
 * Whether a deployment is as it must be: who may propose, who owns, who can only deny, how long it takes, which
 * code is where, whose quotes count. The record only says where to check; everything is read from the chain.
 */
import { BaseError, type PublicClient } from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import { toChainError } from '../call.ts'
import { type Deployment, deployedAddresses } from '../deployments.ts'
import {
  checkCode,
  checkImplementation,
  checkInitializersDisabled,
  checkSources,
  type Sources,
} from './code.ts'
import type { CheckContext } from './context.ts'
import { type ExpectedSettings, recordedSettings } from './expected-settings.ts'
import type { DeploymentFinding } from './finding.ts'
import {
  checkGovernor,
  checkOwned,
  checkQuorum,
  checkRoles,
  checkSettings,
  checkUnbonding,
} from './governance-settings.ts'
import { checkDeployerHoldings, checkPermissions } from './permissions.ts'
import { type OwnedContractName, ownedContracts } from './proxies.ts'
import { checkTransactions } from './record.ts'
import { checkVerifier } from './verifier.ts'
import { checkWiring } from './wiring.ts'

export interface CheckOptions {
  /** Whose quotes must count; needed where a verifier is deployed. */
  readonly root?: TrustAnchor
  /** Compiled sources; without them neither code nor compiler nor commit is compared. */
  readonly sources?: Sources
  /** How the DAO must decide now; as it was deployed if absent. */
  readonly expected?: ExpectedSettings
}

/** @throws CHAIN_UNREACHABLE, DEPLOYMENT_INVALID, INPUT_INVALID */
export async function checkDeployment(
  client: PublicClient,
  deployment: Deployment,
  options: CheckOptions = {},
): Promise<DeploymentFinding[]> {
  const addresses = deployedAddresses(deployment)
  const { root, sources, expected = recordedSettings(deployment) } = options
  if (addresses.quoteVerifier !== undefined && root === undefined) {
    throw new AssentError(
      'INPUT_INVALID',
      'Say whose quotes must count: intel, or a root certificate.',
    )
  }
  const names = (Object.keys(ownedContracts) as OwnedContractName[]).filter(
    (name) => addresses[name] !== undefined,
  )
  const context: CheckContext = { client, deployment, addresses, names, expected }
  const parts: [string, () => Promise<DeploymentFinding[]>][] = [
    ['the record', async () => [checkPending(deployment)]],
    ['the timelock', () => checkRoles(context)],
    ['the governor', () => checkGovernor(context)],
    ['how the DAO decides', () => checkSettings(context)],
    ['the quorum', () => checkQuorum(context)],
    ['the time that bonds stay', () => checkUnbonding(context)],
    ...names.flatMap((name): [string, () => Promise<DeploymentFinding[]>][] => [
      [name, () => checkOwned(context, name)],
      [`the implementation of ${name}`, async () => [await checkImplementation(context, name)]],
    ]),
    ['implementations', () => checkInitializersDisabled(context)],
    ['what anyone can call', () => checkPermissions(context)],
    ['what the deployer holds', () => checkDeployerHoldings(context)],
    ['who asks whom', () => checkWiring(context)],
    ['the quote verifier', () => checkVerifier(context, root)],
    ['how it came there', () => checkTransactions(context)],
  ]
  if (sources !== undefined) {
    parts.push(
      ['sources', () => checkSources(context, sources)],
      ['code', () => checkCode(context, sources)],
    )
  }
  const findings: DeploymentFinding[] = []
  for (const [what, check] of parts) findings.push(...(await runPart(what, check)))
  return findings
}

/** A contract that refuses to answer is a finding; an endpoint that does is none. */
async function runPart(
  what: string,
  check: () => Promise<DeploymentFinding[]>,
): Promise<DeploymentFinding[]> {
  try {
    return await check()
  } catch (cause) {
    const error = toChainError(cause, `check ${what}`)
    if (error.code !== 'CALL_REVERTED' && !isOtherAnswer(cause)) throw error
    return [{ code: 'SILENT', holds: false, what: `${what} answers`, found: error.message }]
  }
}

/** The endpoint answered, but not with data that this function can return: another contract is at the address. */
export function isOtherAnswer(cause: unknown): boolean {
  if (!(cause instanceof BaseError)) return false
  const names = /^(AbiDecoding|ContractFunctionZeroData|InvalidBytesBoolean|PositionOutOfBounds)/
  return cause.walk((error) => error instanceof Error && names.test(error.name)) !== null
}

function checkPending({ pending }: Deployment): DeploymentFinding {
  return {
    code: 'INCOMPLETE',
    holds: pending === undefined,
    what: 'the deployment is complete',
    found: pending === undefined ? 'yes' : `it stopped at ${pending.name}: run it again`,
  }
}
