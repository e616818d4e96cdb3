/** Finds approvals that calls would give again by the same terms, so that a person sees it before the calls are sent. */
import {
  concat,
  decodeFunctionData,
  encodeAbiParameters,
  keccak256,
  type PublicClient,
  sha256,
  zeroHash,
} from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { appAbi, imagesAbi, kmsAuthAbi } from '../abi.ts'
import {
  type Approval,
  approvalSlot,
  decodeApproval,
  evidenceSlot,
  type Kind,
  kinds,
  stateAt,
} from '../approval.ts'
import { type Call, toChainError } from '../call.ts'
import { readStateOf, type StateReader } from '../rpc/state-reader.ts'
import { teeVariants } from '../tee-variants.ts'
import { kindLabel } from './call-descriptions/types.ts'
import type { AddressBook } from './describe-call.ts'

/** An approval in a call that changes nothing: neither times nor evidence nor version. */
export interface RepeatedTerms {
  /** Position of the call, from 0. */
  readonly call: number
  /** For example: `base image 0x… is approved by the same terms already`. */
  readonly sentence: string
}

/** One approval in calldata. */
interface GivenTerms {
  readonly call: number
  readonly registry: Hex
  readonly kind: Kind
  readonly id: Hex
  /** undefined: dstack's functions, which change no times and no evidence of what is approved. */
  readonly terms:
    | {
        /** Unix seconds. */
        readonly activeFrom: number
        /** Unix seconds; 0: no end. */
        readonly expiresAt: number
        /** keccak-256, as the registry stores it; zero without evidence. */
        readonly evidence: Hex
      }
    | undefined
}

/**
 * Finds the approvals in `calls` that change nothing: their id is pending, active or suspended with the same end and
 * the same evidence, and starts no later. A second approval by the same terms within `calls` counts too. Calls to
 * contracts outside of the deployment are ignored.
 *
 * @param at unix seconds of the execution
 * @throws CHAIN_UNREACHABLE from the reads
 * @example
 * const repeats = await findRepeats(readStateOf(client, block), { calls, book, at: now })
 * for (const { sentence } of repeats) console.log(sentence)
 */
export async function findRepeats(
  reader: StateReader,
  { calls, book, at }: ApprovingCalls,
): Promise<RepeatedTerms[]> {
  const repeats: RepeatedTerms[] = []
  const given = new Map<string, GivenTerms>()
  for (const each of termsIn(calls, book)) {
    const key = `${each.registry}_${each.kind}_${each.id}`
    const earlier = given.get(key)
    given.set(key, each)
    const isRepeat = earlier
      ? isSameAs(earlier, each)
      : isApprovedAs(await readApproved(reader, each), each, at)
    if (!isRepeat) continue
    const where = earlier ? 'earlier in this list' : 'already'
    const what = `${kindLabel(kinds[each.kind])} ${each.id}`
    repeats.push({ call: each.call, sentence: `${what} is approved by the same terms ${where}` })
  }
  return repeats
}

/** Calls, the contracts of the deployment, and the time of the execution in unix seconds. */
export interface ApprovingCalls {
  readonly calls: readonly Pick<Call, 'to' | 'data'>[]
  readonly book: AddressBook
  readonly at: number
}

/** The same for the newest block. Reads nothing if the calls approve nothing. @throws CHAIN_UNREACHABLE */
export async function findRepeatsNow(
  client: PublicClient,
  approving: ApprovingCalls,
): Promise<RepeatedTerms[]> {
  if (termsIn(approving.calls, approving.book).length === 0) return []
  const block = await client.getBlockNumber({ cacheTime: 0 }).catch((cause: unknown) => {
    throw toChainError(cause, 'read the number of the newest block')
  })
  return findRepeats(readStateOf(client, block), approving)
}

function isSameAs({ terms: earlier }: GivenTerms, { terms }: GivenTerms): boolean {
  if (terms === undefined) return true
  if (earlier === undefined) return false
  return (
    terms.activeFrom === earlier.activeFrom &&
    terms.expiresAt === earlier.expiresAt &&
    terms.evidence === earlier.evidence
  )
}

interface StoredApproval {
  readonly approval: Approval
  readonly evidence: bigint
}

async function readApproved(
  reader: StateReader,
  { registry, kind, id }: GivenTerms,
): Promise<StoredApproval> {
  const slots = [approvalSlot(kind, id), evidenceSlot(kind, id)]
  const [word = 0n, evidence = 0n] = await reader.words(registry, slots)
  return { approval: decodeApproval(word), evidence }
}

/** By the rules of `approve` in contracts/types/Approval.sol, which keeps the earlier of both starts. */
function isApprovedAs(
  { approval, evidence }: StoredApproval,
  { terms }: GivenTerms,
  at: number,
): boolean {
  const isLive = ['pending', 'active', 'suspended'].includes(stateAt(approval, at))
  if (!isLive || terms === undefined) return isLive
  return (
    approval.expiresAt === terms.expiresAt &&
    approval.activeFrom <= Math.max(terms.activeFrom, at) &&
    evidence === BigInt(terms.evidence)
  )
}

/* CALLDATA */

/** dstack's functions that approve an id. */
const adds: Readonly<Record<string, Kind>> = {
  addOsImageHash: 'osImage',
  addKmsAggregatedMr: 'kmsMeasurement',
  addKmsDevice: 'kmsDevice',
  addComposeHash: 'release',
  addDevice: 'device',
}

const kindOf = new Map<number, Kind>(
  (Object.keys(kinds) as Kind[]).map((kind) => [kinds[kind], kind]),
)

/** After a call of another function, for example `withdraw`, a registry is left out: the approval can be needed again. */
function termsIn(calls: ApprovingCalls['calls'], book: AddressBook): GivenTerms[] {
  const changed = new Set<Hex>()
  return calls.flatMap((call, index) => {
    const registry = call.to.toLowerCase() as Hex
    if (!book.types.has(registry)) return []
    const given = approvalsIn(call.data)
    if (given.length === 0) changed.add(registry)
    return changed.has(registry) ? [] : given.map((each) => ({ ...each, call: index, registry }))
  })
}

type EncodedTerms = {
  readonly activeFrom: number
  readonly expiresAt: number
  readonly evidence: Hex
}

function approvalsIn(data: Hex): Omit<GivenTerms, 'call' | 'registry'>[] {
  const decoded = decode(data)
  if (decoded === undefined) return []
  const { functionName, args } = decoded
  if (functionName === 'approve') {
    return args[0].flatMap(({ kind: number, id, ...terms }) => {
      const kind = kindOf.get(number)
      return kind === undefined ? [] : [{ kind, id, terms: toTerms(terms) }]
    })
  }
  if (functionName === 'approveManifest') {
    const [id, evidence, activeFrom, expiresAt] = args
    return [{ kind: 'release', id, terms: toTerms({ activeFrom, expiresAt, evidence }) }]
  }
  if (functionName === 'approveMeasurementSets') {
    return args[0].map(({ osImageHash, variant, registers, ...terms }) => ({
      kind: 'measurements',
      id: measurementSetId(osImageHash, variant, registers),
      terms: toTerms(terms),
    }))
  }
  const kind = adds[functionName]
  return kind === undefined ? [] : [{ kind, id: args[0] as Hex, terms: undefined }]
}

const approvingAbi = [...appAbi, ...kmsAuthAbi, ...imagesAbi] as const

function decode(data: Hex) {
  const isApproving = (name: string) =>
    name in adds || ['approve', 'approveManifest', 'approveMeasurementSets'].includes(name)
  try {
    const decoded = decodeFunctionData({ abi: approvingAbi, data })
    return isApproving(decoded.functionName) ? decoded : undefined
  } catch {
    // another function
    return undefined
  }
}

function toTerms({ activeFrom, expiresAt, evidence }: EncodedTerms): GivenTerms['terms'] {
  const digest = evidence === '0x' ? zeroHash : keccak256(evidence)
  return { activeFrom, expiresAt, evidence: digest }
}

/** As `Images.idOf` and `Images.mrSystemOf`. */
function measurementSetId(osImageHash: Hex, variant: number, registers: Hex): Hex {
  const name = teeVariants[variant]
  const hasKeyProvider = name === 'tdx' || name === 'gcp-tdx' || name === 'aws-nitro-tpm'
  const mrSystem = sha256(hasKeyProvider ? concat([registers, zeroHash]) : registers)
  const types = [{ type: 'bytes32' }, { type: 'uint8' }, { type: 'bytes32' }] as const
  return keccak256(encodeAbiParameters(types, [osImageHash, variant, mrSystem]))
}
