/** A dropped app-compose.json or docker-compose.yml, read as `assent app hash` and `assent app init` read it. */
import { createManifest } from '../../../src/manifest/create-manifest.ts'
import {
  describeManifest,
  type ManifestDescription,
} from '../../../src/manifest/describe-manifest.ts'
import type { ManifestFinding } from '../../../src/manifest/finding.ts'
import { lintManifest } from '../../../src/manifest/lint-manifest.ts'
import { type Manifest, maxManifestBytes, readManifest } from '../../../src/manifest/manifest.ts'

/** A file of the reader. */
export interface DroppedFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** A release that is not approved yet. */
export interface DroppedRelease {
  readonly manifest: Manifest
  readonly description: ManifestDescription
  readonly findings: readonly ManifestFinding[]
}

/** Most bytes of a file. */
export const maxFileBytes = maxManifestBytes

/** Whether the file is a Docker Compose file, for which a manifest is made. */
export function isComposeFile({ name }: Pick<DroppedFile, 'name'>): boolean {
  return /\.ya?ml$/i.test(name)
}

/**
 * @param appName name in the manifest that is made for a Docker Compose file
 * @throws COMPOSE_INVALID, IMAGE_NOT_PINNED, INPUT_INVALID, INPUT_TOO_LARGE, MANIFEST_INVALID
 */
export function readRelease(file: DroppedFile, appName: string): DroppedRelease {
  const raw = isComposeFile(file)
    ? new TextEncoder().encode(
        createManifest({
          name: appName,
          compose: new TextDecoder('utf-8', { fatal: true }).decode(file.bytes),
        }),
      )
    : file.bytes
  const manifest = readManifest(raw)
  return { manifest, description: describeManifest(manifest), findings: lintManifest(manifest) }
}
