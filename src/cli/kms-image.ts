/**
 * The entry point of the KMS image: `assent kms …` and no other command.
 *
 * The image holds only the files that this file imports (`scripts/package/kms-image.ts`). So an import here, or in a file below it,
 * is a change to the attested image.
 */
import { runProgram } from './program.ts'

const kms = {
  name: 'kms',
  description: 'Run a KMS node',
  load: async (args: readonly string[]) => (await import('./kms.ts')).kmsCommand(args),
}

process.exitCode = await runProgram([kms], process.argv.slice(2))
