/**
 * Checks a deployment: roles, owners, guardian, voting parameters, code and root of trust. The record only names the
 * addresses; everything else is read from the chain.
 */
import { BaseError, type PublicClient } from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import { toChainError } from '../call.ts'
import { type Deployment, deployedAddresses } from '../record/deployments.ts'
import {
  checkCode,
  checkImplementation,
  checkInitializersDisabled,
  checkSources,
  type Sources,
} from './code.ts'
import type { CheckContext } from './context.ts'
import { checkLibraries, checkTypes } from './contract-types.ts'
import { checkDaoFactory } from './dao-factory.ts'
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
import { checkHandOver, checkRegistryHistory, checkReplacedCode } from './history.ts'
import { checkDeployerHoldings, checkPermissions } from './permissions.ts'
import { type UpgradeableContractName, upgradeableContracts } from './proxies.ts'
import { checkTransactions } from './record.ts'
import { checkVerifier } from './verifier.ts'
import { checkWiring } from './wiring.ts'

/** Options of {@link checkDeployment}. */
export interface CheckOptions {
  /** The expected root of trust; required if a quote verifier is deployed. */
  readonly root?: TrustAnchor
  /** Compiled sources; without them, code, compiler and commit are not compared. */
  readonly sources?: Sources
  /** The expected voting parameters and guardian (default: those of the deployment). */
  readonly expected?: ExpectedSettings
}

/**
 * Checks a deployment and returns all findings, also those that hold. Calls only; nothing is sent.
 *
 * @throws CHAIN_UNREACHABLE, DEPLOYMENT_INVALID if the record is incomplete, INPUT_INVALID if `root` is missing
 * @example
 * const findings = await checkDeployment(client, deployment, { root: 'intel' })
 * const wrong = findings.filter(({ holds }) => !holds)
 */
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
      'The expected root of trust is missing: pass --root intel, or a file with a root certificate.',
    )
  }
  const names = (Object.keys(upgradeableContracts) as UpgradeableContractName[]).filter(
    (name) => addresses[name] !== undefined,
  )
  const context: CheckContext = { client, deployment, addresses, names, expected }
  const parts: [string, () => Promise<DeploymentFinding[]>][] = [
    ['the record', async () => [checkPending(deployment), ...checkTypes(context)]],
    ['libraries', async () => checkLibraries(context)],
    ['the timelock', () => checkRoles(context)],
    ['the events of the timelock', () => checkHandOver(context)],
    ['the governor', () => checkGovernor(context)],
    ['the voting parameters', () => checkSettings(context)],
    ['the quorum', () => checkQuorum(context)],
    ['the unbonding time', () => checkUnbonding(context)],
    ...names.flatMap((name): [string, () => Promise<DeploymentFinding[]>][] => [
      [name, () => checkOwned(context, name)],
      [`the implementation of ${name}`, async () => [await checkImplementation(context, name)]],
      [`the events of ${name}`, () => checkRegistryHistory(context, name)],
    ]),
    ['implementations', () => checkInitializersDisabled(context)],
    ['permissions', () => checkPermissions(context)],
    ['the votes of the deployer', () => checkDeployerHoldings(context)],
    ['references between contracts', () => checkWiring(context)],
    ['the DAO factory', () => checkDaoFactory(context, sources)],
    ['the quote verifier', () => checkVerifier(context, root)],
    ['the recorded transactions', () => checkTransactions(context)],
  ]
  if (sources !== undefined) {
    parts.push(
      ['sources', () => checkSources(context, sources)],
      ['code', () => checkCode(context, sources)],
      ['replaced code', () => checkReplacedCode(context, sources)],
    )
  }
  const findings: DeploymentFinding[] = []
  for (const [what, check] of parts) findings.push(...(await runPart(what, check)))
  return findings
}

/** A contract that does not answer is a finding. An endpoint that does not answer is an error. */
async function runPart(
  what: string,
  check: () => Promise<DeploymentFinding[]>,
): Promise<DeploymentFinding[]> {
  try {
    return await check()
  } catch (cause) {
    const error = toChainError(cause, `check ${what}`)
    if (error.code !== 'CALL_REVERTED' && !isOtherAnswer(cause)) throw error
    return [{ code: 'WRONG_CONTRACT', holds: false, what: `${what} answers`, found: error.message }]
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
    found:
      pending === undefined
        ? 'yes'
        : `it stopped at ${pending.name}: run assent deployment create again`,
  }
}
