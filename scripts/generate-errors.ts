/** Writes `docs/errors.md` from the error tables, or with `--check` says whether it is up to date. */
import { readFile, writeFile } from 'node:fs/promises'

import { errorCatalogue } from '../src/errors/index.ts'

const file = new URL('../docs/errors.md', import.meta.url)

const rows = Object.entries(errorCatalogue)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([code, { why, fix }]) => `| \`${code}\` | ${cell(why)} | ${cell(fix)} |`)

const page = `# Errors

Every error of Assent has a code that never changes its meaning. Programs compare the code, people read
the sentence beside it; \`facts\` say what was found and what was expected. Errors of the contracts are
in their interfaces (\`contracts/**/I*.sol\`).

This page is written by \`npm run docs:errors\` from \`src/errors/\`.

| code | why | what to do |
| --- | --- | --- |
${rows.join('\n')}
`

/** A table cell must not end early. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

if (process.argv.includes('--check')) {
  const current = await readFile(file, 'utf8').catch(() => '')
  if (current !== page) {
    console.error('docs/errors.md is not what src/errors/ says: run npm run docs:errors')
    process.exit(1)
  }
} else {
  await writeFile(file, page)
}
