/** Actions that replace the code of a contract, an app or new apps. */
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import { type Address, isHex, type StateOverride } from 'viem'
import type { Call } from '../src/chain/call.ts'
import { implementationOf } from '../src/chain/check/code.ts'
import { requireNotAfter, setAppImplementation, upgrade } from '../src/chain/governance/settings.ts'
import { type ContractSources, openContractSources } from '../src/deploy/contract-sources.ts'
import {
  codeOfNewApps,
  planUpgrade,
  type UpgradeableName,
  type UpgradePlan,
  upgradeable,
} from '../src/deploy/upgrade.ts'
import { AssentError } from '../src/errors/index.ts'
import { withoutDeployment } from './action.ts'
import { type OwnerArguments, readNotAfter, submitCalls } from './execute-plan.ts'
import { warnAboutPinnedCode } from './pinned-code.ts'
import {
  confirm,
  createOutput,
  openSession,
  type Session,
  signerOf,
  updateRecord,
} from './session.ts'
import { type ContractArguments, readCode, readContract } from './settings.actions.ts'

interface CodeArguments extends OwnerArguments {
  readonly implementation?: string
  readonly code?: string
}

export const replaceCode = withoutDeployment<CodeArguments & ContractArguments & { call?: string }>(
  async (args, hre) => {
    const session = await openUpdatedSession(args, hre)
    const contract = await readContract(session, args.contract)
    const data = args.call ?? '0x'
    if (!isHex(data, { strict: true }) || data.length % 2 !== 0) {
      throw new AssentError('USAGE_INVALID', '--call: calldata in hexadecimal digits.')
    }
    // an app is no contract of the deployment, nor is its owner the DAO
    const isApp = args.contract.startsWith('0x')
    const deadline = isApp
      ? []
      : [requireNotAfter(session.addresses.kmsAuth, await readNotAfter(args, session))]
    return withCode(session, args, hre, {
      proxy: isApp ? 'app' : (args.contract as UpgradeableName),
      inForce: () => implementationOf(session.publicClient, contract),
      calls: (code) => [...deadline, upgrade(contract, code, data)],
    })
  },
)

export const changeAppImplementation = withoutDeployment<CodeArguments>(async (args, hre) => {
  const session = await openUpdatedSession(args, hre)
  const { kmsAuth } = session.addresses
  return withCode(session, args, hre, {
    proxy: 'app',
    inForce: () => codeOfNewApps(session.publicClient, kmsAuth),
    calls: (code) => [setAppImplementation(kmsAuth, code)],
  })
})

/** Opens a session and updates its record first, except in a dry run. */
async function openUpdatedSession(
  args: CodeArguments,
  hre: HardhatRuntimeEnvironment,
): Promise<Session> {
  const session = await openSession(args, hre)
  if (args.dryRun || (await updateRecord(session, args)).length === 0) return session
  return openSession(args, hre)
}

interface NewCode {
  readonly proxy: UpgradeableName
  readonly inForce: () => Promise<Address>
  /** What puts it in force. */
  readonly calls: (code: Address) => readonly Call[]
}

/** Uses the named code, or deploys that of these sources. Deployed code has no effect before the decision. */
async function withCode(
  session: Session,
  args: CodeArguments,
  hre: HardhatRuntimeEnvironment,
  { proxy, inForce, calls }: NewCode,
): Promise<Record<string, unknown>> {
  if (args.implementation !== undefined) {
    if (args.code !== undefined) {
      throw new AssentError(
        'USAGE_INVALID',
        'Pass either the address of the code or --code, not both.',
      )
    }
    const code = await readCode(session, args.implementation, 'implementation')
    await warnAboutPinnedCode(session, proxy, code)
    return { implementation: code, ...(await submitCalls(session, calls(code), args)) }
  }
  const clients = await signerOf(session, args.from)
  const sources = await openContractSources(async () => hre)
  const plan = await planUpgrade({
    ...clients,
    proxy,
    inForce: await inForce(),
    ...(args.code === undefined ? {} : { contract: args.code }),
    artifacts: (contract) => artifactOf(sources, contract),
    storage: sources.storage,
    released: await sources.released(),
    record: { folder: args.deployments, commit: sources.commit, compiler: sources.compiler },
    onStep: (words) => session.output.line(words),
  })
  printCode(session, plan, clients.walletClient.account.address)
  await warnAboutPinnedCode(session, proxy, plan.address, plan.stateOverride)
  // gives the planned code its name in descriptions
  const named = { ...session, addresses: { ...session.addresses, [plan.name]: plan.address } }
  const decide = (by: Session, deciding: CodeArguments, stateOverride?: StateOverride) =>
    submitCalls(by, calls(plan.address), deciding, stateOverride)
  if (plan.create === undefined || args.dryRun) {
    return {
      implementation: plan.address,
      created: false,
      ...(await decide(named, args, plan.stateOverride)),
    }
  }
  // simulate the decision first, so that a refusal costs nothing
  await decide(
    { ...named, output: createOutput(true) },
    { ...args, dryRun: true },
    plan.stateOverride,
  )
  await confirm(args, args.json)
  await plan.create()
  return { implementation: plan.address, created: true, ...(await decide(named, args)) }
}

/** @throws USAGE_INVALID */
async function artifactOf(sources: ContractSources, contract: string) {
  if (await sources.has(contract)) return sources.artifact(contract)
  throw new AssentError('USAGE_INVALID', `--code: these sources have no contract ${contract}.`, {
    facts: { found: contract, usual: Object.values(upgradeable) },
  })
}

function printCode(
  { output }: Session,
  { name, contract, address, replaces, keeps, create }: UpgradePlan,
  account: Address,
): void {
  const where = `${name} (${contract}), at ${address}`
  output.heading(
    create === undefined
      ? `The code of these sources is already deployed: ${where}.`
      : `${account} would first deploy the code of these sources: ${where}.`,
  )
  if (keeps === 'all') output.line(`  Its storage layout is compatible with ${replaces}.`)
  else
    output.warning(
      `  It is older than ${replaces}: state that only the newer code uses stays in storage, unused.`,
    )
  if (create !== undefined)
    output.line('  This changes nothing yet: the code is recorded and waits for the decision.')
}
