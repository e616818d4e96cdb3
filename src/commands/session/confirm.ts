/** Asks for confirmation before a change. */
import { AssentError } from '../../errors/index.ts'
import { colors as pc } from '../output/colors.ts'
import { askLine } from './question.ts'

/**
 * Continues after the answer `y` on a terminal, or with `--yes`.
 *
 * @throws CONFIRMATION_MISSING after another answer or Ctrl-D, QUESTION_INTERRUPTED after Ctrl-C
 */
export async function confirm(
  { yes, json }: { yes: boolean; json: boolean },
  { stdin, stdout }: Pick<NodeJS.Process, 'stdin' | 'stdout'> = process,
): Promise<void> {
  if (yes) return
  if (json || stdin.isTTY !== true || stdout.isTTY !== true) {
    throw new AssentError(
      'CONFIRMATION_MISSING',
      'Nothing was sent: a confirmation needs a terminal. Pass --yes to skip it.',
    )
  }
  const question = `${pc.bold('Continue?')} [y/N] `
  const answer = await askLine(question, { input: stdin, output: stdout })
  if (answer?.trim().toLowerCase() === 'y') return
  if (answer === undefined) stdout.write('\n')
  throw new AssentError(
    'CONFIRMATION_MISSING',
    'Nothing was sent: the confirmation was declined.',
    { hint: 'Run the same command again if you want to send it after all.' },
  )
}
