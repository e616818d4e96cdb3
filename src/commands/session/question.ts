/** Asks one question on a terminal. */
import { createInterface } from 'node:readline'

import { AssentError } from '../../errors/index.ts'

/** The two sides of a terminal. */
export interface Terminal {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
}

/**
 * The line that the person types. Ask before anything is sent: after Ctrl-C the error says that nothing was.
 *
 * @returns undefined after Ctrl-D, or if the terminal is gone
 * @throws QUESTION_INTERRUPTED after Ctrl-C
 */
export function askLine(question: string, terminal: Terminal): Promise<string | undefined> {
  const reader = createInterface({ ...terminal, terminal: true })
  return new Promise((resolve, reject) => {
    reader.once('SIGINT', () => {
      reject(new AssentError('QUESTION_INTERRUPTED', 'Nothing was sent: interrupted by Ctrl-C.'))
      reader.close()
    })
    reader.once('close', () => resolve(undefined))
    reader.question(question, (answer) => {
      resolve(answer)
      reader.close()
    })
  })
}
