/** Runs a command for a front door. */
import type { z } from 'zod'

import { AssentError } from '../../errors/index.ts'
import { escapeLines } from '../../lib/printable.ts'
import { type Command, hasValue, kebabCase } from '../command.ts'
import type { ExitCode } from '../exit-code.ts'
import type { CommonValues, Context } from './context.ts'

/** The exports of the module of a command. */
export interface CommandModule {
  /** Executes the command and returns its JSON value, in which big numbers are `bigint`. */
  run(args: never, context: never): Promise<unknown> | AsyncIterable<unknown>
  /** The JSON value, or line, that `--json` prints; absent if the command is a service. */
  readonly schema?: z.ZodType
  /** The exit code of a value, or of a list of lines, that is not simply a yes; absent: 0. */
  exitCode?(value: never): ExitCode
}

/** Values of a command's own arguments and options. */
export type Values = Readonly<Record<string, unknown>>

/**
 * The values of a command's own arguments and options, out of everything that a front door has read. A command can have an
 * option with the name of a front door's: `kms onboard --from`.
 */
export function ownValues(command: Command, given: Values): Values {
  const names = [...Object.keys(command.arguments), ...Object.keys(command.options)]
  return Object.fromEntries(names.map((name) => [name, given[name]]))
}

/** A way to run commands: the command line, or Hardhat. */
export interface FrontDoor {
  /** Opens what the command needs: a `Context`, an `OnDemandContext`, a `ChainContext` or a `Session`. */
  open(command: Command, common: CommonValues): Promise<Context>
}

/** The value and the exit code of a command that has ended. */
export interface Finished {
  readonly value: unknown
  readonly exitCode: ExitCode
}

/**
 * Runs a command and prints its JSON value if `--json` is given.
 *
 * @throws AssentError of the command; USAGE_INVALID for a missing option or a value outside the choices
 */
export async function runCommand(
  command: Command,
  values: Values,
  common: CommonValues,
  door: FrontDoor,
): Promise<Finished> {
  requireOptions(command, values)
  requireChoices(command, values)
  const module = (await command.load()) as CommandModule
  const context = await door.open(command, common)
  try {
    const value = await finish(module.run(values as never, context as never), common)
    if (common.json && command.isService !== true && command.hasLines !== true) {
      console.log(toJson(value))
    }
    return { value, exitCode: module.exitCode?.(value as never) ?? 0 }
  } finally {
    context.output.pause()
    await context.close?.()
  }
}

/** The value, or the list of all lines, each of which is printed as soon as it is there. */
async function finish(
  running: Promise<unknown> | AsyncIterable<unknown>,
  { json }: CommonValues,
): Promise<unknown> {
  if (!(Symbol.asyncIterator in running)) return running
  const lines: unknown[] = []
  for await (const line of running) {
    if (json) console.log(toJson(line))
    lines.push(line)
  }
  return lines
}

/**
 * JSON numbers cannot hold 256-bit integers, so they become text. Characters that a terminal would obey are escaped, which is
 * the same JSON value.
 */
export function toJson(value: unknown): string {
  const json = JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? each.toString() : each,
  )
  return escapeLines(json)
}

function requireOptions({ options }: Command, values: Values): void {
  for (const [name, option] of Object.entries(options)) {
    if (!hasValue(option) || option.isRequired !== true || values[name] !== undefined) continue
    const flag = `--${kebabCase(name)}`
    throw new AssentError('USAGE_INVALID', `The option ${flag} is missing.`, {
      facts: { option: flag },
    })
  }
}

function requireChoices(command: Command, values: Values): void {
  const described = [
    ...Object.entries(command.arguments).map(([name, { choices }]) => ({
      name,
      label: name,
      choices,
    })),
    ...Object.entries(command.options).map(([name, option]) => ({
      name,
      label: `--${kebabCase(name)}`,
      choices: hasValue(option) ? option.choices : undefined,
    })),
  ]
  for (const { name, label, choices } of described) {
    const given = values[name]
    if (choices === undefined || given === undefined) continue
    const wrong = [given].flat().find((each) => !choices.includes(String(each)))
    if (wrong === undefined) continue
    throw new AssentError(
      'USAGE_INVALID',
      `${label}: expected one of ${choices.join(', ')}, found "${wrong}".`,
      { facts: { argument: label, found: wrong, expected: choices } },
    )
  }
}
