/**
 * `assent app changes`: compares a manifest file with the manifest of a release. Reads the approval from the app and
 * the published manifest from its events; sends nothing. Exit code 1 if they differ in meaning.
 *
 * @throws MANIFEST_UNPUBLISHED if the release was approved by its hash alone
 */
import type { Address } from 'viem'

import { readEpochs } from '../../chain/app.ts'
import { findManifest } from '../../chain/published-manifest.ts'
import { type Listed, listApprovals } from '../../chain/registry.ts'
import { AssentError } from '../../errors/index.ts'
import { compareManifests, formatComparison } from '../../manifest/compare-manifests.ts'
import { readManifest } from '../../manifest/manifest.ts'
import type { changes } from '../app-release.ts'
import type { ArgumentsOf } from '../command.ts'
import { readBytes } from '../input/arguments.ts'
import { requireApp } from '../input/contracts.ts'
import { resolveId } from '../input/names.ts'
import { comparisonSchema, exitCodeOfComparison } from '../output/manifest-comparison.ts'
import { progressOf } from '../output/output.ts'
import type { Session } from '../session/session.ts'

export const schema = comparisonSchema
export const exitCode = exitCodeOfComparison

export async function run(args: ArgumentsOf<typeof changes>, session: Session) {
  const { publicClient, output, deployment } = session
  const manifest = readManifest(await readBytes(args.manifest))
  const app = await requireApp(session, args.app)
  const release = await chooseRelease(session, app, args.release)
  // no app is older than its KmsAuth
  const from = BigInt(deployment.contracts.kmsAuth?.block ?? 0)
  const progress = progressOf(output, 'searching for the manifest of the release')
  const published = await findManifest(publicClient, app, release.id, from, progress)
  if (published === undefined) {
    throw new AssentError('MANIFEST_UNPUBLISHED', 'The release has no published manifest.', {
      facts: { app, release: release.id },
    })
  }
  output.heading(`Against release ${release.approval.index}, ${release.id}`)
  const comparison = compareManifests(published, manifest)
  for (const line of formatComparison(comparison)) output.line(line)
  return { ...comparison, changes: [...comparison.changes] }
}

/** By number or hash; otherwise the newest one that gets keys now. */
async function chooseRelease(
  session: Session,
  app: Address,
  wanted: string | undefined,
): Promise<Listed> {
  const { publicClient } = session
  const listed = await listApprovals(publicClient, app, 'release')
  if (wanted !== undefined) {
    const isNumber = /^[1-9][0-9]{0,4}$/.test(wanted)
    const id = isNumber
      ? listed[Number(wanted) - 1]?.id
      : await resolveId(session, { kind: 'release', registry: app }, wanted)
    const found = listed.find((each) => each.id === id)
    if (found !== undefined) return found
  } else {
    for (const each of [...listed].reverse()) {
      const { write } = await readEpochs(publicClient, app, each.id)
      if (write > 0) return each
    }
  }
  throw new AssentError('MANIFEST_UNPUBLISHED', 'The app has no such release.', {
    facts: { app, release: wanted ?? null, releases: listed.length },
  })
}
