/** The password of a keystore: from a file, a variable, or the terminal. Never from an argument. */
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'

import { AssentError } from '../../errors/index.ts'
import { readBytes } from '../../lib/files.ts'

/** @throws FILE_UNREADABLE, KEYSTORE_PASSWORD if there is no password and no terminal */
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
function askHidden(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true })
  process.stderr.write(question)
  return new Promise((resolve, reject) => {
    terminal.once('SIGINT', () => {
      terminal.close()
      reject(new AssentError('CONFIRMATION_MISSING', 'No password was given. Nothing was sent.'))
    })
    terminal.question('', (answer) => {
      terminal.close()
      process.stderr.write('\n')
      resolve(answer)
    })
  })
}
