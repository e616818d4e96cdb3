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

/** Folders of the repository: a word that begins with one and a slash is a path. */
const folders = 'bench|bin|contracts|deploy|docs|scripts|snapshots|src|tasks|test|vectors|web'
/** Paths of other repositories. */
const foreignPaths: ReadonlySet<string> = new Set(['docs/guest-api-v1.md'])

/** Also paths inside commands and in comments of code blocks; not patterns such as `src/*.ts`. */
function pathsIn(text: string): string[] {
  const path = new RegExp(`(?<![\\w./@-])(?:${folders})/[\\w./-]*\\w`, 'g')
  return [...text.matchAll(path)].map(([name]) => name)
}

test('every path on a page exists', async () => {
  const counts = new Map<string, number>()
  const missing: string[] = []
  for (const page of await listPages()) {
    const paths = pathsIn(await readFile(join(root, page), 'utf8'))
    counts.set(page, paths.length)
    const unknown = paths.filter((path) => !foreignPaths.has(path) && !existsSync(join(root, path)))
    missing.push(...unknown.map((path) => `${page}: ${path}`))
  }

  expect(missing).toEqual([])
  expect(counts.get('docs/recipes.md')).toBeGreaterThan(100)
})

test.each([
  ['`src/kms/main.ts`', 'src/kms/main.ts'],
  ['`node scripts/guides/record.ts`', 'scripts/guides/record.ts'],
  ['// src/commands/dao.ts', 'src/commands/dao.ts'],
  ['(`test/kms`)', 'test/kms'],
])('the check of paths reads %s', (text, path) => {
  expect(pathsIn(text)).toEqual([path])
})

/** Pages, and the pages in other folders that they lead to. */
async function listLinkedPages(): Promise<string[]> {
  const others = ['deployments/README.md', 'vectors/README.md', 'vectors/synthetic/README.md']
  return [...(await listPages()), ...others, '.github/pull_request_template.md', 'CHANGELOG.md']
}

/** The lines of a page outside its code blocks. */
function proseOf(text: string): string[] {
  let fence: string | undefined
  return text.split('\n').filter((line) => {
    const [mark] = /^\s*(`{3,}|~{3,})/.exec(line) ?? []
    if (mark === undefined) return fence === undefined
    fence = fence === undefined ? mark.trim() : line.trim() === fence ? undefined : fence
    return false
  })
}

/** Names of the headings, as GitHub makes them, and of explicit anchors. */
function anchorsIn(text: string): Set<string> {
  const anchors = new Set<string>()
  for (const line of proseOf(text)) {
    for (const [, name = ''] of line.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(name)
    const [, heading] = /^#{1,6} +(.*?) *#*$/.exec(line) ?? []
    if (heading === undefined) continue
    const shown = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/<[^>]*>/g, '')
    const name = shown
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc} -]/gu, '')
      .replaceAll(' ', '-')
    let unused = name
    for (let again = 1; anchors.has(unused); again++) unused = `${name}-${again}`
    anchors.add(unused)
  }
  return anchors
}

/** Targets of `[text](target)`, of `[name]: target` and of `src` and `href`, except to other sites. */
function linksIn(text: string): string[] {
  const prose = proseOf(text).join('\n')
  const targets = [
    ...prose.matchAll(/\]\(\s*<?([^)\s>]+)/g),
    ...prose.matchAll(/^ *\[[^\]]+\]: *<?([^\s>]+)/gm),
    ...prose.matchAll(/ (?:src|srcset|href)="([^"]+)"/g),
  ].map(([, target]) => target as string)
  return targets.filter((target) => !/^[a-z][a-z+.-]*:/i.test(target))
}

/** @returns why a link leads nowhere */
async function linkProblem(page: string, target: string): Promise<string | undefined> {
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? page : join(dirname(page), decodeURIComponent(path))
  if (file.startsWith('..') || !existsSync(join(root, file))) return `${page}: ${target}`
  if (anchor === undefined || !file.endsWith('.md')) return undefined
  const anchors = anchorsIn(await readFile(join(root, file), 'utf8'))
  return anchors.has(decodeURIComponent(anchor))
    ? undefined
    : `${page}: ${target} has no such heading`
}

test('every link leads to an existing file and heading', async () => {
  const links: { page: string; target: string }[] = []
  for (const page of await listLinkedPages()) {
    const text = await readFile(join(root, page), 'utf8')
    links.push(...linksIn(text).map((target) => ({ page, target })))
  }
  const problems = await Promise.all(links.map(({ page, target }) => linkProblem(page, target)))

  expect(links.filter(({ page }) => page.startsWith('docs/guides/')).length).toBeGreaterThan(20)
  expect(links.filter(({ target }) => target.includes('#')).length).toBeGreaterThan(200)
  expect(problems.filter((problem) => problem !== undefined)).toEqual([])
})

test.each([
  ['docs/architecture.md', 'kms.md#no-such-anchor'],
  ['docs/guides/voter.md', '../no-such-page.md'],
  ['docs/kms.md', '#no-such-heading'],
  ['README.md', '../outside.md'],
])('the check of links refuses in %s the target %s', async (page, target) => {
  expect(await linkProblem(page, target)).toContain(target)
})

test('the check of links reads headings and targets as GitHub does', () => {
  const page = [
    '# `a.b()` and [c_d](x.md): 50 %!',
    '## Twice',
    '## Twice',
    '```sh',
    '# not a heading [not](a-link.md)',
    '```',
    '[to](a.md#b) ![picture](p.svg) <img src="q.svg"> [site](https://example.org)',
    '[named]: e.md',
  ].join('\n')

  expect([...anchorsIn(page)]).toEqual(['ab-and-c_d-50-', 'twice', 'twice-1'])
  expect(linksIn(page)).toEqual(['x.md', 'a.md#b', 'p.svg', 'e.md', 'q.svg'])
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
  const coded = ['src', 'contracts']
  const names = await Promise.all(
    coded.map((folder) => readdir(join(root, folder), { recursive: true })),
  )
  const files = names
    .flatMap((list, i) => list.map((name) => join(coded[i] as string, name)))
    .filter((name) => /\.(ts|sol|proto)$/.test(name))
  const texts = await Promise.all(files.map((name) => readFile(join(root, name), 'utf8')))
  const code = [...files, ...texts].join('\n')

  expect(aliases.length).toBeGreaterThan(30)
  expect(aliases.filter((name) => !code.includes(name))).toEqual([])
})
