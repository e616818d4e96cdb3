/**
 * The one place that finds recorded vectors: real quotes, collateral and event logs of other projects.
 *
 * They are not in this repository. `ASSENT_VECTORS` names their folder, else `../shared/vectors` is
 * tried; `npm run vectors:fetch` downloads them from their public origins (`vectors/manifest.json`).
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const projectRoot = resolve(import.meta.dirname, '..')

/** Folder of the recorded vectors, or undefined where they are not at hand. */
export const vectorsFolder: string | undefined = [
  process.env.ASSENT_VECTORS,
  join(projectRoot, '..', 'shared', 'vectors'),
].find((folder) => folder !== undefined && existsSync(join(folder, 'dcap')))

/** Bytes of a recorded vector, by its path in the manifest. */
export function readVector(path: string): Uint8Array {
  if (vectorsFolder === undefined) throw new Error(`No recorded vectors at hand for ${path}.`)
  return new Uint8Array(readFileSync(join(vectorsFolder, path)))
}

export function readVectorText(path: string): string {
  return Buffer.from(readVector(path)).toString('utf8')
}

/** The caller states the shape; the expected results in these files are ours. */
export function readVectorJson<T>(path: string): T {
  return JSON.parse(readVectorText(path)) as T
}

/** A vector that is committed in `vectors/`, so that it is at hand everywhere. */
export function readCommittedJson<T>(path: string): T {
  return JSON.parse(readFileSync(join(projectRoot, 'vectors', path), 'utf8')) as T
}
