/** Every test, file and name in code that a page names exists; every RPC method is documented. */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { expect, test } from 'vitest'

import type { KmsContext } from '../../src/kms/rpc/context.ts'
import { kmsMethods } from '../../src/kms/rpc/routes.ts'

const root = join(import.meta.dirname, '../..')

/** Folders from which pages name their tests; all other pages name them from the root. */
const testFolders: Readonly<Record<string, string>> = {
  'docs/kms-tests.md': 'test/kms',
  'docs/protocol.md': 'test/kms',
  'docs/relayer.md': 'test/relayer',
}

/** A file of tests, the mutants of the relayer, or a title in one of the two. */
const citation = /([\w./-]*\w\.(?:test\.ts|t\.sol))|\b(mutants?) (?=")|"([^"]+)"/g
const relayerMutants = 'scripts/mutants/relayer-mutants.ts'

/** All pages for readers. */
async function listPages(): Promise<string[]> {
  const docs = await readdir(join(root, 'docs'), { recursive: true })
  const pages = docs.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)
  return ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', ...pages.sort()]
}

/** Finds what a page names from the root, from the folder of its tests or from its own folder. */
function resolve(page: string, file: string): string | undefined {
  const folders = ['', testFolders[page] ?? '', dirname(page)]
  return folders.map((folder) => join(folder, file)).find((path) => existsSync(join(root, path)))
}

/** Titles in rows of tables follow the file that contains them. */
async function readCitations(page: string) {
  const lines = (await readFile(join(root, page), 'utf8')).split('\n')
  const titles: { file: string; title: string }[] = []
  const files = new Set<string>()
  const unknown: string[] = []
  for (const line of lines) {
    let source: string | undefined
    // of a link only its target counts
    for (const [, named, mutants, title] of line
      .replaceAll(/\[[^\]]*\]\(/g, '(')
      .matchAll(citation)) {
      if (mutants !== undefined) source = relayerMutants
      if (named !== undefined) {
        source = resolve(page, named)
        if (source === undefined) unknown.push(named)
        else files.add(source)
      }
      if (title !== undefined && source !== undefined && line.startsWith('|')) {
        titles.push({ file: source, title })
      }
    }
  }
  return { files, titles, unknown }
}

test.each(await listPages())('%s names existing tests', async (page) => {
  const { titles, unknown } = await readCitations(page)
  expect(unknown).toEqual([])
  const missing: string[] = []
  for (const { file, title } of titles) {
    const source = await readFile(join(root, file), 'utf8')
    if (!source.includes(title)) missing.push(`${file}: ${title}`)
  }
  expect(missing).toEqual([])
})

test('the check of test names reads the names in the pages', async () => {
  for (const page of Object.keys(testFolders)) {
    expect((await readCitations(page)).titles.length, page).toBeGreaterThan(20)
  }
  const named = await Promise.all((await listPages()).map(readCitations))
  expect(named.filter(({ files }) => files.size > 0).length).toBeGreaterThan(10)
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
