/** Writes `docs/errors.md` from the error tables, or checks with `--check` that the page is current. */
import { readFile, writeFile } from 'node:fs/promises'

import { errorCatalogue } from '../../src/errors/index.ts'

const file = new URL('../../docs/errors.md', import.meta.url)

const rows = Object.entries(errorCatalogue)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([code, { why, fix }]) => `| \`${code}\` | ${cell(why)} | ${cell(fix)} |`)

const page = `# Errors

Every error of Assent has a code that never changes its meaning. Programs compare the code. People read the message, the
\`facts\` (what was found and what was expected) and the next step. Errors of the contracts are described in their
interfaces (\`contracts/**/I*.sol\`).

\`npm run docs:errors\` generates this page from \`src/errors/\`.

| code | why | what to do |
| --- | --- | --- |
${rows.join('\n')}
`

/** Escapes the character that separates table cells. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

if (process.argv.includes('--check')) {
  const current = await readFile(file, 'utf8').catch(() => '')
  if (current !== page) {
    console.error('docs/errors.md is out of date: run npm run docs:errors')
    process.exit(1)
  }
} else {
  await writeFile(file, page)
}
