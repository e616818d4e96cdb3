/** Compiles the node as its image has it: a process that compiles TypeScript itself needs other memory. */
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { projectRoot, runTool } from '../../scripts/run-tool.ts'

const folder = join(projectRoot, '.assent/bench')
let compiled: Promise<string> | undefined

/** Compiles once per process. @returns path of the entry point of the KMS image */
export function compileNode(): Promise<string> {
  compiled ??= compile()
  return compiled
}

async function compile(): Promise<string> {
  const options = [
    '--outDir',
    folder,
    '--declaration',
    'false',
    '--sourceMap',
    'false',
    '--noCheck',
  ]
  const isDone = await runTool(['tsc', '-p', 'tsconfig.build.json', ...options])
  if (!isDone) throw new Error('The node could not be compiled.')
  await mkdir(folder, { recursive: true })
  // the version, and that the files are modules
  await copyFile(join(projectRoot, 'package.json'), join(folder, 'package.json'))
  return join(folder, 'src/cli/kms-image.js')
}
