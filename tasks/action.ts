/** Wraps task actions: opens the session, prints JSON, and reports errors once. */
import type { HardhatRuntimeEnvironment } from 'hardhat/types/hre'
import type { NewTaskActionFunction } from 'hardhat/types/tasks'
import type { Result } from 'hardhat/types/utils'
import { errorResult, successfulResult } from 'hardhat/utils/result'

import { reportError } from '../src/commands/output/report-error.ts'
import { AssentError } from '../src/errors/index.ts'
import { type CommonArguments, openSession, type Session } from './session.ts'

/** An action of a task on a deployment. Errors are reported once, with their code. */
export function action<args extends CommonArguments>(
  run: (args: args, session: Session) => Promise<unknown>,
): NewTaskActionFunction {
  return withoutDeployment<args>(async (args, hre) => run(args, await openSession(args, hre)))
}

/** An action of a task that needs no deployment record. */
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

/** JSON numbers cannot hold 256-bit integers, so they become text. */
function numbersAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

function unexpected(cause: unknown): AssentError {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new AssentError('UNEXPECTED', message, { cause })
}
