/**
 * `assent kms doctor`: checks settings, endpoints, contracts, keys, log, witnesses and clock of a KMS node, and names
 * the next step. Changes nothing. Exit code 1 if a check fails.
 */
import { runKmsDoctor } from '../../kms/main.ts'
import type { ArgumentsOf } from '../command.ts'
import type { doctor } from '../kms-node.ts'
import { exitCodeOfFindings, findingsSchema, printFindings } from '../output/findings.ts'
import type { Context } from '../session/context.ts'

export const schema = findingsSchema

export const exitCode = exitCodeOfFindings

export async function run({ config }: ArgumentsOf<typeof doctor>, { output }: Context) {
  return printFindings(output, await runKmsDoctor({ configFile: config }))
}
