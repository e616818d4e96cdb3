/** Builds Hardhat tasks from the tables of commands: `npx hardhat assent <group> <verb> --network <name>`. */
import { emptyTask, task } from 'hardhat/config'
import { ArgumentType } from 'hardhat/types/arguments'
import type { TaskDefinition } from 'hardhat/types/tasks'

import { type Command, type Group, hasValue, type OptionTable } from '../src/commands/command.ts'
import { folderSummaries } from '../src/commands/folder-summaries.ts'
import { chainOptions, commonOptions, signerOptions } from '../src/commands/options.ts'

/** Options of tasks beside those of `--help`; `--profile` gives names and defaults, the network comes from Hardhat. */
const profileOption = {
  profile: { value: 'NAME', description: 'profile in assent.toml, for its names and defaults' },
} as const

/** The tasks of one group. Commands that need no chain are only in the command line. */
export function tasksOfGroup(
  { name, summary }: Group,
  commands: readonly Command[],
): TaskDefinition[] {
  const onChain = commands.filter(({ needs }) => needs !== 'nothing')
  if (onChain.length === 0) return []
  const folders = new Set(
    onChain.flatMap(({ path }) => path.slice(1, -1).map((_, i) => path.slice(0, i + 2).join(' '))),
  )
  return [
    emptyTask(['assent', name], summary).build(),
    ...[...folders].map((folder) =>
      emptyTask(['assent', ...folder.split(' ')], folderSummaries[folder] ?? summary).build(),
    ),
    ...onChain.map(taskOf),
  ]
}

function taskOf(command: Command): TaskDefinition {
  const builder = task(['assent', ...command.path], command.summary)
  for (const [name, { description, isOptional, isVariadic }] of Object.entries(command.arguments)) {
    if (isVariadic) {
      builder.addVariadicArgument({
        name,
        description,
        ...(isOptional ? { defaultValue: [] } : {}),
      })
    } else if (isOptional) {
      builder.addPositionalArgument({
        name,
        description,
        type: ArgumentType.STRING_WITHOUT_DEFAULT,
        defaultValue: undefined,
      })
    } else builder.addPositionalArgument({ name, description })
  }
  const options: OptionTable = {
    ...command.options,
    ...(command.sends === undefined ? {} : signerOptions),
    ...chainOptions,
    ...profileOption,
    ...commonOptions,
  }
  for (const [name, option] of Object.entries(options)) {
    const { description } = option
    if (!hasValue(option)) builder.addFlag({ name, description })
    else if (option.default !== undefined)
      builder.addOption({ name, description, defaultValue: option.default })
    else {
      builder.addOption({
        name,
        description,
        type: ArgumentType.STRING_WITHOUT_DEFAULT,
        defaultValue: undefined,
      })
    }
  }
  return builder
    .setAction(async () => {
      const { actionOf } = await import('./run-task.ts')
      return { default: actionOf(command) }
    })
    .build()
}
