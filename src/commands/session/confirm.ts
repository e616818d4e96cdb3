/** Asks for confirmation before a change. */
import { createInterface } from 'node:readline/promises'

import { AssentError } from '../../errors/index.ts'
import { colors as pc } from '../output/colors.ts'

/**
 * Continues after the answer `y` on a terminal, or with `--yes`.
 *
 * @throws CONFIRMATION_MISSING
 */
export async function confirm({ yes, json }: { yes: boolean; json: boolean }): Promise<void> {
  if (yes) return
  if (json || process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
    throw new AssentError(
      'CONFIRMATION_MISSING',
      'Nothing was sent: a confirmation needs a terminal. Pass --yes to skip it.',
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(`${pc.bold('Continue?')} [y/N] `)
  terminal.close()
  if (answer.trim().toLowerCase() === 'y') return
  throw new AssentError('CONFIRMATION_MISSING', 'Nothing was sent: the confirmation was declined.')
}
