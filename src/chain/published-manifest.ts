/** Manifests of releases, which an app publishes as evidence of their approval. */
import { type Address, type PublicClient, parseEventLogs } from 'viem'

import { fromHex, type Hex, utf8ToBytes } from '../lib/bytes.ts'
import { type Manifest, readManifest } from '../manifest/manifest.ts'
import { approvalRegistryAbi } from './abi.ts'
import { readEvidence } from './governance/approval-evidence.ts'
import { historyOf } from './history.ts'
import { kinds } from './kinds.ts'

/**
 * Finds the published manifest of a release. Its SHA-256 is the id of the release, so no endpoint can show another one.
 *
 * @param fromBlock a block before the approval
 * @returns undefined if the release was approved without its manifest
 * @throws CHAIN_UNREACHABLE
 */
export async function findManifest(
  client: PublicClient,
  app: Address,
  composeHash: Hex,
  fromBlock: bigint,
  onProgress?: (read: bigint, total: bigint) => void,
): Promise<Manifest | undefined> {
  const logs = await historyOf(client, app, fromBlock, {
    abi: approvalRegistryAbi,
    events: ['ApprovalGiven'],
    args: { kind: kinds.release, id: composeHash },
    onProgress,
  })
  const given = parseEventLogs({ abi: approvalRegistryAbi, eventName: 'ApprovalGiven', logs })
  return given
    .flatMap(({ args }) => manifestsIn(args.evidence))
    .find((manifest) => manifest.composeHash === composeHash)
}

/** The evidence is the manifest itself, or a document that contains it. */
function manifestsIn(evidence: Hex): Manifest[] {
  const document = readEvidence(evidence)?.manifest
  const raws = [fromHex(evidence, 'evidence'), ...(document ? [utf8ToBytes(document)] : [])]
  return raws.flatMap((raw) => {
    try {
      return [readManifest(raw)]
    } catch {
      return []
    }
  })
}
