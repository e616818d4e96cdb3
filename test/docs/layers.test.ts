/** Every import in `src` and `contracts` follows the tables of docs/architecture.md, which are the only place of the rule. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { readSource, type SourceFacts } from './read-source.ts'

const root = join(import.meta.dirname, '../..')
const page = await readFile(join(root, 'docs/architecture.md'), 'utf8')

/** A row of the tables of layers. */
interface Layer {
  /** Parts of one row belong together. */
  readonly parts: readonly string[]
  /** Parts, folders and files that it may import. */
  readonly imports: readonly string[]
}

/** Rows of the table whose heading has these first words. */
function readTable(heading: string): string[][] {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => line.startsWith(heading))
  if (start < 0) throw new Error(`docs/architecture.md has no table ${heading}`)
  const rest = lines.slice(start + 2)
  const end = rest.findIndex((line) => !line.startsWith('|'))
  return rest.slice(0, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

function namesIn(cell = ''): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string)
}

/** The cell is "nothing", or names in code spans, or "all above" with exceptions. */
function readLayers(heading: string): Layer[] {
  const above: string[] = []
  return readTable(heading).map(([first, , third = '']) => {
    const parts = namesIn(first)
    const [, except] = /^all above(?: except (.*))?$/.exec(third) ?? []
    const isAll = third.startsWith('all above')
    const imports = isAll ? above.filter((part) => !namesIn(except).includes(part)) : namesIn(third)
    if (imports.length === 0 && third !== 'nothing') throw new Error(`Not a rule: ${third}`)
    above.push(...parts)
    return { parts, imports }
  })
}

/** Whether a path below `src` or `contracts` is a part, or in it. */
function isIn(path: string, part: string): boolean {
  return path === part || path.startsWith(`${part}/`)
}

/** @returns imports of one file that its layer does not allow; paths are below `folder` */
function forbiddenImports(layers: readonly Layer[], folder: string, facts: SourceFacts): string[] {
  const below = (path: string) =>
    path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path
  const file = below(facts.file)
  const layer = layers.find(({ parts }) => parts.some((part) => isIn(file, part)))
  if (layer === undefined) return [`${facts.file} is in no row of the table`]
  const allowed = [...layer.parts, ...layer.imports]
  return facts.files
    .filter((path) => !allowed.some((part) => isIn(below(path), part)))
    .map((path) => `${facts.file} imports ${path}`)
}

async function listFiles(folder: string, name: RegExp): Promise<string[]> {
  const files = await readdir(join(root, folder), { recursive: true })
  return files.filter((file) => name.test(file)).map((file) => `${folder}/${file}`)
}

const layers = readLayers('| TypeScript (`src/`)')
const names = await listFiles('src', /\.[cm]?[jt]sx?$/)
const sources = await Promise.all(
  names
    // generated, and not in git
    .filter((file) => !isIn(file, 'src/ethers'))
    .map(async (file) => readSource(file, await readFile(join(root, file), 'utf8'))),
)

test('every file in src imports only what its layer names', () => {
  expect(sources.length).toBeGreaterThan(500)
  expect(sources.flatMap((facts) => forbiddenImports(layers, 'src', facts))).toEqual([])
})

test('every contract imports only what its layer names', async () => {
  const contracts = readLayers('| Solidity (`contracts/`)')
  const files = (await listFiles('contracts', /\.sol$/)).filter(
    (file) => !isIn(file, 'contracts/test'),
  )
  const facts = await Promise.all(
    files.map(async (file) => readContract(file, await readFile(join(root, file), 'utf8'))),
  )

  expect(facts.flatMap(({ files }) => files).length).toBeGreaterThan(100)
  expect(facts.flatMap((each) => forbiddenImports(contracts, 'contracts', each))).toEqual([])
})

/** Solidity has one form of import. */
function readContract(file: string, text: string): SourceFacts {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
  const imported = [...code.matchAll(/^import\b[^"';]*["']([^"']+)["']/gm)].map(([, name = '']) =>
    name.startsWith('.') ? join(file, '..', name) : undefined,
  )
  const files = imported.filter((path) => path !== undefined)
  return {
    file,
    files,
    packages: [],
    exits: false,
    listens: false,
    readsClock: false,
    loadsComputed: false,
  }
}

const simulators = ['src/tee/simulator', 'src/chain/consensus/simulator']

/** By the first column of the third table. */
const deeds: Readonly<Record<string, (facts: SourceFacts) => boolean>> = {
  'import a simulator': ({ files }) =>
    files.some((path) => simulators.some((simulator) => isIn(path, simulator))),
  'import Hardhat': ({ packages }) =>
    packages.some((name) => /^(hardhat|@nomicfoundation)/.test(name)),
  'end the process': ({ exits }) => exits,
  listen: ({ listens }) => listens,
  'read the clock of the host (`Date.now`, `new Date()`)': ({ readsClock }) => readsClock,
  'load a file whose name is computed': ({ loadsComputed }) => loadsComputed,
}
const exceptions = readTable('| what | only in |')

test('the table of exceptions has a check for each row', () => {
  expect(exceptions.map(([what]) => what)).toEqual(Object.keys(deeds))
})

test.each(exceptions)('only the named files %s', (what = '', where = '') => {
  const places = namesIn(where)
  const doers = sources.filter((facts) => deeds[what]?.(facts)).map(({ file }) => file)

  expect(doers.filter((file) => !places.some((place) => isIn(file, place)))).toEqual([])
  // an exception that nothing needs is removed
  expect(places.filter((place) => !doers.some((file) => isIn(file, place)))).toEqual([])
})

describe('the check finds', () => {
  test.each([
    ['src/log-verify/evaluate-entry.ts', '../chain/proven/boot-rules.ts'],
    ['src/log-verify/verify.ts', '../kms/client.ts'],
    ['src/relayer/config.ts', '../kms/config.ts'],
    ['src/kms/config.ts', '../relayer/config.ts'],
    ['src/quote/verify.ts', '../chain/call.ts'],
    ['src/lib/bytes.ts', '../quote/verify.ts'],
    ['src/indexer/main.ts', '../relayer/main.ts'],
    ['src/public/quote.ts', '../lib/bytes.ts'],
    ['src/errors/index.ts', 'assent/quote'],
    ['src/chain/call.ts', '../../test/anvil.ts'],
  ])('%s that imports %s', (file, name) => {
    const facts = readSource(file, `import type { Any } from '${name}'`)

    expect(forbiddenImports(layers, 'src', facts)).toHaveLength(1)
  })

  test('a file outside the table', () => {
    const found = forbiddenImports(layers, 'src', readSource('src/new/file.ts', ''))

    expect(found).toEqual(['src/new/file.ts is in no row of the table'])
  })

  test('a contract that imports a higher one', () => {
    const text = '// import "../types/Kind.sol";\nimport {\n  A\n} from "../auth/KmsAuth.sol";'
    const facts = readContract('contracts/registry/Hosts.sol', text)

    const found = forbiddenImports(readLayers('| Solidity (`contracts/`)'), 'contracts', facts)
    expect(found).toEqual(['contracts/registry/Hosts.sol imports contracts/auth/KmsAuth.sol'])
  })
})

describe('a source file', () => {
  test.each([
    "import '../kms/client.ts'",
    "import { type A, b } from '../kms/client.ts'",
    "import type { A } from '../kms/client.ts'",
    "import * as kms from '../kms/client.ts'",
    "export * from '../kms/client.ts'",
    "export type { A } from '../kms/client.ts'",
    "const a = () => import('../kms/client.ts')",
    'const a = import(`../kms/client.ts`)',
    "type A = import('../kms/client.ts').A",
    "import a = require('../kms/client.ts')",
    "const a = import.meta.resolve('../kms/client.ts')",
  ])('imports by: %s', (text) => {
    expect(readSource('src/quote/verify.ts', text).files).toEqual(['src/kms/client.ts'])
  })

  test('does not import what a comment or a text says', () => {
    const text =
      "// import '../kms/a.ts'\nconst a = `import('../kms/a.ts')`\n/** @example import 'b' */"

    expect(readSource('src/quote/verify.ts', text)).toMatchObject({ files: [], packages: [] })
  })

  test.each([
    'process.exit(1)',
    "process['exit'](1)",
    'globalThis.process.exit()',
    'process?.abort()',
    'const { exit } = process',
    'const { exit: end } = process',
    "import { exit } from 'node:process'",
    "import process from 'process'",
  ])('ends the process by: %s', (text) => {
    expect(readSource('src/chain/kinds.ts', text).exits).toBe(true)
  })

  test.each(['process.exitCode = 1', 'pool.exit()', 'const { env } = process'])(
    'does not end the process by: %s',
    (text) => {
      expect(readSource('src/chain/kinds.ts', text).exits).toBe(false)
    },
  )

  test.each([
    'Date.now()',
    "Date['now']()",
    'globalThis.Date.now()',
    'const clock = Date.now',
    'const { now } = Date',
    'new Date()',
    'new Date',
    'Date()',
  ])('reads the clock of the host by: %s', (text) => {
    expect(readSource('src/chain/kinds.ts', text).readsClock).toBe(true)
  })

  test.each(['performance.now()', 'new Date(at * 1000)', 'Date.parse(text)', '// Date.now()'])(
    'does not read the clock of the host by: %s',
    (text) => {
      expect(readSource('src/chain/kinds.ts', text).readsClock).toBe(false)
    },
  )

  test('loads a computed name by an import or a require of its own', () => {
    const computed = (text: string) => readSource('src/chain/kinds.ts', text).loadsComputed

    expect(computed('import(name)')).toBe(true)
    expect(computed("import { createRequire } from 'node:module'")).toBe(true)
    expect(computed("import('viem')")).toBe(false)
  })
})
