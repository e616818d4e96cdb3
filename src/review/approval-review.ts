/**
 * Reviews the approvals of a proposal: the evidence of each one, the release behind a compose hash, and its difference
 * from the newest release that can boot. Every text is checked against its hash.
 */
import { type Log, type PublicClient, parseEventLogs, sha256 } from 'viem'
import { approvalRegistryAbi, imagesAbi } from '../chain/abi.ts'
import { decodeApproval, type Kind, kinds, stateAt } from '../chain/approval.ts'
import { toChainError } from '../chain/call.ts'
import { type ApprovalEvidence, readEvidence } from '../chain/governance/approval-evidence.ts'
import { findManifest, manifestIn, toManifest } from '../chain/registries/published-manifest.ts'
import { countApprovals, pageOfApprovals } from '../chain/registries/registry.ts'
import type { LocalLog } from '../chain/simulate/local-chain.ts'
import type { Hex } from '../lib/bytes.ts'
import { compareManifests, type ManifestChange } from '../manifest/compare-manifests.ts'
import { describeManifest, type ManifestDescription } from '../manifest/describe-manifest.ts'
import type { Manifest } from '../manifest/manifest.ts'

/** An approval that the proposal gives, and the meaning of its id. */
export interface ApprovalReview {
  /** Kind of the approval, such as `release` or `osImage`. */
  readonly kind: Kind
  /** 32 bytes. */
  readonly id: Hex
  /** Lower-case address of the registry; for releases and devices the app. */
  readonly registry: Hex
  /** Unix seconds. */
  readonly activeFrom: number
  /** Unix seconds; 0: no end. */
  readonly expiresAt: number
  /** The evidence document in the calldata; undefined if it is missing or has another form. */
  readonly evidence: ApprovalEvidence | undefined
  /** Name of a base image in the image registry. */
  readonly imageName: string | undefined
  /** Manifest of a release; undefined for other kinds and for unknown manifests. */
  readonly release: ReleaseDetails | undefined
}

/** A release whose manifest is known. */
export interface ReleaseDetails {
  /** Where the manifest is from; its SHA-256 is the id in every case. */
  readonly source: 'proposal' | 'file'
  /** The manifest in short. Its hash was compared with the id. */
  readonly manifest: ManifestDescription
  /** The difference from the newest active release with a known manifest; undefined without such a release. */
  readonly difference:
    | { readonly from: Hex; readonly changes: readonly ManifestChange[] }
    | undefined
}

/** Sources of evidence, names and manifests, and the block to read. */
export interface ApprovalContext {
  /** Reads the state of `blockNumber` and the events up to it. */
  readonly client: PublicClient
  /** The block of the review. */
  readonly blockNumber: bigint
  /** First block of the search for events. */
  readonly fromBlock: bigint
  /** The image registry; undefined if the deployment has no image registry. */
  readonly images: Hex | undefined
  /** Manifests from files, as bytes. */
  readonly files: readonly Uint8Array[]
  /** The time of the execution, unix seconds. */
  readonly executedAt: number
}

/** Newest releases of an app among which the running one is searched. */
const searchedReleases = 50
/** Approvals for which evidence and manifests are read. */
const maxApprovals = 100

/** @throws CHAIN_UNREACHABLE */
export async function reviewApprovals(
  logs: readonly LocalLog[],
  context: ApprovalContext,
): Promise<ApprovalReview[]> {
  const given = parseEventLogs({
    abi: approvalRegistryAbi,
    eventName: 'ApprovalGiven',
    logs: logs.map(({ address, topics, data }) => ({ address, topics, data })) as unknown as Log[],
  }).slice(0, maxApprovals)
  const names = new Map<number, Kind>(
    (Object.keys(kinds) as Kind[]).map((name) => [kinds[name], name]),
  )
  const approvals: ApprovalReview[] = []
  for (const { address, args } of given) {
    const kind = names.get(args.kind)
    if (kind === undefined) continue
    const registry = address.toLowerCase() as Hex
    const { activeFrom, expiresAt } = decodeApproval(args.approval)
    approvals.push({
      kind,
      id: args.id,
      registry,
      activeFrom,
      expiresAt,
      evidence: readEvidence(args.evidence),
      imageName: kind === 'osImage' ? await imageNameOf(args.id, context) : undefined,
      release:
        kind === 'release'
          ? await releaseDetails(registry, args.id, args.evidence, context)
          : undefined,
    })
  }
  return approvals
}

async function imageNameOf(
  id: Hex,
  { client, images, blockNumber }: ApprovalContext,
): Promise<string | undefined> {
  if (images === undefined) return undefined
  const name = await client
    .readContract({
      address: images,
      abi: imagesAbi,
      functionName: 'imageNameOf',
      args: [id],
      blockNumber,
    })
    .catch((cause: unknown) => {
      throw toChainError(cause, `read the name of image ${id}`)
    })
  return name === '' ? undefined : name
}

async function releaseDetails(
  app: Hex,
  id: Hex,
  evidence: Hex,
  context: ApprovalContext,
): Promise<ReleaseDetails | undefined> {
  const published = manifestIn(evidence, id)
  const manifest = published ?? manifestInFiles(id, context)
  if (manifest === undefined) return undefined
  const running = await runningManifest(app, id, context)
  return {
    source: published === undefined ? 'file' : 'proposal',
    manifest: describeManifest(manifest),
    difference:
      running === undefined
        ? undefined
        : {
            from: running.composeHash,
            changes: compareManifests(running, manifest).changes,
          },
  }
}

/** The newest active release of the app before the proposal whose manifest is known. */
async function runningManifest(
  app: Hex,
  except: Hex,
  context: ApprovalContext,
): Promise<Manifest | undefined> {
  const { client, blockNumber, fromBlock, executedAt } = context
  const search = { fromBlock, toBlock: blockNumber }
  // an app that the proposal creates has no releases yet
  const code = await client.getCode({ address: app, blockNumber }).catch((cause: unknown) => {
    throw toChainError(cause, `read the code of ${app}`)
  })
  if (code === undefined || code === '0x') return undefined
  const total = await countApprovals(client, app, 'release', blockNumber)
  const offset = Math.max(0, total - searchedReleases)
  const limit = total - offset
  if (limit === 0) return undefined
  const listed = await pageOfApprovals(client, app, 'release', { offset, limit, blockNumber })
  const active = listed.filter(
    ({ id, approval }) => id !== except && stateAt(approval, executedAt) === 'active',
  )
  for (const { id } of active.reverse()) {
    const manifest = manifestInFiles(id, context) ?? (await findManifest(client, app, id, search))
    if (manifest !== undefined) return manifest
  }
  return undefined
}

function manifestInFiles(id: Hex, { files }: ApprovalContext): Manifest | undefined {
  const raw = files.find((bytes) => sha256(bytes) === id)
  return raw === undefined ? undefined : toManifest(raw)
}
