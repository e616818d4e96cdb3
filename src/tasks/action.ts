/** How a task runs: on one deployment, with one report of whatever goes wrong. */
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import type { NewTaskActionFunction } from 'hardhat/types/tasks'
import type { Result } from 'hardhat/types/utils'
import { errorResult, successfulResult } from 'hardhat/utils/result'

import { reportError } from '../cli/report.ts'
import { AssentError } from '../errors/index.ts'
import { type CommonArguments, openSession, type Session } from './session.ts'

/** Runs a task on its deployment; whatever goes wrong is reported once, by its code. */
export function action<args extends CommonArguments>(
  run: (args: args, session: Session) => Promise<unknown>,
): NewTaskActionFunction {
  return withoutDeployment<args>(async (args, hre) => run(args, await openSession(args, hre)))
}

/** The same for a task that is there before a deployment is. */
export function withoutDeployment<args extends CommonArguments>(
  run: (args: args, hre: HardhatRuntimeEnvironment) => Promise<unknown>,
): NewTaskActionFunction {
  return async (taskArguments, hre): Promise<Result<unknown, AssentError>> => {
    // Hardhat has read them by the definition beside the action
    const args = taskArguments as args
    try {
      const value = await run(args, hre)
      if (args.json) console.log(JSON.stringify(value, numbersAsText))
      return successfulResult(value)
    } catch (error) {
      reportError(error, args.json)
      return errorResult(error instanceof AssentError ? error : unexpected(error))
    }
  }
}

/** Integers of the chain are wider than those of JSON. */
function numbersAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

function unexpected(cause: unknown): AssentError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new AssentError('UNEXPECTED', message, { cause })
}
