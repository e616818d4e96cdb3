/** Runs one command with the values that the command line has read. */
import type { Command } from '../commands/command.ts'
import { exitCodeOf } from '../commands/exit-code.ts'
import { reportError } from '../commands/output/report-error.ts'
import type { CommonValues, Context } from '../commands/session/context.ts'
import { ownValues, runCommand } from '../commands/session/run-command.ts'
import type { SettingOptions } from '../commands/session/settings.ts'

/** Opens the context of a command from options, variables and the project file. */
export interface CommandLineDoor {
  /**
   * Reads settings and returns the context of a command; `ChainContext` or `Session` if the command needs a chain.
   *
   * @throws CONFIG_INVALID, CHAIN_*, DEPLOYMENT_INVALID
   */
  open(command: Command, common: CommonValues, settings: SettingOptions): Promise<Context>
}

/** Runs a command, prints its JSON value or its error, and sets the exit code of the process. */
export async function runFromCommandLine(
  command: Command,
  given: Readonly<Record<string, unknown>>,
  door: CommandLineDoor,
): Promise<void> {
  const { json, yes, from, deployments, profile, rpcUrl, browser } = given as CommandLineValues
  const common = { json: json === true, yes: yes === true, from, deployments }
  try {
    const { exitCode } = await runCommand(command, ownValues(command, given), common, {
      open: (opened) => door.open(opened, common, { profile, rpcUrl, deployments, browser, from }),
    })
    process.exitCode = exitCode
  } catch (error) {
    reportError(error, common.json)
    process.exitCode = exitCodeOf(error)
  }
}

interface CommandLineValues {
  readonly json?: boolean
  readonly yes?: boolean
  readonly from?: string
  readonly deployments?: string
  readonly profile?: string
  readonly rpcUrl?: readonly string[]
  readonly browser?: boolean
  readonly [name: string]: unknown
}
