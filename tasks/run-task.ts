/** Runs a command as a Hardhat task: the chain and the accounts come from Hardhat's configuration. */
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import type { NewTaskActionFunction } from 'hardhat/types/tasks'
import type { Result } from 'hardhat/types/utils'
import { errorResult, successfulResult } from 'hardhat/utils/result'

import type { Command } from '../src/commands/command.ts'
import { exitCodeOf, exitCodes } from '../src/commands/exit-code.ts'
import { reportError } from '../src/commands/output/report-error.ts'
import type { CommonValues, Context } from '../src/commands/session/context.ts'
import { onDemand } from '../src/commands/session/on-demand.ts'
import { openContext } from '../src/commands/session/open-context.ts'
import { openChain, openDeployment } from '../src/commands/session/open-session.ts'
import { readProfile } from '../src/commands/session/profile.ts'
import { ownValues, runCommand } from '../src/commands/session/run-command.ts'
import { openContractSources } from '../src/deploy/contract-sources.ts'
import { AssentError } from '../src/errors/index.ts'
import { hardhatNetwork } from './hardhat-network.ts'

/** The action of a command's task. Errors are reported once, with their code. */
export function actionOf(command: Command): NewTaskActionFunction {
  return async (taskArguments, hre): Promise<Result<unknown, AssentError>> => {
    const { json, yes, from, deployments, profile } = taskArguments as TaskValues
    const common = { json: json === true, yes: yes === true, from, deployments }
    try {
      const { value, exitCode } = await runCommand(
        command,
        ownValues(command, taskArguments),
        common,
        {
          open: (opened) => open(opened, common, profile, hre),
        },
      )
      exitWith(exitCode)
      return successfulResult(value)
    } catch (error) {
      reportError(error, common.json)
      exitWith(exitCodeOf(error))
      return errorResult(error instanceof AssentError ? error : unexpected(error))
    }
  }
}

async function open(
  command: Command,
  common: CommonValues,
  profileName: string | undefined,
  hre: HardhatRuntimeEnvironment,
): Promise<Context> {
  const { deployments } = common
  // the variable is Hardhat's own there: a network of its configuration uses it
  const { ASSENT_RPC_URL: _, ...env } = process.env
  const profile = await readProfile({ profile: profileName, deployments }, env)
  const context = openContext(command, common, profile)
  const openNetwork = async () =>
    openChain(context, await hardhatNetwork(hre), {
      deployments: profile.deployments,
      from: common.from,
      sources: () => openContractSources(async () => hre),
    })
  if (command.needs === 'on-demand') {
    return onDemand(context, async () => openDeployment(await openNetwork()))
  }
  const chain = await openNetwork()
  return command.needs === 'chain' ? chain : openDeployment(chain)
}

/** Hardhat sets its own exit code after the task, so the command's is set when the process ends. */
function exitWith(code: number): void {
  if (code === exitCodes.yes || process.env.VITEST !== undefined) return
  process.once('exit', () => {
    process.exitCode = code
  })
}

function unexpected(cause: unknown): AssentError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new AssentError('UNEXPECTED', message, { cause })
}

interface TaskValues {
  readonly json?: boolean
  readonly yes?: boolean
  readonly from?: string
  readonly deployments?: string
  readonly profile?: string
  readonly [name: string]: unknown
}
