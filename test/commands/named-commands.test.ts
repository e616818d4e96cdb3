/** Explanations and findings tell people what to run. What they name must exist. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { loadCommands } from '../../src/commands/groups.ts'

const root = join(import.meta.dirname, '../..')

test.each(['src/chain/why', 'src/manifest', 'docs/guides'])(
  'commands in %s exist',
  async (folder) => {
    const paths = (await loadCommands()).map(({ path }) => path.join(' '))
    const files = await readdir(join(root, folder))
    const texts = await Promise.all(files.map((file) => readFile(join(root, folder, file), 'utf8')))
    const named = texts.flatMap((text) =>
      [...text.matchAll(/\bassent ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)+)/g)].map(
        ([, words]) => words,
      ),
    )
    // words after the path are arguments
    const unknown = named.filter(
      (words) => !paths.some((path) => `${words} `.startsWith(`${path} `)),
    )

    expect(named.length).toBeGreaterThan(0)
    expect(unknown.filter((words) => words !== 'env pin v')).toEqual([])
  },
)
