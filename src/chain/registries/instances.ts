/** Attested instances (`Instances`): which key speaks for which app now, calls, and the same decision as the contract. */
import {
  type Address,
  concat,
  encodeAbiParameters,
  keccak256,
  type PublicClient,
  parseEventLogs,
  zeroAddress,
} from 'viem'

import { fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { k256Address, k256Coordinate } from '../../lib/k256.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import type { AttestedRuntimeEvent } from '../../quote/attestation.ts'
import {
  RUNTIME_EVENT_TYPE,
  replayRtmr3,
  runtimeEventDigest,
} from '../../quote/measurements/event-log.ts'
import {
  appAbi,
  appSignersAbi,
  assentValidatorAbi,
  hostsAbi,
  iAppAuthAbi,
  instancesAbi,
  kmsAuthAbi,
  rootKeysAbi,
} from '../abi.ts'
import { type Approval, appKey, decodeApproval, kinds, stateAt } from '../approval.ts'
import { type Call, callOf, toChainError } from '../call.ts'
import { historyOf } from '../rpc/history.ts'
import { contractStatuses } from '../verifier/verdicts.ts'
import type { InstanceBinding } from './instance-statements.ts'
import { type RootKeyPair, readProof } from './root-keys.ts'

export {
  type InstanceBinding,
  instanceBindingDigest,
  instanceReportData,
  instanceSignerMessage,
  instanceStatementDigest,
} from './instance-statements.ts'

/** Whether a record counts, at the position of its number on-chain (`IInstances.Standing`). Only `live` counts. */
export const standings = [
  'unknown',
  'live',
  'ended',
  'expired',
  'app-not-approved',
  'root-key-not-approved',
  'image-not-approved',
  'measurements-not-approved',
  'host-not-admitted',
  'app-refuses',
  'release-not-approved',
  'epoch-ended',
  'device-not-approved',
] as const

/** One of {@link standings}. */
export type Standing = (typeof standings)[number]

/** What was proven about a key. Times in Unix seconds. */
export interface InstanceRecord {
  readonly app: Address
  readonly expiresAt: number
  readonly provenAt: number
  /** How it was proven; `none`: there is no record. */
  readonly way: 'none' | 'quote' | 'key-chain'
  readonly isEnded: boolean
  /** The block to which the proof commits. */
  readonly provenAtBlock: number
  /** By quote: TCB status as a number of contracts/types/Report.sol. */
  readonly status: number
  /** By quote: whether the app answers about its approvals. */
  readonly hasApprovals: boolean
  /** By key chain: the key epoch, from 1. */
  readonly epoch: number
  /** By quote: the account that holds the facts of the boot. By key chain: the address of the root key. */
  readonly source: Address
  /** By quote: the host. By key chain: the compose hash. */
  readonly subject: Hex
  /** By quote: dstack's mr_system at boot. */
  readonly mrSystem: Hex
}

const ways = ['none', 'quote', 'key-chain'] as const

/** Facts of a recorded boot. */
export interface BootFacts {
  readonly composeHash: Hex
  readonly osImageHash: Hex
  /** keccak256 of the measured key provider. */
  readonly keyProvider: Hex
  readonly app: Address
  readonly instanceId: Address
}

/** Contracts that decide about an instance. */
export interface InstanceContracts {
  readonly instances: Address
  readonly kmsAuth: Address
  readonly images: Address
  readonly rootKeys: Address
}

/** An approval, and the block in which its current version was approved: 0 for the first version. */
export interface DatedApproval extends Approval {
  readonly approvedInBlock: number
}

/** Everything on which the standing of a key depends, at one block. Fields that its way does not need are undefined. */
export interface InstanceFacts {
  readonly record: InstanceRecord
  /** Approval of the app in KmsAuth. */
  readonly app: DatedApproval
  readonly rootKey: DatedApproval
  readonly image?: DatedApproval
  readonly measurements?: DatedApproval
  /** Admission by the host registry, with the first second in which it ends; undefined without a host registry. */
  readonly host?: {
    readonly admitted: boolean
    readonly until: number
    readonly approval: DatedApproval
  }
  /** The app's own answer about the boot. */
  readonly appAllows?: boolean
  /** Approval of the release; undefined if the app does not answer. */
  readonly release?: DatedApproval
  /** Approval of the host by the app; undefined if the app allows any host, or does not say so. */
  readonly device?: DatedApproval
  /** Key epochs of the release; both 0 if it may not boot. */
  readonly epochs?: { readonly write: number; readonly read: number }
}

/**
 * The decision of `Instances.standingOf`, from the same facts in the same order.
 *
 * @param at Unix seconds: the time of the block
 */
export function judgeInstance(facts: InstanceFacts, at: number): Standing {
  const { record } = facts
  if (record.way === 'none') return 'unknown'
  if (record.isEnded) return 'ended'
  if (at >= record.expiresAt) return 'expired'
  const approves = (approval: DatedApproval | undefined) =>
    approval !== undefined &&
    stateAt(approval, at) === 'active' &&
    approval.activeFrom < record.provenAt &&
    approval.approvedInBlock <= record.provenAtBlock
  if (!approves(facts.app)) return 'app-not-approved'
  if (!approves(facts.rootKey)) return 'root-key-not-approved'
  if (record.way === 'key-chain') return judgeEpoch(facts, approves(facts.release))
  if (!approves(facts.image)) return 'image-not-approved'
  if (!approves(facts.measurements)) return 'measurements-not-approved'
  if (facts.host?.admitted !== true || !approves(facts.host.approval)) return 'host-not-admitted'
  if (facts.appAllows !== true) return 'app-refuses'
  if (!record.hasApprovals) return 'live'
  if (!approves(facts.release)) return 'release-not-approved'
  return facts.device === undefined || approves(facts.device) ? 'live' : 'device-not-approved'
}

function judgeEpoch({ record, epochs }: InstanceFacts, isReleaseApproved: boolean): Standing {
  if (epochs === undefined || epochs.write === 0) return 'app-refuses'
  if (!isReleaseApproved) return 'release-not-approved'
  const inReach = record.epoch >= epochs.read && record.epoch <= epochs.write
  return inReach ? 'live' : 'epoch-ended'
}

/** The first second in which a live key stops to count without a transaction, as far as the approvals tell. Unix seconds. */
export function endOfInstance({ record, ...facts }: InstanceFacts): number {
  const { app, rootKey, image, measurements, release, device, host } = facts
  const approvals = [app, rootKey, image, measurements, release, device]
  const ends = [...approvals.map((each) => each?.expiresAt ?? 0), host?.until ?? 0]
  return Math.min(record.expiresAt, ...ends.filter((end) => end !== 0))
}

/**
 * Reads the record of a key and everything that decides about it, at one block.
 *
 * @param blockNumber default: the newest block
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example
 * const facts = await readInstanceFacts(client, contracts, key)
 * const standing = judgeInstance(facts, Math.floor(Date.now() / 1000))
 */
export async function readInstanceFacts(
  client: PublicClient,
  contracts: InstanceContracts,
  key: Address,
  blockNumber?: bigint,
): Promise<InstanceFacts> {
  try {
    const block = blockNumber ?? (await client.getBlockNumber({ cacheTime: 0 }))
    return await readFacts({ client, contracts, block }, key)
  } catch (cause) {
    throw toChainError(cause, `read the instance ${key}`)
  }
}

interface Reader {
  readonly client: PublicClient
  readonly contracts: InstanceContracts
  readonly block: bigint
}

async function readFacts(reader: Reader, key: Address): Promise<InstanceFacts> {
  const { client, contracts, block } = reader
  const at = { address: contracts.instances, abi: instancesAbi, blockNumber: block } as const
  const [stored] = await client.readContract({ ...at, functionName: 'instanceOf', args: [key] })
  const record: InstanceRecord = { ...stored, way: ways[stored.way] ?? 'none' }
  const app = await approvalIn(reader, contracts.kmsAuth, 'app', appKey(record.app))
  const shared = { record, app }
  if (record.way === 'none') return { ...shared, rootKey: app }
  return record.way === 'quote'
    ? { ...shared, ...(await factsOfBoot(reader, record)) }
    : { ...shared, ...(await factsOfEpoch(reader, record)) }
}

async function factsOfBoot(reader: Reader, record: InstanceRecord) {
  const { client, contracts, block } = reader
  const boot = await readBootFacts(client, record.source, block)
  const [rootKey, image, measurements, host, appAllows, release, device] = await Promise.all([
    client
      .readContract({
        address: contracts.instances,
        abi: instancesAbi,
        functionName: 'rootKeyOfProvider',
        args: [boot.keyProvider],
        blockNumber: block,
      })
      .then((id) => approvalIn(reader, contracts.rootKeys, 'rootKey', id)),
    approvalIn(reader, contracts.kmsAuth, 'osImage', boot.osImageHash),
    approvalIn(
      reader,
      contracts.images,
      'measurements',
      measurementSetId(boot.osImageHash, record.mrSystem),
    ),
    readHost(reader, record.subject),
    askApp(reader, record, boot),
    record.hasApprovals ? ofApp(reader, record.app, 'release', boot.composeHash) : undefined,
    record.hasApprovals ? deviceOf(reader, record) : undefined,
  ])
  return {
    rootKey,
    image,
    measurements,
    appAllows,
    ...(host && { host }),
    ...(release && { release }),
    ...(device && { device }),
  }
}

async function factsOfEpoch(reader: Reader, record: InstanceRecord) {
  const { client, contracts, block } = reader
  const answer = client
    .readContract({
      address: record.app,
      abi: appAbi,
      functionName: 'releaseAndEpochs',
      args: [record.subject],
      blockNumber: block,
    })
    .then(async ([word, write, read]) => {
      const release = await dated(reader, record.app, 'release', record.subject, word)
      return { release, epochs: { write, read } }
    })
    .catch(orRefusal(undefined))
  const [rootKey, answered] = await Promise.all([
    client
      .readContract({
        address: contracts.instances,
        abi: instancesAbi,
        functionName: 'rootKeyOf',
        args: [record.source],
        blockNumber: block,
      })
      .then((id) => approvalIn(reader, contracts.rootKeys, 'rootKey', id)),
    answer,
  ])
  return { rootKey, ...answered }
}

/** Facts of a boot, from the account in which `recordBoot` stored them. */
async function readBootFacts(
  client: PublicClient,
  source: Address,
  blockNumber: bigint,
): Promise<BootFacts> {
  const code = (await client.getCode({ address: source, blockNumber })) ?? '0x'
  // one byte STOP, then five words
  const word = (index: number): Hex => `0x${code.slice(4 + 64 * index, 68 + 64 * index)}`
  const address = (index: number): Address => `0x${word(index).slice(26)}`
  return {
    composeHash: word(0),
    osImageHash: word(1),
    keyProvider: word(2),
    app: address(3),
    instanceId: address(4),
  }
}

/** The id of a measurement set for TDX (`Images.idOf`). */
function measurementSetId(osImageHash: Hex, mrSystem: Hex): Hex {
  const types = [{ type: 'bytes32' }, { type: 'uint8' }, { type: 'bytes32' }] as const
  return keccak256(encodeAbiParameters(types, [osImageHash, 0, mrSystem]))
}

async function approvalIn(
  reader: Reader,
  registry: Address,
  kind: keyof typeof kinds,
  id: Hex,
): Promise<DatedApproval> {
  const word = await reader.client.readContract({
    address: registry,
    abi: appAbi,
    functionName: 'approvalOf',
    args: [kinds[kind], id],
    blockNumber: reader.block,
  })
  return dated(reader, registry, kind, id, word)
}

/** The approval of a word, with the block of its version: as the contract, asked about later versions only. */
async function dated(
  { client, block }: Reader,
  registry: Address,
  kind: keyof typeof kinds,
  id: Hex,
  word: bigint,
): Promise<DatedApproval> {
  const approval = decodeApproval(word)
  if (approval.version <= 1) return { ...approval, approvedInBlock: 0 }
  const approvedIn = await client.readContract({
    address: registry,
    abi: appAbi,
    functionName: 'approvedInBlock',
    args: [kinds[kind], id],
    blockNumber: block,
  })
  return { ...approval, approvedInBlock: Number(approvedIn) }
}

/** An approval of the app; undefined if the app does not answer. */
function ofApp(
  reader: Reader,
  app: Address,
  kind: 'release' | 'device',
  id: Hex,
): Promise<DatedApproval | undefined> {
  return approvalIn(reader, app, kind, id).catch(orRefusal(undefined))
}

/** The app's approval of the host of a record; undefined if the app allows any host, or does not say so. */
async function deviceOf(
  reader: Reader,
  record: InstanceRecord,
): Promise<DatedApproval | undefined> {
  const isAny = await reader.client
    .readContract({
      address: record.app,
      abi: appAbi,
      functionName: 'allowAnyDevice',
      blockNumber: reader.block,
    })
    .catch(orRefusal(true))
  return isAny ? undefined : approvalIn(reader, record.app, 'device', record.subject)
}

async function readHost(reader: Reader, deviceId: Hex): Promise<InstanceFacts['host']> {
  const { client, contracts, block: blockNumber } = reader
  const hosts = await client.readContract({
    address: contracts.kmsAuth,
    abi: kmsAuthAbi,
    functionName: 'hosts',
    blockNumber,
  })
  if (hosts === zeroAddress) return undefined
  const [[admitted, until], approval] = await Promise.all([
    client.readContract({
      address: hosts,
      abi: hostsAbi,
      functionName: 'admission',
      args: [deviceId],
      blockNumber,
    }),
    approvalIn(reader, hosts, 'host', deviceId),
  ])
  return { admitted, until, approval }
}

/** The question of `Instances` to an app: no advisories, and zero as mr_aggregated. */
async function askApp(
  { client, block: blockNumber }: Reader,
  record: InstanceRecord,
  boot: BootFacts,
): Promise<boolean> {
  const question = {
    appId: record.app,
    composeHash: boot.composeHash,
    instanceId: boot.instanceId,
    deviceId: record.subject,
    mrAggregated: `0x${'00'.repeat(32)}`,
    mrSystem: record.mrSystem,
    osImageHash: boot.osImageHash,
    tcbStatus: contractStatuses[record.status] ?? '',
    advisoryIds: [],
  } as const
  const asked = { address: record.app, abi: iAppAuthAbi, functionName: 'isAppAllowed' } as const
  return client
    .readContract({ ...asked, args: [question], blockNumber })
    .then(([isAllowed]) => isAllowed)
    .catch(orRefusal(false))
}

/** An app that reverts or answers something else refuses; an endpoint that does not answer is an outage. */
function orRefusal<T>(refusal: T): (cause: unknown) => T {
  return (cause) => {
    const error = toChainError(cause, 'ask the app')
    if (error.code === 'CALL_REVERTED') return refusal
    throw error
  }
}

/* CALLS */

/** Stores the facts of a boot from its event log. Anyone; needs no quote. */
export function recordBoot(
  instances: Address,
  events: readonly AttestedRuntimeEvent[],
  osImageHash: Hex,
): Call {
  const log = events.map(({ name, payload, version }) => ({
    name,
    payload: to0x(payload),
    version,
  }))
  const words = `record a boot of image ${osImageHash}`
  return callOf(instances, instancesAbi, 'recordBoot', [log, osImageHash], words)
}

/**
 * Makes the public keys of an approved root key known to `Instances`. Anyone.
 *
 * @param y second coordinate of the secp256k1 key
 */
export function addRootKey(
  instances: Address,
  { caPublicKey, k256PublicKey }: RootKeyPair,
  y: bigint,
): Call {
  const args = [to0x(caPublicKey), to0x(k256PublicKey), y] as const
  return callOf(instances, instancesAbi, 'addRootKey', args, 'make a root key known')
}

/** A proof by quote. */
export interface QuotedInstance {
  readonly quote: Uint8Array
  readonly binding: InstanceBinding
  readonly osImageHash: Hex
  /** The key's signature over the digest of the binding, 65 bytes. */
  readonly possession: Uint8Array
}

/** Registers or renews a key by quote. Anyone may send it. */
export function registerInstance(
  instances: Address,
  { quote, binding, osImageHash, possession }: QuotedInstance,
): Call {
  const { app, key, block } = binding
  const proof = {
    quote: to0x(quote),
    key,
    osImageHash,
    blockNumber: block.number,
    possession: to0x(possession),
  }
  return callOf(instances, instancesAbi, 'register', [proof], `register key ${key} of app ${app}`)
}

/** A proof by the key chain of the KMS: the answer of `IssueInstance` and the key's signature. Signatures have 65 bytes. */
export interface IssuedInstance {
  readonly binding: InstanceBinding
  /** Release that the KMS verified. */
  readonly composeHash: Hex
  /** Key epoch, from 1. */
  readonly epoch: number
  readonly possession: Uint8Array
  /** Of the app's instance signer, over the statement. */
  readonly statement: Uint8Array
  /** Of the root key, over the instance signer. */
  readonly link: Uint8Array
}

/** Registers or renews a key by the key chain. Anyone may send it. */
export function registerIssuedInstance(instances: Address, issued: IssuedInstance): Call {
  const { app, key, block } = issued.binding
  const proof = {
    app,
    key,
    composeHash: issued.composeHash,
    epoch: issued.epoch,
    blockNumber: block.number,
    possession: to0x(issued.possession),
    statement: to0x(issued.statement),
    link: to0x(issued.link),
  }
  const words = `register key ${key} of app ${app}`
  return callOf(instances, instancesAbi, 'registerIssued', [proof], words)
}

/** Ends a key permanently. The sender must be the key itself or the owner of its app. */
export function endInstance(instances: Address, key: Address): Call {
  return callOf(instances, instancesAbi, 'end', [key], `end key ${key} permanently`)
}

/** Creates the ERC-1271 signer of an app. Anyone. */
export function createAppSigner(signers: Address, app: Address): Call {
  return callOf(signers, appSignersAbi, 'create', [app], `create the signer of app ${app}`)
}

/** Writes the present answer about an agent into the validation registry of ERC-8004. Anyone. */
export function answerValidation(validator: Address, agentId: bigint, app: Address): Call {
  const words = `answer whether agent ${agentId} is an instance of app ${app}`
  return callOf(validator, assentValidatorAbi, 'respond', [agentId, app], words)
}

/** The call that registers the key of a proof. */
export function registrationOf(
  instances: Address,
  proof: (QuotedInstance & { way: 'quote' }) | (IssuedInstance & { way: 'key-chain' }),
): Call {
  return proof.way === 'quote'
    ? registerInstance(instances, proof)
    : registerIssuedInstance(instances, proof)
}

/* WHAT IS REGISTERED */

/** A registered key of an app. Times in Unix seconds. */
export interface ListedInstance {
  readonly key: Address
  readonly way: 'quote' | 'key-chain'
  readonly standing: Standing
  readonly provenAt: number
  /** When it stops to count without another transaction. */
  readonly endsAt: number
}

/**
 * All keys that were ever registered for an app and whose record is still of this app, by the events of `Instances`.
 *
 * @param options block of the deployment, and the time of the question in Unix seconds
 * @throws CHAIN_UNREACHABLE
 */
export async function listInstances(
  client: PublicClient,
  contracts: InstanceContracts,
  app: Address,
  { fromBlock, at }: { readonly fromBlock: bigint; readonly at: number },
): Promise<ListedInstance[]> {
  const logs = parseEventLogs({
    abi: instancesAbi,
    eventName: 'InstanceRegistered',
    logs: await historyOf(client, contracts.instances, fromBlock, {
      abi: instancesAbi,
      events: ['InstanceRegistered'],
      args: { app },
    }),
  })
  const keys = [...new Set(logs.map(({ args }) => args.key))]
  const found = await mapWithConcurrency(keys, async (key) => {
    const facts = await readInstanceFacts(client, contracts, key)
    return { key, facts }
  })
  return found.flatMap(({ key, facts }): ListedInstance[] => {
    const { way, provenAt, app: owner } = facts.record
    if (way === 'none' || owner.toLowerCase() !== app.toLowerCase()) return []
    return [
      { key, way, provenAt, standing: judgeInstance(facts, at), endsAt: endOfInstance(facts) },
    ]
  })
}

/** A step before a registration. */
export interface RegistrationStep {
  /** `boot`: the facts of a boot are recorded; `root-key`: a root key is known to `Instances`. */
  readonly kind: 'boot' | 'root-key'
  /** Id of the boot (32 bytes), or address of the secp256k1 root key. */
  readonly id: Hex
  readonly call: Call
}

/**
 * Whether a step is done.
 *
 * @param blockNumber default: the newest block
 */
export async function isStepDone(
  client: PublicClient,
  instances: Address,
  { kind, id }: Pick<RegistrationStep, 'kind' | 'id'>,
  blockNumber?: bigint,
): Promise<boolean> {
  const at = blockNumber === undefined ? {} : { blockNumber }
  const asked = { address: instances, abi: instancesAbi, args: [id], ...at } as const
  if (kind === 'root-key')
    return BigInt(await client.readContract({ ...asked, functionName: 'rootKeyOf' })) !== 0n
  const boot = await client.readContract({ ...asked, functionName: 'bootOf' })
  return boot.app !== zeroAddress
}

/**
 * The steps that a registration needs first and that are not done: the facts of the boot, and the root keys that the DAO
 * approved. Root keys are read from the events of their proofs.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 */
export async function missingSteps(
  client: PublicClient,
  { instances, rootKeys }: Pick<InstanceContracts, 'instances' | 'rootKeys'>,
  proof:
    | (QuotedInstance & { way: 'quote'; events: readonly AttestedRuntimeEvent[] })
    | (IssuedInstance & { way: 'key-chain' }),
): Promise<RegistrationStep[]> {
  const steps = await missingRootKeys(client, { instances, rootKeys })
  if (proof.way === 'key-chain') return steps
  const rtmr3 = replayRtmr3(
    proof.events.map(({ name, payload, version }) => ({
      imr: 3,
      eventType: RUNTIME_EVENT_TYPE,
      digest: runtimeEventDigest(name, payload, version),
      event: name,
      payload,
      version,
    })),
  )
  const step: RegistrationStep = {
    kind: 'boot',
    id: keccak256(concat([to0x(rtmr3), proof.osImageHash])),
    call: recordBoot(instances, proof.events, proof.osImageHash),
  }
  return (await isStepDone(client, instances, step)) ? steps : [...steps, step]
}

async function missingRootKeys(
  client: PublicClient,
  { instances, rootKeys }: Pick<InstanceContracts, 'instances' | 'rootKeys'>,
): Promise<RegistrationStep[]> {
  const proven = parseEventLogs({
    abi: rootKeysAbi,
    eventName: 'RootKeyProven',
    logs: await historyOf(client, rootKeys, 0n, { abi: rootKeysAbi, events: ['RootKeyProven'] }),
  })
  const steps = await mapWithConcurrency(proven, async ({ args }): Promise<RegistrationStep[]> => {
    const { epoch } = await readProof(client, rootKeys, args.id)
    const pair = {
      caPublicKey: fromHex(args.caPublicKey, 'CA key'),
      k256PublicKey: fromHex(args.k256PublicKey, 'root key'),
    }
    const step: RegistrationStep = {
      kind: 'root-key',
      id: to0x(k256Address(pair.k256PublicKey)),
      call: addRootKey(instances, pair, k256Coordinate(pair.k256PublicKey)),
    }
    return epoch === 0 || (await isStepDone(client, instances, step)) ? [] : [step]
  })
  return steps.flat()
}
