/** Releases of an app on-chain, and their published manifests. */
import type { Address } from 'viem'

import { readEpochs } from '../../chain/registries/app.ts'
import { findManifest } from '../../chain/registries/published-manifest.ts'
import { type Listed, listApprovals } from '../../chain/registries/registry.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Manifest } from '../../manifest/manifest.ts'
import { progressOf } from '../output/output.ts'
import type { Session } from '../session/session.ts'
import { resolveId } from './names.ts'

/** The published manifest of a release. @throws MANIFEST_UNPUBLISHED, CHAIN_UNREACHABLE */
export async function readPublished(
  { publicClient, output, deployment }: Session,
  app: Address,
  release: Hex,
): Promise<Manifest> {
  // no app is older than its KmsAuth
  const from = BigInt(deployment.contracts.kmsAuth?.block ?? 0)
  const progress = progressOf(output, 'searching for the manifest of the release')
  const published = await findManifest(publicClient, app, release, {
    fromBlock: from,
    onProgress: progress,
  })
  if (published !== undefined) return published
  throw new AssentError('MANIFEST_UNPUBLISHED', 'The release has no published manifest.', {
    facts: { app, release },
  })
}

/** Finds the release by number or hash; otherwise the newest release that can boot. */
export async function chooseRelease(
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
