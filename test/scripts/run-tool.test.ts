import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { runTool } from '../../scripts/run-tool.ts'

const root = join(import.meta.dirname, '../..')

describe('runTool', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'assent-run-tool-'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  const script = async (name: string, text: string) => {
    const file = join(folder, `${name}.mjs`)
    await writeFile(file, text)
    return ['node', file]
  }

  test('kills a tool that wrote its report and does not end', async () => {
    const said = vi.spyOn(console, 'error').mockReturnValue()
    const file = join(folder, 'report.json')
    const command = await script(
      'endless',
      `import { writeFileSync } from 'node:fs'
       writeFileSync(${JSON.stringify(file)}, '{}')
       setInterval(() => {}, 1_000)`,
    )

    expect(await runTool(command, { file, endMs: 100 })).toBe(false)

    expect(said.mock.calls.flat().join()).toMatch(/still runs.*ended with SIGKILL/)
    said.mockRestore()
  })

  test('waits for a tool that has not written its report', async () => {
    const file = join(folder, 'no-report.json')
    const command = await script('slow', 'setTimeout(() => {}, 1_500)')

    expect(await runTool(command, { file, endMs: 0 })).toBe(true)
  })
})

test('no test starts a process that inherits its output', async () => {
  const files = (await readdir(join(root, 'test'), { recursive: true })).filter((name) =>
    name.endsWith('.ts'),
  )
  const inherits = /stdio: (?:'inherit'|\[[^\]]*'inherit')/

  const found = await Promise.all(
    files.map(async (name) => [name, await readFile(join(root, 'test', name), 'utf8')] as const),
  )

  expect(found.filter(([, text]) => inherits.test(text)).map(([name]) => name)).toEqual([])
})
