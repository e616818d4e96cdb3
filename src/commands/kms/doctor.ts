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
