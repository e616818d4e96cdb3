/**
 * `assent app changes`: compares a manifest file with the manifest of a release. Reads the approval from the app and
 * the published manifest from its events; sends nothing. Exit code 1 if they differ in meaning.
 *
 * @throws MANIFEST_UNPUBLISHED if the release was approved by its hash alone
 */
import { compareManifests, formatComparison } from '../../manifest/compare-manifests.ts'
import { readManifest } from '../../manifest/manifest.ts'
import type { changes } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import { chooseRelease, readPublished } from '../input/published-release.ts'
import { comparisonSchema, exitCodeOfComparison } from '../output/manifest-comparison.ts'
import type { Session } from '../session/session.ts'

export const schema = comparisonSchema
export const exitCode = exitCodeOfComparison

export async function run(args: ArgumentsOf<typeof changes>, session: Session) {
  const { output } = session
  const manifest = readManifest(await readBytes(args.manifest))
  const app = await requireApp(session, args.app)
  const release = await chooseRelease(session, app, args.release)
  const published = await readPublished(session, app, release.id)
  output.heading(`Against release ${release.approval.index}, ${release.id}`)
  const comparison = compareManifests(published, manifest)
  for (const line of formatComparison(comparison)) output.line(line)
  return { ...comparison, changes: [...comparison.changes] }
}
