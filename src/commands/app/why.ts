/**
 * `assent app why`: explains the decision about a boot, condition by condition in the order of the KMS. Reads the
 * boot from `--quote`, the manifest and options, and the chain state now, later, or after a proposal (`--after`).
 * Exit code 0 allowed, 1 denied, 3 unknown.
 *
 * @throws USAGE_INVALID if no app is named
 */
import { explainApp } from '../../chain/why/explain-boot.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { readManifest } from '../../manifest/manifest.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes } from '../input/arguments.ts'
import { openState } from '../input/decided-state.ts'
import { readKnownBoot } from '../input/known-boot.ts'
import { resolveApp } from '../input/names.ts'
import {
  exitCodeOfExplanation,
  explanationSchema,
  printExplanation,
} from '../output/explanation.ts'
import type { Session } from '../session/session.ts'
import type { why } from '../why.ts'

export const schema = explanationSchema
export const exitCode = exitCodeOfExplanation

export async function run(args: ArgumentsOf<typeof why>, session: Session) {
  const { boot, notes } = await readKnownBoot(session, args, 'boot')
  const composeHash =
    args.manifest === undefined
      ? boot.composeHash
      : readManifest(await readBytes(args.manifest)).composeHash
  const named = args.app ?? (boot.appId === undefined ? session.profile.app : undefined)
  const appId = named === undefined ? boot.appId : await resolveApp(session, named)
  if (appId === undefined) {
    throw new AssentError('USAGE_INVALID', 'No app is named.', {
      facts: { option: '--app' },
      hint: 'Pass --app or --quote, or set app in a profile of assent.toml.',
    })
  }
  const question = {
    ...boot,
    appId: appId.toLowerCase() as Hex,
    ...(composeHash === undefined ? {} : { composeHash }),
  }
  const { reader, deployment, times, assumptions } = await openState(session, args)
  const explained = await explainApp(reader, deployment, question, times)
  const said = [...notes, ...assumptions]
  printExplanation(session.output, explained, said)
  return { ...explained, notes: said }
}
