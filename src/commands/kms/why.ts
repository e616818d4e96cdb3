/**
 * `assent kms why`: explains the decision about a KMS node, condition by condition. Reads the boot from `--quote` or
 * `--measurement`, and the chain state now, later, or after a proposal (`--after`). Exit code 0 allowed, 1 denied, 3
 * unknown.
 */
import { explainKms } from '../../chain/why/explain-boot.ts'
import type { ArgumentsOf } from '../command.ts'
import { openState } from '../input/decided-state.ts'
import { readKnownBoot } from '../input/known-boot.ts'
import { resolveId } from '../input/names.ts'
import {
  exitCodeOfExplanation,
  explanationSchema,
  printExplanation,
} from '../output/explanation.ts'
import type { Session } from '../session/session.ts'
import type { kmsWhy } from '../why.ts'

export const schema = explanationSchema
export const exitCode = exitCodeOfExplanation

export async function run(args: ArgumentsOf<typeof kmsWhy>, session: Session) {
  const { boot, notes } = await readKnownBoot(session, args, 'full')
  const listed = { kind: 'kmsMeasurement', registry: session.addresses.kmsAuth } as const
  const question =
    args.measurement === undefined
      ? boot
      : { ...boot, mrAggregated: await resolveId(session, listed, args.measurement) }
  const { reader, deployment, times, assumptions } = await openState(session, args)
  const explained = await explainKms(reader, deployment, question, times)
  const said = [...notes, ...assumptions]
  printExplanation(session.output, explained, said)
  return { ...explained, notes: said }
}
