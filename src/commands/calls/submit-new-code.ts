import type { Address, StateOverride } from 'viem'
import { z } from 'zod'
import type { Call } from '../../chain/call.ts'
import type { ContractSources } from '../../deploy/contract-sources.ts'
import {
  planUpgrade,
  type UpgradeableName,
  type UpgradePlan,
  upgradeable,
} from '../../deploy/upgrade.ts'
import { AssentError } from '../../errors/index.ts'
import { readCode } from '../input/contracts.ts'
import type { OwnerArguments } from '../options.ts'
import { address } from '../output/json.ts'
import { createOutput } from '../output/output.ts'
import { openDeployment } from '../session/open-session.ts'
import type { Session } from '../session/session.ts'
import { submissionSchema } from './submission.ts'
import { submitCalls } from './submit-calls.ts'
import { updateRecord } from './update-record.ts'
import { warnAboutPinnedCode } from './warn-about-pins.ts'
/** Deploys code if necessary, and makes the calls that install it. */
export const newCodeSchema = submissionSchema({
  implementation: address,
  created: z.boolean().describe('whether this command deployed the code'),
})

/** Options of commands that replace code. */
export interface NewCodeArguments extends OwnerArguments {
  /** Address of deployed code; without it, the code of these sources is deployed. */
  readonly implementation: string | undefined
  /** Name of the contract in these sources, if it is not the recorded one. */
  readonly code: string | undefined
}

/** An upgrade: the proxy, the current code, and the calls that install new code. */
export interface NewCode {
  readonly proxy: UpgradeableName
  /** The current code. */
  readonly current: () => Promise<Address>
  /** The calls that install the new code. */
  readonly calls: (code: Address) => readonly Call[]
}

/** The session with an updated deployment record; in a dry run, the session as it is. */
export async function refreshRecord(session: Session, args: OwnerArguments): Promise<Session> {
  if (args.dryRun || (await updateRecord(session)).length === 0) return session
  return openDeployment(session)
}

/**
 * Uses the named code, or deploys that of these sources. Deployed code has no effect before the decision.
 *
 * @throws USAGE_INVALID, STORAGE_MOVED, and as submitCalls
 */
export async function submitNewCode(
  session: Session,
  args: NewCodeArguments,
  { proxy, current, calls }: NewCode,
) {
  if (args.implementation !== undefined) {
    if (args.code !== undefined) {
      throw new AssentError(
        'USAGE_INVALID',
        'Pass either the address of the code or --code, not both.',
      )
    }
    const code = await readCode(session, args.implementation, 'implementation')
    await warnAboutPinnedCode(session, proxy, code)
    const submission = await submitCalls(session, calls(code), args)
    return { implementation: code, created: false, ...submission }
  }
  const plan = await planNewCode(session, args, proxy, await current())
  await warnAboutPinnedCode(session, proxy, plan.address, plan.stateOverride)
  // gives the planned code its name in descriptions
  const named = { ...session, addresses: { ...session.addresses, [plan.name]: plan.address } }
  const submit = (by: Session, how: OwnerArguments, stateOverride?: StateOverride) =>
    submitCalls(by, calls(plan.address), how, stateOverride)
  if (plan.create === undefined || args.dryRun) {
    const submission = await submit(named, args, plan.stateOverride)
    return { implementation: plan.address, created: false, ...submission }
  }
  // simulate the decision first, so that a refusal costs nothing
  const silent = { ...named, output: createOutput({ json: true }) }
  await submit(silent, { ...args, dryRun: true }, plan.stateOverride)
  await session.confirm()
  await plan.create()
  return { implementation: plan.address, created: true, ...(await submit(named, args)) }
}

async function planNewCode(
  session: Session,
  args: NewCodeArguments,
  proxy: UpgradeableName,
  inForce: Address,
): Promise<UpgradePlan> {
  const clients = await session.signer()
  const sources = await session.sources()
  const plan = await planUpgrade({
    ...clients,
    proxy,
    inForce,
    ...(args.code === undefined ? {} : { contract: args.code }),
    artifacts: (contract) => readArtifact(sources, contract),
    storage: sources.storage,
    released: await sources.released(),
    record: { folder: session.deployments, commit: sources.commit, compiler: sources.compiler },
    onStep: (words) => session.output.line(words),
  })
  printPlan(session, plan, clients.walletClient.account.address)
  return plan
}

/** @throws USAGE_INVALID */
async function readArtifact(sources: ContractSources, contract: string) {
  if (await sources.has(contract)) return sources.artifact(contract)
  throw new AssentError('USAGE_INVALID', `--code: these sources have no contract ${contract}.`, {
    facts: { found: contract, usual: Object.values(upgradeable) },
  })
}

function printPlan(
  { output }: Session,
  { name, contract, address: at, replaces, keeps, create }: UpgradePlan,
  account: Address,
): void {
  const where = `${name} (${contract}), at ${at}`
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
