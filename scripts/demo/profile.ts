/** Writes a profile of the running demo, so that each command finds it. */
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import { stringify } from 'smol-toml'

import { projectFile } from '../../src/commands/session/profile.ts'

/** What commands need to know about the demo. */
export interface DemoProfile {
  readonly rpcUrl: string
  readonly chainId: number
  /** Absolute path. */
  readonly deployments: string
  /** An account of the development node, which has votes. */
  readonly account: string
  readonly kms: string
  readonly relayer: string
  /** Absolute path of the folder of the demo's host. */
  readonly simulatedHost: string
  readonly names: Readonly<Record<string, string>>
}

/** The first line; a file without it is somebody's own. */
const mark = '# Written by npm start; it writes this file again at the next start.'

/**
 * Writes the profile `demo` into the project file of a folder.
 *
 * @returns the path, or undefined if the folder has another project file, which is not touched
 */
export async function writeDemoProfile(
  folder: string,
  { rpcUrl, chainId, account, names, ...places }: DemoProfile,
): Promise<string | undefined> {
  const file = path.join(folder, projectFile)
  const known = await readFile(file, 'utf8').catch(() => mark)
  if (!known.startsWith(mark)) return undefined
  const app = names['hello-assent'] === undefined ? {} : { app: 'hello-assent' }
  const demo = {
    rpcUrls: [rpcUrl],
    chainId,
    ...places,
    ...app,
    account: { node: account },
    names,
  }
  await writeFile(file, `${mark}\n${stringify({ profile: 'demo', profiles: { demo } })}`)
  return file
}
