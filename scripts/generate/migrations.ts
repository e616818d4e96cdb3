/**
 * Writes the next migration of the relayer's database after a change to its tables (`--name what_changed`), or with
 * `--check` says if one is missing. Migrations that exist are never changed: a database may have run them.
 *
 * `test/relayer/migrations.test.ts` checks that the migrations make the tables of `schema.ts`.
 */
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'

import { runToolAside } from '../run-tool.ts'

const schema = 'src/relayer/database/schema.ts'
const migrations = 'src/relayer/database/migrations'

const { values } = parseArgs({
  options: { check: { type: 'boolean', default: false }, name: { type: 'string' } },
})

const missing = await isOneMissing()
if (!missing) process.exit(0)
if (values.check || values.name === undefined) {
  console.error(`${migrations} lacks the last change of ${schema}.`)
  console.error('Give the new migration a name: npm run generate -- --name what_changed')
  process.exit(1)
}
process.exit((await generate(migrations, values.name)) ? 0 : 1)

/** In a copy, so that the check writes nothing. */
async function isOneMissing(): Promise<boolean> {
  // drizzle-kit accepts only folders below the working directory
  await mkdir('.assent', { recursive: true })
  const copy = await mkdtemp('.assent/migrations-')
  try {
    await cp(migrations, copy, { recursive: true })
    const before = await readdir(copy)
    if (!(await generate(copy, 'missing'))) return true
    return (await readdir(copy)).length !== before.length
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

async function generate(out: string, name: string): Promise<boolean> {
  const options = ['--dialect', 'postgresql', '--schema', schema, '--out', out, '--name', name]
  const { ok, said } = await runToolAside(['drizzle-kit', 'generate', ...options])
  // a column that may have been renamed makes drizzle-kit ask, which fails without a terminal
  if (!ok) console.error(said)
  return ok
}
