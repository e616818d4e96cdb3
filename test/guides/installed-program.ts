/** The program `assent`, installed into an empty folder. */
import { execFile } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

import { isBuilt, packPackage } from '../package/packed.ts'

const root = resolve(import.meta.dirname, '../..')

/**
 * Installs the packed package. Without `dist` (a single run of a test in a fresh clone) it links the program of the clone.
 *
 * @returns the folder of the program, for `PATH`
 */
export async function installProgram(folder: string): Promise<string> {
  const programs = join(folder, 'node_modules', '.bin')
  if (!isBuilt) {
    await mkdir(programs, { recursive: true })
    await symlink(join(root, 'bin/assent.js'), join(programs, 'assent'))
    await symlink(root, join(folder, 'node_modules/assent'))
    return programs
  }
  const { file } = await packPackage()
  const manifest = { private: true, dependencies: { assent: `file:${file}` } }
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
  const install = ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline']
  await promisify(execFile)('npm', install, { cwd: folder })
  return programs
}
