/**
 * Runs the guides of docs/guides as their readers do: the commands of each page, from the installed package, in an empty
 * folder beside a running `npm start`.
 */
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { readGuide, showsOutput } from '../../scripts/guides/guide-page.ts'
import { type LocalStack, startLocalStack } from '../../scripts/guides/local-stack.ts'
import { runGuide } from '../../scripts/guides/run-guide.ts'
import { readSixCommands } from '../../scripts/guides/six-commands.ts'
import { findAnvil } from '../anvil.ts'
import { installProgram } from './installed-program.ts'

const pages = join(import.meta.dirname, '../../docs/guides')

/** Pages that advance the clock of the demo, in their order: the first one votes on a proposal that is still open. */
const last = ['voter.md', 'host-operator.md']
const guides = (await readdir(pages))
  .filter((name) => name.endsWith('.md'))
  .sort((one, other) => last.indexOf(one) - last.indexOf(other))

/** Pages that start a chain of their own. */
const needsAnvil: ReadonlySet<string> = new Set(['kms-on-your-machine.md'])
const anvil = findAnvil()
if (anvil === undefined) console.warn('\n*** ANVIL ABSENT: guides that start it are SKIPPED. ***\n')

let folder: string
let programs: string
let stack: LocalStack | undefined

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-guides-'))
  ;[programs, stack] = await Promise.all([installProgram(folder), startLocalStack(folder)])
  if (anvil?.startsWith('/')) await symlink(anvil, join(programs, 'anvil'))
}, 600_000)

afterAll(async () => {
  await stack?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A working folder with the profile of the demo. */
async function emptyFolder(name: string): Promise<string> {
  const place = join(folder, name)
  await mkdir(place)
  await copyFile(join(folder, 'assent.toml'), join(place, 'assent.toml'))
  return place
}

describe('the guide', { timeout: 400_000 }, () => {
  const runnable = guides.filter((name) => anvil !== undefined || !needsAnvil.has(name))
  test.each(runnable)('%s runs as written', async (name) => {
    const blocks = readGuide(await readFile(join(pages, name), 'utf8'))

    const ran = await runGuide(blocks, { folder: await emptyFolder(name), programs })

    expect(ran).toHaveLength(blocks.length)
  })
})

describe('the six commands of the README', { timeout: 400_000 }, () => {
  test('lead from nothing to a booted release, without a copied id', async () => {
    const { start, blocks } = await readSixCommands()
    const place = await emptyFolder('six-commands')
    await cp(join(pages, '../examples'), join(place, 'docs/examples'), { recursive: true })

    const ran = await runGuide(blocks, { folder: place, programs })

    const commands = [start, ...blocks.map((block) => block.commands)]
    expect(commands.length).toBeLessThanOrEqual(6)
    expect(commands[0]).toBe('npm start')
    expect(commands.filter((command) => /[0-9a-fA-F]{8}/.test(command))).toEqual([])
    expect(ran.at(-1)?.printed).toMatch(/^keys +of epoch 1, signed by the root key/m)
  })

  test('are the commands in the picture, and the picture loads no other file', async () => {
    const svg = await readFile(join(pages, '../pictures/six-commands.svg'), 'utf8')
    const { start, blocks } = await readSixCommands()
    const [, description = ''] = /<desc id="desc">The output of: (.*)<\/desc>/.exec(svg) ?? []

    expect(description).toBe([start, ...blocks.map(({ commands }) => commands)].join('; '))
    expect(svg.length).toBeLessThan(20_000)
    expect(svg).toContain('prefers-color-scheme: dark')
    const outside = svg.match(/url\(|@import|@font-face|<image|href=|\/tmp\//g)
    expect(outside).toBeNull()
  })
})

describe('the runner of guides', () => {
  const run = async (page: string) =>
    runGuide(readGuide(page), { folder: await mkdtemp(join(folder, 'page-')), programs })

  test('fails at the first command that fails, and names its line', async () => {
    const page = 'Text\n\n```bash\necho one\n```\n\n```bash\nfalse\necho two\n```\n'

    await expect(run(page)).rejects.toThrow(/line 8 failed/)
  })

  test('fails if a command prints something else than the page shows', async () => {
    const page = '```bash\necho "id 0x12 of 3"\n```\n\n```text\nid … of 4\n```\n'

    await expect(run(page)).rejects.toThrow(/line 2 should print/)
    await expect(run(page.replace('of 4', 'of 3'))).resolves.toHaveLength(1)
  })

  test('keeps variables from one block to the next', async () => {
    const page = '```bash\nA=1\n```\n\n```bash\necho "$A"\n```\n\n```text\n1\n```\n'

    await expect(run(page)).resolves.toHaveLength(2)
  })

  test('gives commands a terminal and answers their questions with yes', async () => {
    const page =
      '```bash\ntest -t 0 && test -t 1\nread -r -p "Continue? [y/N] " answer\necho "$answer"\n```\n'

    const [block] = await run(page)

    expect(block?.printed).toMatch(/y\n$/)
  })

  test('refuses a page without commands', () => {
    expect(() => readGuide('```sh\nassent\n```\n')).toThrow(/no bash block/)
  })

  test('matches text with …, and any number of lines with a line of …', () => {
    expect(showsOutput('a … c', 'a b c')).toBe(true)
    expect(showsOutput('a …\n…\nd', 'a b\nx\ny\nd')).toBe(true)
    expect(showsOutput('a …\n…\nd', 'a b\nd')).toBe(true)
    expect(showsOutput('a …', 'a b\nc')).toBe(false)
    expect(showsOutput('a.c', 'abc')).toBe(false)
  })
})
