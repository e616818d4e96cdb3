/** Manifests of releases, which an app publishes as evidence of their approval. */
import { type Address, type PublicClient, parseEventLogs } from 'viem'

import { isAssentError } from '../../errors/index.ts'
import { fromHex, type Hex, utf8ToBytes } from '../../lib/bytes.ts'
import { type Manifest, maxPublishedBytes, readManifest } from '../../manifest/manifest.ts'
import { approvalRegistryAbi } from '../abi.ts'
import { readEvidence } from '../governance/approval-evidence.ts'
import { kinds } from '../kinds.ts'
import { historyOf } from '../rpc/history.ts'

/** Blocks whose events are searched, and progress for people who wait. */
export interface ManifestSearch {
  /** A block before the approval. */
  readonly fromBlock: bigint
  /** Last block; default: the newest one. */
  readonly toBlock?: bigint
  /** Called with the number of blocks that were searched, and their total. */
  readonly onProgress?: (searched: bigint, total: bigint) => void
}

/**
 * Finds the published manifest of a release, in the newest approval that has it. Its SHA-256 is the id of the release, so
 * no endpoint can show another one.
 *
 * @param composeHash 32 bytes
 * @returns undefined if the release was approved without its manifest
 * @throws CHAIN_UNREACHABLE
 * @example
 * const manifest = await findManifest(client, app, composeHash, { fromBlock: 19_000_000n })
 */
export async function findManifest(
  client: PublicClient,
  app: Address,
  composeHash: Hex,
  { fromBlock, ...search }: ManifestSearch,
): Promise<Manifest | undefined> {
  const logs = await historyOf(client, app, fromBlock, {
    abi: approvalRegistryAbi,
    events: ['ApprovalGiven'],
    args: { kind: kinds.release, id: composeHash },
    ...search,
  })
  const given = parseEventLogs({ abi: approvalRegistryAbi, eventName: 'ApprovalGiven', logs })
  for (const { args } of given.reverse()) {
    const manifest = manifestIn(args.evidence, composeHash)
    if (manifest !== undefined) return manifest
  }
  return undefined
}

/**
 * The manifest in the evidence of an approval: the evidence itself, or a member of an evidence document. A hash can also
 * stand for bytes that are not a manifest; then there is no manifest to show.
 *
 * @param composeHash the id of the release; other manifests are ignored
 */
export function manifestIn(evidence: Hex, composeHash: Hex): Manifest | undefined {
  const document = readEvidence(evidence)?.manifest
  const raws = [fromHex(evidence, 'evidence'), ...(document ? [utf8ToBytes(document)] : [])]
  return raws.map(toManifest).find((manifest) => manifest?.composeHash === composeHash)
}

/** @returns undefined if the bytes are no manifest that can be published */
export function toManifest(raw: Uint8Array): Manifest | undefined {
  if (raw.length > maxPublishedBytes) return undefined
  try {
    return readManifest(raw)
  } catch (error) {
    if (isAssentError(error)) return undefined
    throw error
  }
}
