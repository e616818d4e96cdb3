/** Every test that a page names as its proof exists. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

test.each(['docs/protocol.md', 'docs/kms.md'])('%s names tests that there are', async (page) => {
  const rows = (await readFile(join(root, page), 'utf8'))
    .split('\n')
    .filter((line) => line.startsWith('|') && line.includes('.test.ts`'))
  const named = rows.flatMap((row) => [...row.matchAll(/`([\w./-]+\.test\.ts)`|"([^"]+)"/g)])
  let source = ''
  let found = 0
  for (const [, file, title] of named) {
    if (file !== undefined) source = await readFile(join(root, 'test/kms', file), 'utf8')
    if (title === undefined) continue
    expect(source, title).toContain(title)
    found++
  }
  expect(found).toBeGreaterThan(20)
})
