/** Reads and writes of approvals: every write is a `Call`, to be sent by an owner or proposed to a DAO. */
import {
  type Abi,
  type Address,
  encodeFunctionData,
  type PublicClient,
  parseEventLogs,
  type TransactionReceipt,
  toHex as viemToHex,
} from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import { appAbi, approvalRegistryAbi, kmsAuthAbi } from '../abi.ts'
import {
  type Approval,
  decodeApproval,
  type Kind,
  kinds,
  noEnd,
  type State,
  stateAt,
  states,
} from '../approval.ts'
import { type Call, toChainError } from '../call.ts'
import type { Addresses } from '../record/deployments.ts'

/** One thing to approve. Times in Unix seconds. */
export interface ApprovalTerms {
  /** Type of the thing. Each registry keeps some kinds only. */
  readonly kind: Kind
  /** 32 bytes; what it is depends on the kind: os_image_hash, compose hash, device id … */
  readonly id: Hex
  /** Start; 0 or undefined: as soon as the activation delay permits. */
  readonly activeFrom?: number
  /** First second in which the approval no longer counts; 0 or undefined: never. */
  readonly expiresAt?: number
  /**
   * The document behind the decision, as bytes: `encodeEvidence`, or `textEvidence` for a free text. The event contains
   * it whole, storage its keccak-256.
   */
  readonly evidence?: Hex
}

/** One entry of the list of a kind. */
export interface Listed {
  /** 32 bytes; an address is padded on the left. */
  readonly id: Hex
  readonly approval: Approval
}

const kindNames: Record<Kind, string> = {
  osImage: 'OS image',
  kmsMeasurement: 'KMS measurement',
  kmsDevice: 'KMS device',
  app: 'app',
  release: 'compose hash',
  device: 'device',
  host: 'host',
  rootKey: 'root key',
  measurements: 'measurements',
}

/**
 * The registry that keeps approvals of a kind.
 *
 * @param app contract of the app, required for the kinds `release` and `device`
 * @throws INPUT_INVALID if `app` is missing, or the deployment has no registry for the kind
 * @example registry.registryOf(addresses, 'release', app) // the app: it is the registry of its releases and devices
 */
export function registryOf(addresses: Addresses, kind: Kind, app?: Address): Address {
  const registries: Record<Kind, Address | undefined> = {
    osImage: addresses.kmsAuth,
    kmsMeasurement: addresses.kmsAuth,
    kmsDevice: addresses.kmsAuth,
    app: addresses.kmsAuth,
    release: app,
    device: app,
    host: addresses.hosts,
    rootKey: addresses.rootKeys,
    measurements: addresses.images,
  }
  const registry = registries[kind]
  if (registry !== undefined) return registry
  const message =
    kind === 'release' || kind === 'device'
      ? `Say which app the ${kindNames[kind]} is of.`
      : `This deployment has no registry for a ${kindNames[kind]}.`
  throw new AssentError('INPUT_INVALID', message, { facts: { kind } })
}

/* WRITES OF EVERY REGISTRY */

/**
 * Approves things, for the first time or again. Only the registry's owner can send it.
 *
 * A thing that is pending or active keeps its version and gets the new end. A withdrawn or expired thing gets a new
 * version. A suspended or revoked thing makes the whole call revert.
 *
 * @param notAfter execution deadline, Unix seconds: the registry refuses a later execution
 * @example
 * const image = { kind: 'osImage', id: osImageHash, evidence: registry.textEvidence('release 0.5.4') } as const
 * await propose(clients, governor, [registry.approve(kmsAuth, [image], notAfter)], 'Approve image 0.5.4')
 */
export function approve(
  registry: Address,
  terms: readonly ApprovalTerms[],
  notAfter: number,
): Call {
  const encoded = terms.map((each) => ({
    kind: kinds[each.kind],
    id: each.id,
    activeFrom: each.activeFrom ?? 0,
    expiresAt: each.expiresAt ?? 0,
    evidence: each.evidence ?? '0x',
  }))
  return {
    to: registry,
    data: encodeFunctionData({
      abi: approvalRegistryAbi,
      functionName: 'approve',
      args: [encoded, notAfter],
    }),
    summary: terms.map((each) => `approve ${kindNames[each.kind]} ${each.id}`).join(', '),
  }
}

/**
 * Moves the end of pending or active approvals to a later time. The contract reverts if an id is suspended or expired.
 *
 * @param times Unix seconds; `expiresAt` 0 means never, `notAfter` is the execution deadline
 * @example registry.extend(kmsAuth, 'osImage', [osImageHash], { expiresAt: now + 31_536_000, notAfter })
 */
export function extend(
  registry: Address,
  kind: Kind,
  ids: readonly Hex[],
  times: { expiresAt: number; notAfter: number },
): Call {
  return {
    to: registry,
    data: encodeFunctionData({
      abi: approvalRegistryAbi,
      functionName: 'extend',
      args: [kinds[kind], ids, times.expiresAt, times.notAfter],
    }),
    summary: `extend ${describe(kind, ids)} until ${times.expiresAt}`,
  }
}

/**
 * Moves the end of pending, active or suspended approvals to an earlier time, for example to end a release after a
 * migration. Withdrawn and revoked ids are skipped.
 *
 * @param expiresAt Unix seconds, later than the execution of the call
 * @example registry.shorten(app, 'release', [composeHash], now + 86_400)
 */
export function shorten(
  registry: Address,
  kind: Kind,
  ids: readonly Hex[],
  expiresAt: number,
): Call {
  return {
    to: registry,
    data: encodeFunctionData({
      abi: approvalRegistryAbi,
      functionName: 'shorten',
      args: [kinds[kind], ids, expiresAt],
    }),
    summary: `end ${describe(kind, ids)} at ${expiresAt}`,
  }
}

/**
 * Ends approvals immediately. The things can be approved again, with a new version. Withdrawn and revoked ids are
 * skipped.
 *
 * @example
 * await propose(clients, governor, [registry.withdraw(kmsAuth, 'osImage', [osImageHash])], 'Withdraw image 0.5.3')
 */
export function withdraw(registry: Address, kind: Kind, ids: readonly Hex[]): Call {
  return change('withdraw', registry, kind, ids)
}

/**
 * Forbids things permanently: they can never be approved again. Use it for a leaked key or a broken host, and
 * `withdraw` otherwise. A thing that was never approved can be revoked too.
 *
 * @example registry.revoke(kmsAuth, 'kmsMeasurement', [mrAggregated])
 */
export function revoke(registry: Address, kind: Kind, ids: readonly Hex[]): Call {
  return change('revoke', registry, kind, ids)
}

/**
 * Denies pending or active things for a limited time, in one transaction of the guardian or the owner. The suspension
 * ends without a transaction. Ids in other states are skipped.
 *
 * @example
 * await sendCall(guardian, registry.suspend(kmsAuth, 'osImage', [osImageHash])) // denied from the next block on
 */
export function suspend(registry: Address, kind: Kind, ids: readonly Hex[]): Call {
  return change('suspend', registry, kind, ids)
}

/**
 * Records expired approvals as withdrawn, so that readers of events see the end. Anyone can send it; no boot decision
 * depends on it. The contract reverts if an approval has not expired.
 *
 * @example await sendCall(anyone, registry.markExpired(kmsAuth, 'osImage', [osImageHash]))
 */
export function markExpired(registry: Address, kind: Kind, ids: readonly Hex[]): Call {
  return change('markExpired', registry, kind, ids)
}

/**
 * Ends suspensions early. Only the owner can send it.
 *
 * @param notAfter execution deadline, Unix seconds; default: no deadline
 * @example registry.lift(kmsAuth, 'osImage', [osImageHash], notAfter)
 */
export function lift(
  registry: Address,
  kind: Kind,
  ids: readonly Hex[],
  notAfter: number = noEnd,
): Call {
  return {
    to: registry,
    data: encodeFunctionData({
      abi: approvalRegistryAbi,
      functionName: 'lift',
      args: [kinds[kind], ids, notAfter],
    }),
    summary: `lift the suspension of ${describe(kind, ids)}`,
  }
}

/**
 * Sets the guardian of a registry and how long each suspension lasts.
 *
 * @param guardian the zero address: only the owner can suspend
 * @param suspension seconds, from 1 hour to 90 days
 * @param notAfter execution deadline, Unix seconds; default: no deadline
 * @example registry.setGuardian(kmsAuth, guardian, 14 * 86_400, notAfter)
 */
export function setGuardian(
  registry: Address,
  guardian: Address,
  suspension: number,
  notAfter: number = noEnd,
): Call {
  return {
    to: registry,
    data: encodeFunctionData({
      abi: approvalRegistryAbi,
      functionName: 'setGuardian',
      args: [guardian, suspension, notAfter],
    }),
    summary: `make ${guardian} guardian, with suspensions of ${suspension} s`,
  }
}

function change(
  functionName: 'withdraw' | 'revoke' | 'suspend' | 'markExpired',
  registry: Address,
  kind: Kind,
  ids: readonly Hex[],
): Call {
  return {
    to: registry,
    data: encodeFunctionData({ abi: approvalRegistryAbi, functionName, args: [kinds[kind], ids] }),
    summary: `${functionName} ${describe(kind, ids)}`,
  }
}

function describe(kind: Kind, ids: readonly Hex[]): string {
  return `${kindNames[kind]} ${ids.join(', ')}`
}

/* DSTACK'S WRITES */

type KmsHashFunction =
  | 'addOsImageHash'
  | 'removeOsImageHash'
  | 'addKmsAggregatedMr'
  | 'removeKmsAggregatedMr'
  | 'addKmsDevice'
  | 'removeKmsDevice'

type AppHashFunction = 'addComposeHash' | 'removeComposeHash' | 'addDevice' | 'removeDevice'

function kmsHashCall(functionName: KmsHashFunction, words: string) {
  return (kmsAuth: Address, hash: Hex): Call => ({
    to: kmsAuth,
    data: encodeFunctionData({ abi: kmsAuthAbi, functionName, args: [hash] }),
    summary: `${words} ${hash}`,
  })
}

function appHashCall(functionName: AppHashFunction, words: string) {
  return (app: Address, hash: Hex): Call => ({
    to: app,
    data: encodeFunctionData({ abi: appAbi, functionName, args: [hash] }),
    summary: `${words} ${hash}`,
  })
}

/** Approves a base image through dstack's function of the same name. Use `approve` for times and evidence. */
export const addOsImageHash = kmsHashCall('addOsImageHash', 'allow OS image')
/** Withdraws a base image through dstack's function of the same name. */
export const removeOsImageHash = kmsHashCall('removeOsImageHash', 'withdraw OS image')
/** Approves the `mr_aggregated` of a KMS build through dstack's function of the same name. */
export const addKmsAggregatedMr = kmsHashCall('addKmsAggregatedMr', 'allow KMS measurement')
/** Withdraws the `mr_aggregated` of a KMS build through dstack's function of the same name. */
export const removeKmsAggregatedMr = kmsHashCall(
  'removeKmsAggregatedMr',
  'withdraw KMS measurement',
)
/** Approves a host for KMS nodes through dstack's function of the same name. */
export const addKmsDevice = kmsHashCall('addKmsDevice', 'allow KMS device')
/** Withdraws a host for KMS nodes through dstack's function of the same name. */
export const removeKmsDevice = kmsHashCall('removeKmsDevice', 'withdraw KMS device')
/**
 * Approves a release of an app through dstack's function of the same name. Use `approveManifest` to store the
 * app-compose file as evidence.
 */
export const addComposeHash = appHashCall('addComposeHash', 'allow compose hash')
/** Withdraws a release of an app through dstack's function of the same name. */
export const removeComposeHash = appHashCall('removeComposeHash', 'withdraw compose hash')
/** Approves a host for one app through dstack's function of the same name. */
export const addDevice = appHashCall('addDevice', 'allow device')
/** Withdraws a host for one app through dstack's function of the same name. */
export const removeDevice = appHashCall('removeDevice', 'withdraw device')

/**
 * Public root keys of the KMS with the quote of the node that created them, as dstack's `setKmsInfo` stores them. No
 * contract verifies the quote.
 */
export interface KmsInfo {
  /** Compressed secp256k1 root key, 33 bytes. */
  readonly k256Pubkey: Hex
  /** SubjectPublicKeyInfo of the root CA, DER. */
  readonly caPubkey: Hex
  /** TDX quote that binds both keys. */
  readonly quote: Hex
  /** Event log that belongs to the quote. */
  readonly eventlog: Hex
}

/** Publishes the root keys in `KmsAuth`, for dstack's tools. */
export function setKmsInfo(kmsAuth: Address, info: KmsInfo): Call {
  return {
    to: kmsAuth,
    data: encodeFunctionData({ abi: kmsAuthAbi, functionName: 'setKmsInfo', args: [info] }),
    summary: `record the KMS root keys ${info.k256Pubkey}`,
  }
}

/** Sets the app id of the dstack gateway, which every KMS answer contains. The contract stores the text unchanged. */
export function setGatewayAppId(kmsAuth: Address, gatewayAppId: string): Call {
  return {
    to: kmsAuth,
    data: encodeFunctionData({
      abi: kmsAuthAbi,
      functionName: 'setGatewayAppId',
      args: [gatewayAppId],
    }),
    summary: `name the gateway app ${gatewayAppId}`,
  }
}

/**
 * Sets the host registry of `KmsAuth`. From then on boots are allowed only on hosts that it admits. The zero address
 * removes the rule.
 *
 * @param notAfter execution deadline, Unix seconds; default: no deadline
 */
export function setHosts(kmsAuth: Address, hosts: Address, notAfter: number = noEnd): Call {
  return {
    to: kmsAuth,
    data: encodeFunctionData({
      abi: kmsAuthAbi,
      functionName: 'setHosts',
      args: [hosts, notAfter],
    }),
    summary: `ask the registry ${hosts} whether a machine is admitted`,
  }
}

/**
 * Registers an existing app contract, so that its releases can boot. Anyone can send it: from then on the app contract
 * alone decides which releases and hosts it accepts.
 *
 * @example registry.registerApp(kmsAuth, app)
 */
export function registerApp(kmsAuth: Address, app: Address): Call {
  return {
    to: kmsAuth,
    data: encodeFunctionData({ abi: kmsAuthAbi, functionName: 'registerApp', args: [app] }),
    summary: `register app ${app}`,
  }
}

/** Settings of a new app. Every optional rule is off by default. */
export interface NewApp {
  /** Account or timelock that approves the app's releases. */
  readonly owner: Address
  /** Whether the app's code can never be replaced. */
  readonly disableUpgrades?: boolean
  /** Whether boots need the TCB status `UpToDate`. */
  readonly requireTcbUpToDate?: boolean
  /** Whether the app may run on any admitted host. */
  readonly allowAnyDevice?: boolean
  /** First approved host, 32 bytes. */
  readonly deviceId?: Hex
  /** First approved release, 32 bytes. */
  readonly composeHash?: Hex
}

const zeroHash: Hex = `0x${'00'.repeat(32)}`

/**
 * Creates an app contract and registers it, in one transaction. Anyone can send it.
 *
 * @example
 * const receipt = await sendCall(clients, registry.deployAndRegisterApp(kmsAuth, { owner, composeHash }))
 * const app = registry.deployedApp(receipt)
 */
export function deployAndRegisterApp(kmsAuth: Address, app: NewApp): Call {
  return {
    to: kmsAuth,
    data: encodeFunctionData({
      abi: kmsAuthAbi,
      functionName: 'deployAndRegisterApp',
      args: [
        app.owner,
        app.disableUpgrades ?? false,
        app.requireTcbUpToDate ?? false,
        app.allowAnyDevice ?? false,
        app.deviceId ?? zeroHash,
        app.composeHash ?? zeroHash,
      ],
    }),
    summary: `create an app owned by ${app.owner}`,
  }
}

/**
 * The address of the app that {@link deployAndRegisterApp} created, from its receipt. The address is the app id.
 *
 * @throws INPUT_INVALID if the receipt contains no such event
 * @example
 * const app = registry.deployedApp(await sendCall(clients, registry.deployAndRegisterApp(kmsAuth, { owner })))
 */
export function deployedApp(receipt: TransactionReceipt): Address {
  const [event] = parseEventLogs({
    abi: kmsAuthAbi,
    eventName: 'AppDeployedViaFactory',
    logs: receipt.logs,
  })
  if (event === undefined) {
    throw new AssentError('INPUT_INVALID', 'The transaction created no app.', {
      facts: { transaction: receipt.transactionHash },
    })
  }
  return event.args.appId
}

/* READS */

/**
 * Reads the approval word of one id and decodes it. An id that was never approved has version 0.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED if the registry does not keep the kind
 * @example
 * const approval = await registry.readApproval(client, kmsAuth, 'osImage', osImageHash)
 * const isActive = stateAt(approval, now) === 'active'
 */
export async function readApproval(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  id: Hex,
): Promise<Approval> {
  const word = await read(client, registry, 'approvalOf', [kinds[kind], id])
  return decodeApproval(word as bigint)
}

/**
 * Reads the state of an approval at the time of the newest block, which can be older than the local clock.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example await registry.readState(client, app, 'release', composeHash) // 'active'
 */
export async function readState(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  id: Hex,
): Promise<State> {
  const number = (await read(client, registry, 'stateOf', [kinds[kind], id])) as number
  const state = states[number]
  if (state === undefined) {
    throw new AssentError('CHAIN_UNREACHABLE', 'The registry answered with an unknown state.', {
      facts: { registry, kind, id, number },
    })
  }
  return state
}

/**
 * Number of ids of a kind that were ever approved or revoked.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example const releases = await registry.countApprovals(client, app, 'release')
 */
export async function countApprovals(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  blockNumber?: bigint,
): Promise<number> {
  return Number(await read(client, registry, 'count', [kinds[kind]], blockNumber))
}

/** Entries that one eth_call can read within the gas that endpoints allow. */
const largestPage = 200

/**
 * One page of the list of a kind, in the order of first approval or revocation.
 *
 * @param offset position of the first entry, from 0
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example
 * const newest = await registry.pageOfApprovals(client, app, 'release', { offset: releases - 10, limit: 10 })
 */
export async function pageOfApprovals(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  { offset, limit, blockNumber }: { offset: number; limit: number; blockNumber?: bigint },
): Promise<Listed[]> {
  if (limit > largestPage) {
    const block = blockNumber ?? (await client.getBlockNumber({ cacheTime: 0 }))
    const total = await countApprovals(client, registry, kind, block)
    const end = Math.min(offset + limit, total)
    const offsets = steps(offset, end, largestPage)
    const pages = await mapWithConcurrency(offsets, (from) => {
      const part = { offset: from, limit: Math.min(largestPage, end - from), blockNumber: block }
      return pageOfApprovals(client, registry, kind, part)
    })
    return pages.flat()
  }
  const args = [kinds[kind], BigInt(offset), BigInt(limit)]
  const [ids, words] = (await read(client, registry, 'page', args, blockNumber)) as readonly [
    readonly Hex[],
    readonly bigint[],
  ]
  return ids.map((id, i) => ({ id, approval: decodeApproval(words[i] ?? 0n) }))
}

function steps(from: number, end: number, size: number): number[] {
  return Array.from(
    { length: Math.max(0, Math.ceil((end - from) / size)) },
    (_, i) => from + i * size,
  )
}

/**
 * All ids of a kind that were ever approved or revoked, with their approvals. Reads page by page at one block, so that
 * the list is consistent.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example
 * const images = await registry.listApprovals(client, kmsAuth, 'osImage')
 * const active = registry.activeAt(images, now)
 */
export async function listApprovals(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  options: { pageSize?: number; blockNumber?: bigint } = {},
): Promise<Listed[]> {
  const limit = options.pageSize ?? largestPage
  const blockNumber = options.blockNumber ?? (await readNewestBlock(client))
  const total = await countApprovals(client, registry, kind, blockNumber)
  const pages = await mapWithConcurrency(steps(0, total, limit), (offset) =>
    pageOfApprovals(client, registry, kind, { offset, limit, blockNumber }),
  )
  return pages.flat()
}

function readNewestBlock(client: PublicClient): Promise<bigint> {
  return client.getBlockNumber({ cacheTime: 0 }).catch((cause: unknown) => {
    throw toChainError(cause, 'read the number of the newest block')
  })
}

/**
 * Reads the guardian of a registry and the seconds that a suspension lasts. The zero address: the registry has no
 * guardian.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example const { guardian, suspension } = await registry.readGuardian(client, kmsAuth)
 */
export async function readGuardian(
  client: PublicClient,
  registry: Address,
): Promise<{ guardian: Address; suspension: number }> {
  const at = { address: registry, abi: approvalRegistryAbi } as const
  try {
    const [guardian, suspension] = await Promise.all([
      client.readContract({ ...at, functionName: 'guardian' }),
      client.readContract({ ...at, functionName: 'suspension' }),
    ])
    return { guardian, suspension }
  } catch (cause) {
    throw toChainError(cause, 'read the guardian')
  }
}

/**
 * Reads the keccak-256 of the evidence of the current version; zero if it was approved without evidence. The evidence
 * itself is in the event `ApprovalGiven`.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example
 * const digest = await registry.readEvidenceDigest(client, kmsAuth, 'osImage', osImageHash)
 * const isSame = digest === keccak256(evidence)
 */
export async function readEvidenceDigest(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  id: Hex,
): Promise<Hex> {
  return (await read(client, registry, 'evidenceOf', [kinds[kind], id])) as Hex
}

/**
 * Ids of the entries that are active at a time (Unix seconds).
 *
 * @example registry.activeAt(await registry.listApprovals(client, app, 'release'), now)
 */
export function activeAt(listed: readonly Listed[], at: number): Hex[] {
  return listed.filter(({ approval }) => stateAt(approval, at) === 'active').map(({ id }) => id)
}

/**
 * A text as evidence, UTF-8.
 *
 * @example
 * registry.approve(kmsAuth, [{ kind: 'osImage', id, evidence: registry.textEvidence('release 0.5.4') }], notAfter)
 */
export function textEvidence(text: string): Hex {
  return viemToHex(text)
}

async function read(
  client: PublicClient,
  registry: Address,
  functionName: 'approvalOf' | 'stateOf' | 'evidenceOf' | 'count' | 'page',
  args: readonly unknown[],
  blockNumber?: bigint,
): Promise<unknown> {
  try {
    return await client.readContract({
      address: registry,
      abi: approvalRegistryAbi as Abi,
      functionName,
      args,
      ...(blockNumber === undefined ? {} : { blockNumber }),
    })
  } catch (cause) {
    throw toChainError(cause, `read ${functionName} of ${registry}`)
  }
}
