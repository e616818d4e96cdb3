/**
 * `assent relayer doctor`: checks settings, database, endpoints, account, collateral and agents of a relayer, and
 * names the next step. Changes nothing. Exit code 1 if a check fails.
 */
import { runDoctor } from '../../relayer/main.ts'
import type { ArgumentsOf } from '../command.ts'
import { exitCodeOfFindings, findingsSchema, printFindings } from '../output/findings.ts'
import type { doctor } from '../relayer.ts'
import type { Context } from '../session/context.ts'

export const schema = findingsSchema

export const exitCode = exitCodeOfFindings

export async function run({ config }: ArgumentsOf<typeof doctor>, { output }: Context) {
  return printFindings(output, await runDoctor(process.env, config))
}
