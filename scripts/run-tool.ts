/** Runs the project's own tools: by their files, so that neither npx nor PATH has a say in which one. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
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

/** Runs `[tool, …args]`, or `['node', file, …args]`, and says whether it ended well. */
export async function runTool(command: readonly string[]): Promise<boolean> {
  const child = spawn(process.execPath, toolCommand(command), {
    cwd: projectRoot,
    stdio: 'inherit',
  })
  const [status] = await once(child, 'exit')
  if (status !== 0) console.error(`${command.join(' ')} ended with ${status}`)
  return status === 0
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
