/**
 * Writes the next migration of the databases of relayer and indexer after a change to their tables (`--name
 * what_changed`), or with `--check` says if one is missing. Migrations that exist are never changed: a database may have
 * run them.
 */
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'

import { runToolAside } from '../run-tool.ts'

const folders = ['src/relayer/database', 'src/indexer/database']

const { values } = parseArgs({
  options: { check: { type: 'boolean', default: false }, name: { type: 'string' } },
})

for (const folder of folders) {
  if (!(await isOneMissing(folder))) continue
  if (values.check || values.name === undefined) {
    console.error(`${folder}/migrations lacks the last change of ${folder}/schema.ts.`)
    console.error('Give the new migration a name: npm run generate -- --name what_changed')
    process.exit(1)
  }
  if (!(await generate(folder, `${folder}/migrations`, values.name))) process.exit(1)
}

/** In a copy, so that the check writes nothing. */
async function isOneMissing(folder: string): Promise<boolean> {
  // drizzle-kit accepts only folders below the working directory
  await mkdir('.assent', { recursive: true })
  const copy = await mkdtemp('.assent/migrations-')
  try {
    await cp(`${folder}/migrations`, copy, { recursive: true })
    const before = await readdir(copy)
    if (!(await generate(folder, copy, 'missing'))) return true
    return (await readdir(copy)).length !== before.length
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

async function generate(folder: string, out: string, name: string): Promise<boolean> {
  const schema = `${folder}/schema.ts`
  const options = ['--dialect', 'postgresql', '--schema', schema, '--out', out, '--name', name]
  const { ok, said } = await runToolAside(['drizzle-kit', 'generate', ...options])
  // a column that may have been renamed makes drizzle-kit ask, which fails without a terminal
  if (!ok) console.error(said)
  return ok
}
