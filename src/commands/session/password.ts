/** The password of a keystore: from a file, a variable, or the terminal. Never from an argument. */
import { Writable } from 'node:stream'

import { AssentError } from '../../errors/index.ts'
import { readBytes } from '../../lib/files.ts'
import { askLine } from './question.ts'

/**
 * @throws FILE_UNREADABLE, KEYSTORE_PASSWORD if there is no password and no terminal, CONFIRMATION_MISSING after Ctrl-D,
 *   QUESTION_INTERRUPTED after Ctrl-C
 */
export async function readPassword(file: string | undefined): Promise<string> {
  if (file !== undefined) return (await readBytes(file)).toString('utf8').replace(/\r?\n$/, '')
  const { ASSENT_KEYSTORE_PASSWORD } = process.env
  if (ASSENT_KEYSTORE_PASSWORD !== undefined) return ASSENT_KEYSTORE_PASSWORD
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    throw new AssentError('KEYSTORE_PASSWORD', 'The keystore needs a password.', {
      hint: 'Name a password file (passwordFile in the profile, or ASSENT_KEYSTORE_PASSWORD_FILE), set ASSENT_KEYSTORE_PASSWORD, or run the command on a terminal.',
    })
  }
  return askHidden('Password of the keystore: ')
}

/** Asks on the terminal without showing what is typed. */
async function askHidden(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  process.stderr.write(question)
  try {
    const password = await askLine('', { input: process.stdin, output: silent })
    if (password !== undefined) return password
  } finally {
    process.stderr.write('\n')
  }
  throw new AssentError('CONFIRMATION_MISSING', 'No password was given. Nothing was sent.', {
    hint: 'Run the same command again if you want to send it after all.',
  })
}
