/** Every test, file and name in code that a page names exists; every RPC method is documented. */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { expect, test } from 'vitest'

import type { KmsContext } from '../../src/kms/rpc/context.ts'
import { kmsMethods } from '../../src/kms/rpc/routes.ts'

const root = join(import.meta.dirname, '../..')

test.each(['docs/protocol.md', 'docs/kms-tests.md'])('%s names existing tests', async (page) => {
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

test('docs/recipes.md names existing files', async () => {
  const page = await readFile(join(root, 'docs/recipes.md'), 'utf8')
  const paths = [...page.matchAll(/`([\w.-]+(?:\/[\w.-]+)+)`/g)].map(([, path]) => path as string)

  expect(paths.length).toBeGreaterThan(50)
  expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([])
})

test('every link leads to an existing file', async () => {
  const docs = (await readdir(join(root, 'docs'))).filter((name) => name.endsWith('.md'))
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    ...docs.map((name) => `docs/${name}`),
  ]
  const broken: string[] = []
  for (const page of pages) {
    const text = await readFile(join(root, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
      if (!existsSync(join(root, dirname(page), target))) broken.push(`${page}: ${target}`)
    }
  }

  expect(broken).toEqual([])
})

test('docs/protocol.md has a rule for each RPC method, and docs/kms.md a row in its table', async () => {
  const methods = Object.keys(kmsMethods({} as KmsContext))
  const [protocol, kms] = await Promise.all(
    ['docs/protocol.md', 'docs/kms.md'].map((page) => readFile(join(root, page), 'utf8')),
  )
  const rules = protocol?.split('\n').filter((line) => line.startsWith('|')) ?? []

  expect(methods.length).toBeGreaterThan(5)
  expect(methods.filter((name) => !rules.some((rule) => rule.includes(`\`${name}\``)))).toEqual([])
  expect(methods.filter((name) => !kms?.includes(`\n| \`${name}\` |`))).toEqual([])
})

test('docs/glossary.md names code that exists', async () => {
  const page = await readFile(join(root, 'docs/glossary.md'), 'utf8')
  const aliases = page.split('\n').flatMap((row) => {
    const [, , , seenAs = ''] = row.split('|')
    return [...seenAs.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string)
  })
  const folders = ['src', 'contracts']
  const names = await Promise.all(
    folders.map((folder) => readdir(join(root, folder), { recursive: true })),
  )
  const files = names
    .flatMap((list, i) => list.map((name) => join(folders[i] as string, name)))
    .filter((name) => /\.(ts|sol|proto)$/.test(name))
  const texts = await Promise.all(files.map((name) => readFile(join(root, name), 'utf8')))
  const code = [...files, ...texts].join('\n')

  expect(aliases.length).toBeGreaterThan(30)
  expect(aliases.filter((name) => !code.includes(name))).toEqual([])
})
