/**
 * The one place that finds recorded vectors: real quotes, collateral and event logs of other projects.
 *
 * They are not in this repository. `ASSENT_VECTORS` names their folder; else `../shared/vectors` is tried,
 * then `.assent/vectors`, where `npm run vectors:fetch` puts them (`vectors/manifest.json` lists all).
 */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const projectRoot = resolve(import.meta.dirname, '..', '..')

/** Where `npm run vectors:fetch` puts them. */
export const fetchedFolder: string = join(projectRoot, '.assent', 'vectors')

const candidates = process.env.ASSENT_VECTORS
  ? [process.env.ASSENT_VECTORS]
  : [join(projectRoot, '..', 'shared', 'vectors'), fetchedFolder]

/** Folder of the recorded vectors, or undefined where they are not at hand. */
export const vectorsFolder: string | undefined = candidates.find((folder) =>
  existsSync(join(folder, 'dstack')),
)

/** A recorded file: where it comes from and how its bytes are known. */
export interface ManifestFile {
  readonly path: string
  readonly sha256: string
  readonly bytes: number
  readonly licence: string
  /** null where no public address has these bytes */
  readonly origin:
    | { readonly repository: string; readonly commit: string | null; readonly path: string }
    | { readonly url: string }
    | null
  /** how the recorded form comes from the origin: see `vectors/README.md` */
  readonly derive: string
  /** unix seconds for which the expected result holds */
  readonly time?: number
  readonly expect?: string[]
}

export function readManifest(): { readonly files: ManifestFile[] } {
  return readCommittedJson('manifest.json')
}

/** Paths of the manifest that the folder lacks. */
export function missingVectors(folder: string): string[] {
  return readManifest()
    .files.map((file) => file.path)
    .filter((path) => !existsSync(join(folder, path)))
}

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
