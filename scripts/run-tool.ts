/** Runs the project's own tools: by their files, so that neither npx nor PATH has a say in which one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

export const projectRoot: string = path.dirname(import.meta.dirname)

/** The package that brings each tool, and the tool's name in it. */
const packages: Readonly<Record<string, string>> = {
  biome: '@biomejs/biome',
  buf: '@bufbuild/buf',
  'drizzle-kit': 'drizzle-kit',
  hardhat: 'hardhat',
  prettier: 'prettier',
  stryker: '@stryker-mutator/core',
  tsc: 'typescript',
  typedoc: 'typedoc',
  vitest: 'vitest',
}

/** What a tool writes last, and the time in which it must end afterwards. */
export interface Report {
  readonly file: string
  readonly endMs: number
}

/**
 * Runs `[tool, …args]`, or `['node', file, …args]`, and says whether it ended well.
 *
 * @param report A tool that does not end after its report is killed and counts as failed: vitest waits without a limit
 *   for processes that a test left behind.
 */
export async function runTool(command: readonly string[], report?: Report): Promise<boolean> {
  const child = spawn(process.execPath, toolCommand(command), {
    cwd: projectRoot,
    stdio: 'inherit',
  })
  const guard = report === undefined ? undefined : killAfterReport(child, report)
  const [status, signal] = await once(child, 'exit')
  clearInterval(guard)
  if (status !== 0) console.error(`${command.join(' ')} ended with ${status ?? signal}`)
  return status === 0
}

function killAfterReport(child: ChildProcess, { file, endMs }: Report): NodeJS.Timeout {
  let writtenAt: number | undefined
  return setInterval(() => {
    if (existsSync(file)) writtenAt ??= performance.now()
    if (writtenAt === undefined || performance.now() - writtenAt < endMs) return
    console.error(`${file} is written, but a process that a test started still runs.`)
    child.kill('SIGKILL')
  }, 1_000)
}

/** The same without a word, and what it said. */
export async function runToolAside(
  command: readonly string[],
): Promise<{ ok: boolean; said: string }> {
  const child = spawn(process.execPath, toolCommand(command), {
    cwd: projectRoot,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk
    })
  }
  const [status] = await once(child, 'close')
  if (status !== 0) said += `${command.join(' ')} ended with ${status}\n`
  return { ok: status === 0, said }
}

/** The arguments with which Node runs such a command. */
export function toolCommand([tool = '', ...args]: readonly string[]): string[] {
  return tool === 'node' ? args : [findTool(tool), ...args]
}

function findTool(tool: string): string {
  const name = packages[tool]
  if (name === undefined) throw new Error(`No package is known for ${tool}.`)
  const folder = path.join(projectRoot, 'node_modules', name)
  const { bin } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'))
  return path.join(folder, typeof bin === 'string' ? bin : bin[tool])
}
