/**
 * Writes deploy/erc7730: a clear-signing descriptor (ERC-7730) for each contract type and for signed votes.
 *
 * `--check` writes nothing and fails if a file is not what the call descriptions say.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'

import { clearSigningFiles } from '../../src/chain/governance/clear-signing.ts'

const folder = new URL('../../deploy/erc7730/', import.meta.url)
const isCheck = process.argv.includes('--check')

if (!isCheck) await mkdir(folder, { recursive: true })
for (const [name, descriptor] of Object.entries(clearSigningFiles())) {
  const file = new URL(name, folder)
  const text = `${JSON.stringify(descriptor, null, 2)}\n`
  if (!isCheck) await writeFile(file, text)
  else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    console.error(
      `deploy/erc7730/${name} is not what the call descriptions say: run npm run generate -- --only erc7730`,
    )
    process.exitCode = 1
  }
}
