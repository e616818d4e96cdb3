/** Runs the project's own tools: by their files, so that neither npx nor PATH has a say in which one. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'

export const projectRoot: string = path.dirname(import.meta.dirname)

/** The package that brings each tool, and the tool's name in it. */
const packages: Readonly<Record<string, string>> = {
  biome: '@biomejs/biome',
  hardhat: 'hardhat',
  prettier: 'prettier',
  tsc: 'typescript',
  vitest: 'vitest',
}

/** Runs `[tool, …args]`, or `['node', file, …args]`, and says whether it ended well. */
export function runTool(command: readonly string[]): boolean {
  const { status } = spawnSync(process.execPath, toolCommand(command), {
    cwd: projectRoot,
    stdio: 'inherit',
  })
  if (status !== 0) console.error(`${command.join(' ')} ended with ${status}`)
  return status === 0
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
