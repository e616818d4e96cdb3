/**
 * The entry point of the KMS image: the commands of a KMS node and no others.
 *
 * The image holds only the files that this file imports (`scripts/package/kms-image.ts`). So an import here, or in a file below it,
 * is a change to the attested image.
 */
import type { Command } from '../commands/command.ts'
import type { CommonValues } from '../commands/session/context.ts'
import { emptyProfile } from '../commands/session/empty-profile.ts'
import { openContext } from '../commands/session/open-context.ts'
import { runProgram } from './program.ts'

const kms = {
  name: 'kms',
  summary: 'Run a KMS node',
  load: async () => (await import('../commands/kms-node.ts')).kmsNodeCommands,
}

const door = {
  open: async (command: Command, common: CommonValues) =>
    openContext(command, common, emptyProfile),
}

process.exitCode = await runProgram(
  { groups: [kms], door: async () => door },
  process.argv.slice(2),
)
