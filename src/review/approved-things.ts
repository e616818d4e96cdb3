/**
 * What the hashes in a proposal stand for: the evidence of each approval, the release behind a compose hash, and the
 * difference from the release that runs now. Every text is checked against its hash.
 */
import { type Log, type PublicClient, parseEventLogs, sha256 } from 'viem'
import { approvalRegistryAbi, imagesAbi } from '../chain/abi.ts'
import { decodeApproval, type Kind, kinds, stateAt } from '../chain/approval.ts'
import { toChainError } from '../chain/call.ts'
import { type ApprovalEvidence, readEvidence } from '../chain/governance/approval-evidence.ts'
import { historyOf } from '../chain/history.ts'
import { countApprovals, pageOfApprovals } from '../chain/registry.ts'
import type { LocalLog } from '../chain/simulate/local-chain.ts'
import { isAssentError } from '../errors/index.ts'
import { fromHex, type Hex, utf8ToBytes } from '../lib/bytes.ts'
import { compareManifests, type ManifestChange } from '../manifest/compare-manifests.ts'
import { describeManifest, type ManifestDescription } from '../manifest/describe-manifest.ts'
import { type Manifest, maxPublishedBytes, readManifest } from '../manifest/manifest.ts'

/** An approval that the proposal gives, and what its id stands for. */
export interface ApprovedThing {
  /** Kind of the approval, such as `release` or `osImage`. */
  readonly kind: Kind
  /** 32 bytes. */
  readonly id: Hex
  /** Lower-case address of the registry; for releases and devices the app. */
  readonly registry: Hex
  /** Unix seconds. */
  readonly activeFrom: number
  /** 0: never. */
  readonly expiresAt: number
  /** The evidence document in the calldata; undefined if there is none or it has another form. */
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
  /** The difference from the newest active release with a known manifest; undefined if there is none. */
  readonly difference:
    | { readonly from: Hex; readonly changes: readonly ManifestChange[] }
    | undefined
}

/** Where evidence, names and manifests are searched, and at which block. */
export interface ThingsContext {
  /** Reads the state of `blockNumber` and the events up to it. */
  readonly client: PublicClient
  /** The block of the review. */
  readonly blockNumber: bigint
  /** Where the search for events starts. */
  readonly fromBlock: bigint
  /** The image registry; undefined if the deployment has none. */
  readonly images: Hex | undefined
  /** Manifests from files, as bytes. */
  readonly files: readonly Uint8Array[]
  /** The time of the execution, unix seconds. */
  readonly now: number
}

/** Newest releases of an app among which the running one is searched. */
const searchedReleases = 50
/** Approvals for which evidence and manifests are read. */
const maxThings = 100

/** @throws CHAIN_UNREACHABLE */
export async function readApprovedThings(
  logs: readonly LocalLog[],
  context: ThingsContext,
): Promise<ApprovedThing[]> {
  const given = parseEventLogs({
    abi: approvalRegistryAbi,
    eventName: 'ApprovalGiven',
    logs: logs.map(({ address, topics, data }) => ({ address, topics, data })) as unknown as Log[],
  }).slice(0, maxThings)
  const names = new Map<number, Kind>(
    (Object.keys(kinds) as Kind[]).map((name) => [kinds[name], name]),
  )
  const things: ApprovedThing[] = []
  for (const { address, args } of given) {
    const kind = names.get(args.kind)
    if (kind === undefined) continue
    const registry = address.toLowerCase() as Hex
    const { activeFrom, expiresAt } = decodeApproval(args.approval)
    things.push({
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
  return things
}

async function imageNameOf(
  id: Hex,
  { client, images, blockNumber }: ThingsContext,
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
  context: ThingsContext,
): Promise<ReleaseDetails | undefined> {
  const published = manifestIn(evidence, id)
  const file = context.files.find((bytes) => sha256(bytes) === id)
  const bytes = published ?? file
  const manifest = bytes === undefined ? undefined : parse(bytes)
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
  { client, blockNumber, fromBlock, files, now }: ThingsContext,
): Promise<Manifest | undefined> {
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
    ({ id, approval }) => id !== except && stateAt(approval, now) === 'active',
  )
  for (const { id } of active.reverse()) {
    const bytes =
      files.find((each) => sha256(each) === id) ??
      (await publishedManifest(app, id, { client, blockNumber, fromBlock }))
    const manifest = bytes === undefined ? undefined : parse(bytes)
    if (manifest !== undefined) return manifest
  }
  return undefined
}

/** A manifest that an approval published, from the events of the app. */
async function publishedManifest(
  app: Hex,
  id: Hex,
  { client, blockNumber, fromBlock }: Pick<ThingsContext, 'client' | 'blockNumber' | 'fromBlock'>,
): Promise<Uint8Array | undefined> {
  const logs = await historyOf(client, app, fromBlock, {
    abi: approvalRegistryAbi,
    events: ['ApprovalGiven'],
    args: { kind: kinds.release, id },
    toBlock: blockNumber,
  })
  const given = parseEventLogs({ abi: approvalRegistryAbi, eventName: 'ApprovalGiven', logs })
  for (const { args } of given.reverse()) {
    const bytes = manifestIn(args.evidence, id)
    if (bytes !== undefined) return bytes
  }
  return undefined
}

/** The manifest in evidence bytes: the evidence itself, or a member of an evidence document. Its SHA-256 must be `id`. */
function manifestIn(evidence: Hex, id: Hex): Uint8Array | undefined {
  if (evidence === '0x') return undefined
  if (sha256(evidence) === id) return fromHex(evidence, 'evidence')
  const { manifest } = readEvidence(evidence) ?? {}
  if (manifest === undefined) return undefined
  const bytes = utf8ToBytes(manifest)
  return sha256(bytes) === id ? bytes : undefined
}

/** A hash can stand for bytes that are not a manifest. They are shown as unknown. */
function parse(bytes: Uint8Array): Manifest | undefined {
  if (bytes.length > maxPublishedBytes) return undefined
  try {
    return readManifest(bytes)
  } catch (error) {
    if (isAssentError(error)) return undefined
    throw error
  }
}
