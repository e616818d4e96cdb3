/** Reads and writes of approvals: every write is a `Call`, to be sent by an owner or proposed to a DAO. */
import {
  type Abi,
  type Address,
  encodeFunctionData,
  type PublicClient,
  pad,
  parseEventLogs,
  type TransactionReceipt,
  toHex as viemToHex,
} from 'viem'

import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { mapWithConcurrency } from '../lib/map-with-concurrency.ts'
import { appAbi, approvalRegistryAbi, kmsAuthAbi } from './abi.ts'
import {
  type Approval,
  decodeApproval,
  type Kind,
  kinds,
  type State,
  stateAt,
  states,
} from './approval.ts'
import { type Call, toChainError } from './call.ts'
import type { Addresses } from './deployments.ts'

/** One thing to approve; times in unix seconds, 0 = at once and for ever. */
export interface ApprovalTerms {
  readonly kind: Kind
  readonly id: Hex
  readonly activeFrom?: number
  readonly expiresAt?: number
  /** The document behind the decision, as bytes. */
  readonly evidence?: Hex
}

export interface Listed {
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

/** Where things of a kind are approved. @throws INPUT_INVALID where an app must be named, or none is deployed */
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

/** @param notAfter the registry refuses a later execution */
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

export function withdraw(registry: Address, kind: Kind, ids: readonly Hex[]): Call {
  return change('withdraw', registry, kind, ids)
}

/** For good: what is revoked never comes back. */
export function revoke(registry: Address, kind: Kind, ids: readonly Hex[]): Call {
  return change('revoke', registry, kind, ids)
}

/** The fast path: guardian or owner, one transaction, ends by itself. */
export function suspend(registry: Address, kind: Kind, ids: readonly Hex[]): Call {
  return change('suspend', registry, kind, ids)
}

/** Writes down that approvals have expired; anyone may, nothing is decided by it. */
export function markExpired(registry: Address, kind: Kind, ids: readonly Hex[]): Call {
  return change('markExpired', registry, kind, ids)
}

/** @param notAfter the registry refuses a later execution */
export function lift(
  registry: Address,
  kind: Kind,
  ids: readonly Hex[],
  notAfter: number = never,
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

/** The last second that a contract can name: a decision with this `notAfter` has no end. */
const never = 2 ** 40 - 1

/** @param notAfter the registry refuses a later execution */
export function setGuardian(
  registry: Address,
  guardian: Address,
  suspension: number,
  notAfter: number = never,
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

export const addOsImageHash = kmsHashCall('addOsImageHash', 'allow OS image')
export const removeOsImageHash = kmsHashCall('removeOsImageHash', 'withdraw OS image')
export const addKmsAggregatedMr = kmsHashCall('addKmsAggregatedMr', 'allow KMS measurement')
export const removeKmsAggregatedMr = kmsHashCall(
  'removeKmsAggregatedMr',
  'withdraw KMS measurement',
)
export const addKmsDevice = kmsHashCall('addKmsDevice', 'allow KMS device')
export const removeKmsDevice = kmsHashCall('removeKmsDevice', 'withdraw KMS device')
export const addComposeHash = appHashCall('addComposeHash', 'allow compose hash')
export const removeComposeHash = appHashCall('removeComposeHash', 'withdraw compose hash')
export const addDevice = appHashCall('addDevice', 'allow device')
export const removeDevice = appHashCall('removeDevice', 'withdraw device')

/** The public root keys of the KMS and the proof of their making. */
export interface KmsInfo {
  readonly k256Pubkey: Hex
  readonly caPubkey: Hex
  readonly quote: Hex
  readonly eventlog: Hex
}

export function setKmsInfo(kmsAuth: Address, info: KmsInfo): Call {
  return {
    to: kmsAuth,
    data: encodeFunctionData({ abi: kmsAuthAbi, functionName: 'setKmsInfo', args: [info] }),
    summary: `record the KMS root keys ${info.k256Pubkey}`,
  }
}

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

/** From then on boots are only allowed on machines that `hosts` admits; the zero address asks no more. */
export function setHosts(kmsAuth: Address, hosts: Address, notAfter: number = never): Call {
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

export function registerApp(kmsAuth: Address, app: Address): Call {
  return {
    to: kmsAuth,
    data: encodeFunctionData({ abi: kmsAuthAbi, functionName: 'registerApp', args: [app] }),
    summary: `register app ${app}`,
  }
}

/** A new app; what is left out is off or absent. */
export interface NewApp {
  readonly owner: Address
  readonly disableUpgrades?: boolean
  readonly requireTcbUpToDate?: boolean
  readonly allowAnyDevice?: boolean
  readonly deviceId?: Hex
  readonly composeHash?: Hex
}

const zeroHash: Hex = `0x${'00'.repeat(32)}`

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

/** The id of the app that `deployAndRegisterApp` made, from its receipt. */
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

/** The id under which an app is approved: its address, on the right of 32 bytes. */
export function appKey(app: Address): Hex {
  return pad(app, { size: 32 }).toLowerCase() as Hex
}

/** @throws CHAIN_UNREACHABLE, CALL_REVERTED */
export async function readApproval(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  id: Hex,
): Promise<Approval> {
  const word = await read(client, registry, 'approvalOf', [kinds[kind], id])
  return decodeApproval(word as bigint)
}

/** The state by the clock of the chain's latest block. */
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

/** How many of one kind were ever approved. */
export async function countApprovals(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  blockNumber?: bigint,
): Promise<number> {
  return Number(await read(client, registry, 'count', [kinds[kind]], blockNumber))
}

/** What one eth_call reads within the gas that endpoints allow it. */
const largestPage = 200

/** Some of one kind, in order of first approval. */
export async function pageOfApprovals(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  { offset, limit, blockNumber }: { offset: number; limit: number; blockNumber?: bigint },
): Promise<Listed[]> {
  if (limit > largestPage) {
    const block = blockNumber ?? (await client.getBlockNumber())
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

/** Everything ever approved of one kind, page by page, at one block. */
export async function listApprovals(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  options: { pageSize?: number; blockNumber?: bigint } = {},
): Promise<Listed[]> {
  const limit = options.pageSize ?? largestPage
  const blockNumber = options.blockNumber ?? (await client.getBlockNumber())
  const total = await countApprovals(client, registry, kind, blockNumber)
  const pages = await mapWithConcurrency(steps(0, total, limit), (offset) =>
    pageOfApprovals(client, registry, kind, { offset, limit, blockNumber }),
  )
  return pages.flat()
}

/** Who may suspend there, and for how long each time; the zero address: nobody. */
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

/** keccak256 of the evidence given with the current version; zero if there was none. */
export async function readEvidenceDigest(
  client: PublicClient,
  registry: Address,
  kind: Kind,
  id: Hex,
): Promise<Hex> {
  return (await read(client, registry, 'evidenceOf', [kinds[kind], id])) as Hex
}

/** Those of `listed` that are active at `at`. */
export function activeAt(listed: readonly Listed[], at: number): Hex[] {
  return listed.filter(({ approval }) => stateAt(approval, at) === 'active').map(({ id }) => id)
}

/** A text as evidence bytes. */
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
