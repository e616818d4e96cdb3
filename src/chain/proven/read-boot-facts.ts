/**
 * Reads the facts for a decision from contracts with pinned code. Only with known code is the meaning of a storage slot
 * known. A KMS reads them with storage proofs.
 */
import { AssentError } from '../../errors/index.ts'
import { concatBytes, fromHex, type Hex } from '../../lib/bytes.ts'
import { keccak256 } from '../../lib/keccak.ts'
import { appKey, approvalSlot, decodeApproval, mappingSlot, uint256 } from '../approval.ts'
import type { StateReader } from '../rpc/state-reader.ts'
import type { AppBootFacts, HostFacts, KmsBootFacts, MeasurementFacts } from './boot-rules.ts'
import { emptyCodeHash } from './proof.ts'
import {
  type AppRules,
  appSlots,
  bondSlot,
  bondsSlots,
  closedSlot,
  hostSlots,
  hostsSlots,
  implementationSlot,
  kmsAuthSlots,
  lowAddress,
  readAddress,
  readAmount,
  readAppRules,
  readAttestedSince,
  readHostProof,
  readStringHead,
  readTime,
  statusSlot,
  zeroAddress,
} from './slots.ts'

/** Accepted code hashes (keccak-256) by contract. A list, so that an upgrade can be pinned before it happens. */
export interface PinnedCode {
  /** Code of the proxies. */
  readonly proxy: readonly Hex[]
  /** Code of the implementations. */
  readonly kmsAuth: readonly Hex[]
  /** Implementations of apps. An app with other code is a foreign app. */
  readonly app: readonly Hex[]
  /** Empty if the deployment has no host registry. */
  readonly hosts: readonly Hex[]
  /** Bond contracts. */
  readonly bonds: readonly Hex[]
  /** Image registries. */
  readonly images: readonly Hex[]
}

/** A deployment whose contracts are read from storage, and the code that they must have. */
export interface PinnedDeployment {
  /** The `KmsAuth` contract, from which the addresses of all other contracts are read. */
  readonly kms: Hex
  /** A contract with other code stops the decision with an error: its storage could have another layout. */
  readonly pinned: PinnedCode
}

/** Ids of a boot, with the widths of `toTuple`. */
export interface BootIds {
  /** Lower-case address of the app, 20 bytes. */
  readonly appId: Hex
  /** 32 bytes. */
  readonly composeHash: Hex
  /** 32 bytes. */
  readonly deviceId: Hex
  /** 32 bytes. */
  readonly mrAggregated: Hex
  /** 32 bytes. */
  readonly mrSystem: Hex
  /** 32 bytes. */
  readonly osImageHash: Hex
  /** See `EvaluatedBoot.requiredMrSystem`. */
  readonly requiredMrSystem?: Hex
}

/** Facts of `KmsAuth` that do not depend on a boot. */
export interface KmsAuthFacts {
  /** Text of `KmsAuth.gatewayAppId`, read from storage (short or long string). */
  readonly gatewayAppId: string
  /** Code that new apps get. */
  readonly appImplementation: Hex
}

/** Facts of one boot, and the gateway app id that goes into the answer. */
export interface BootFacts<Facts> {
  readonly facts: Facts
  readonly gatewayAppId: string
}

/** Longest gateway app id that is read, in bytes. */
const longestGateway = 1024

/** Reads what `KmsAuth.isAppAllowed` reads. @throws CHAIN_*, CONTRACT_MISSING */
export async function gatherApp(
  reading: StateReader,
  deployment: PinnedDeployment,
  boot: BootIds,
): Promise<BootFacts<AppBootFacts>> {
  const wanted = [
    approvalSlot('app', appKey(boot.appId)),
    approvalSlot('osImage', boot.osImageHash),
    kmsAuthSlots.hosts,
    kmsAuthSlots.images,
  ]
  const { words, gatewayAppId } = await readKmsAuth(reading, deployment, wanted)
  const [app = 0n, image = 0n, hosts = 0n, images = 0n] = words
  const [contract, host, measurements] = await Promise.all([
    gatherContract(reading, deployment, boot),
    gatherHost(reading, deployment, hosts, boot.deviceId),
    gatherMeasurements(reading, deployment, images, boot),
  ])
  const approvals = { app: decodeApproval(app), image: decodeApproval(image) }
  return { facts: { ...approvals, contract, host, measurements }, gatewayAppId }
}

/** Reads what `Hosts.admission` reads. @throws CHAIN_*, CONTRACT_MISSING */
export async function gatherHostFacts(
  reading: StateReader,
  deployment: PinnedDeployment,
  deviceId: Hex,
): Promise<HostFacts> {
  const { words } = await readKmsAuth(reading, deployment, [kmsAuthSlots.hosts])
  return gatherHost(reading, deployment, words[0] ?? 0n, deviceId)
}

/** Reads what `KmsAuth.isKmsAllowed` reads. @throws CHAIN_*, CONTRACT_MISSING */
export async function gatherKms(
  reading: StateReader,
  deployment: PinnedDeployment,
  boot: BootIds,
): Promise<BootFacts<KmsBootFacts>> {
  const wanted = [
    approvalSlot('osImage', boot.osImageHash),
    approvalSlot('kmsMeasurement', boot.mrAggregated),
    approvalSlot('kmsDevice', boot.deviceId),
    kmsAuthSlots.hosts,
    kmsAuthSlots.images,
  ]
  const { words, gatewayAppId } = await readKmsAuth(reading, deployment, wanted)
  const [image = 0n, measurement = 0n, device = 0n, hosts = 0n, images = 0n] = words
  // for a KMS node the contract has no further rules, because its whole measurement is approved
  const isFree = boot.requiredMrSystem === undefined
  const [host, measurements] = await Promise.all([
    gatherHost(reading, deployment, hosts, boot.deviceId),
    isFree ? ('open' as const) : gatherMeasurements(reading, deployment, images, boot),
  ])
  const approvals = {
    image: decodeApproval(image),
    measurement: decodeApproval(measurement),
    device: decodeApproval(device),
  }
  return { facts: { ...approvals, host, measurements }, gatewayAppId }
}

/**
 * Reads the facts of `KmsAuth` for `GET /` and `GetMeta`.
 *
 * @throws CHAIN_*, CONTRACT_MISSING
 */
export async function gatherKmsAuth(
  reading: StateReader,
  deployment: PinnedDeployment,
): Promise<KmsAuthFacts> {
  const wanted = [kmsAuthSlots.appImplementation]
  const { words, gatewayAppId } = await readKmsAuth(reading, deployment, wanted)
  return { gatewayAppId, appImplementation: readAddress(words[0] ?? 0n) ?? zeroAddress }
}

/**
 * Rules of an app; undefined for a foreign app, and for one that was never registered. The registration is read first:
 * anyone can ask about any address, and the few trie nodes of `KmsAuth` are mostly cached.
 *
 * @throws CHAIN_*, CONTRACT_MISSING
 */
export async function gatherRules(
  reading: StateReader,
  deployment: PinnedDeployment,
  address: Hex,
): Promise<AppRules | undefined> {
  const { words } = await readKmsAuth(reading, deployment, [approvalSlot('app', appKey(address))])
  if (decodeApproval(words[0] ?? 0n).version === 0) return undefined
  const { pinned } = deployment
  const [implementation = 0n, rules = 0n, ends = 0n] = await reading.words(address, [
    implementationSlot,
    appSlots.rules,
    appSlots.ends,
  ])
  const code = await recognise(reading, { address, implementation, pinned, kind: 'app' })
  return code === 'known' ? readAppRules(rules, ends) : undefined
}

async function readKmsAuth(
  reading: StateReader,
  { kms, pinned }: PinnedDeployment,
  slots: readonly Hex[],
) {
  const [implementation = 0n, gateway = 0n, ...words] = await reading.words(kms, [
    implementationSlot,
    kmsAuthSlots.gatewayAppId,
    ...slots,
  ])
  await requireCode(reading, { address: kms, implementation, pinned, kind: 'kmsAuth' })
  return { words, gatewayAppId: await readString(reading, kms, kmsAuthSlots.gatewayAppId, gateway) }
}

async function gatherContract(
  reading: StateReader,
  { pinned }: PinnedDeployment,
  { appId, composeHash, deviceId }: BootIds,
): Promise<AppBootFacts['contract']> {
  const [implementation = 0n, rules = 0n, ends = 0n, release = 0n, device = 0n] =
    await reading.words(appId, [
      implementationSlot,
      appSlots.rules,
      appSlots.ends,
      approvalSlot('release', composeHash),
      approvalSlot('device', deviceId),
    ])
  const code = await recognise(reading, { address: appId, implementation, pinned, kind: 'app' })
  if (code !== 'known') return code
  return {
    rules: readAppRules(rules, ends),
    release: decodeApproval(release),
    device: decodeApproval(device),
  }
}

async function gatherHost(
  reading: StateReader,
  { pinned }: PinnedDeployment,
  hosts: bigint,
  deviceId: Hex,
): Promise<HostFacts> {
  const address = lowAddress(hosts)
  if (address === zeroAddress) return 'no-rule'
  const [implementation = 0n, rules = 0n, bonds = 0n, host = 0n, first = 0n, second = 0n] =
    await reading.words(address, [
      implementationSlot,
      hostsSlots.rules,
      hostsSlots.bonds,
      approvalSlot('host', deviceId),
      ...hostSlots(deviceId),
    ])
  await requireCode(reading, { address, implementation, pinned, kind: 'hosts' })
  const proof = readHostProof(first, second)
  const [[until = 0n], isBonded] = await Promise.all([
    reading.words(address, [statusSlot(proof.status)]),
    gatherBond(reading, pinned, lowAddress(bonds), { deviceId, holder: proof.operator }),
  ])
  return {
    proof,
    host: decodeApproval(host),
    isBonded,
    attestedSince: readAttestedSince(rules),
    statusUntil: readTime(until),
  }
}

async function gatherBond(
  reading: StateReader,
  pinned: PinnedCode,
  address: Hex,
  { deviceId, holder }: { readonly deviceId: Hex; readonly holder: Hex },
): Promise<boolean> {
  if (address === zeroAddress) return true
  const [implementation = 0n, minimum = 0n, bond = 0n] = await reading.words(address, [
    implementationSlot,
    bondsSlots.minimum,
    bondSlot(deviceId, holder),
  ])
  await requireCode(reading, { address, implementation, pinned, kind: 'bonds' })
  return readAmount(bond) >= readAmount(minimum)
}

async function gatherMeasurements(
  reading: StateReader,
  { pinned }: PinnedDeployment,
  images: bigint,
  { osImageHash, mrSystem, requiredMrSystem }: BootIds,
): Promise<MeasurementFacts> {
  const address = lowAddress(images)
  // a zero word is no approval
  if (address === zeroAddress) return requiredMrSystem === undefined ? 'open' : decodeApproval(0n)
  const [implementation = 0n, closed = 0n, word = 0n] = await reading.words(address, [
    implementationSlot,
    closedSlot(osImageHash),
    approvalSlot('measurements', measurementsId(osImageHash, requiredMrSystem ?? mrSystem)),
  ])
  await requireCode(reading, { address, implementation, pinned, kind: 'images' })
  const isOpen = requiredMrSystem === undefined && closed % 256n === 0n
  return isOpen ? 'open' : decodeApproval(word)
}

/** As `Images.idOf` for TDX, the only TEE variant of this KMS. */
function measurementsId(osImageHash: Hex, mrSystem: Hex): Hex {
  return keccak256(`${osImageHash}${uint256(0n).slice(2)}${mrSystem.slice(2)}`)
}

interface CodeQuestion {
  readonly address: Hex
  /** Word in the implementation slot (ERC-1967). */
  readonly implementation: bigint
  readonly pinned: PinnedCode
  readonly kind: Exclude<keyof PinnedCode, 'proxy'>
}

async function recognise(
  reading: StateReader,
  { address, implementation, pinned, kind }: CodeQuestion,
): Promise<'known' | 'none' | 'foreign'> {
  const account = await reading.account(address)
  if (account === undefined || account.codeHash === emptyCodeHash) return 'none'
  const behind = readAddress(implementation)
  if (!pinned.proxy.includes(account.codeHash) || behind === undefined) return 'foreign'
  const code = await reading.account(behind)
  return code !== undefined && pinned[kind].includes(code.codeHash) ? 'known' : 'foreign'
}

/** @throws CONTRACT_MISSING, CHAIN_CONTRACT_UNKNOWN */
async function requireCode(reading: StateReader, question: CodeQuestion): Promise<void> {
  const { address, kind } = question
  const code = await recognise(reading, question)
  if (code === 'foreign') throw unknownCode(kind, address)
  if (code === 'known') return
  throw new AssentError('CONTRACT_MISSING', `There is no contract at ${address}.`, {
    facts: { address, kind },
  })
}

async function readString(
  reading: StateReader,
  address: Hex,
  slot: Hex,
  head: bigint,
): Promise<string> {
  const { length, isLong } = readStringHead(head)
  if (!isLong) return decodeText(uint256(head), length)
  if (length > longestGateway) throw unknownCode('kmsAuth', address)
  const first = BigInt(mappingSlot('0x', slot))
  const count = Math.ceil(length / 32)
  const slots = Array.from({ length: count }, (_, index) => uint256(first + BigInt(index)))
  const words = await reading.words(address, slots)
  return decodeText(`0x${words.map((word) => uint256(word).slice(2)).join('')}`, length)
}

function decodeText(bytes: Hex, length: number): string {
  return new TextDecoder().decode(concatBytes(fromHex(bytes, 'text')).subarray(0, length))
}

function unknownCode(kind: string, address: string): AssentError {
  return new AssentError('CHAIN_CONTRACT_UNKNOWN', `The code at ${address} is not pinned.`, {
    facts: { kind, address },
  })
}
