/**
 * ApprovalLists the boots whose decision a proposal could change: combinations of app, release, image, device and measurements,
 * and those of KMS nodes.
 *
 * The parts come from the registries at the block, and from the events of the simulated proposal. A combination that no
 * state can allow is left out: a part of it is withdrawn, revoked, expired or superseded before and after.
 */
import { keccak256, type Log, type PublicClient, parseEventLogs, stringToHex } from 'viem'

import type { Hex } from '../../../lib/bytes.ts'
import { mapWithConcurrency } from '../../../lib/map-with-concurrency.ts'
import { tcbStatuses } from '../../../quote/verdict.ts'
import { approvalRegistryAbi, imagesAbi } from '../../abi.ts'
import { appKey, approvalSlot, decodeApproval, type Kind, kinds, stateAt } from '../../approval.ts'
import { toChainError } from '../../call.ts'
import {
  appSlots,
  closedSlot,
  hostSlots,
  implementationSlot,
  kmsAuthSlots,
  readAddress,
  readAppRules,
  readHostProof,
} from '../../proven/slots.ts'
import type { Addresses } from '../../record/deployments.ts'
import { countApprovals, pageOfApprovals } from '../../registries/registry.ts'
import type { LocalChain, LocalLog } from '../local-chain.ts'

/** A boot of an app or of a KMS node, with what a KMS asks the contract. */
export interface ListedBoot {
  /** `app` for `isAppAllowed`, `kms` for `isKmsAllowed`. */
  readonly bootOf: 'app' | 'kms'
  readonly appId: Hex
  readonly composeHash: Hex
  readonly deviceId: Hex
  readonly mrAggregated: Hex
  /** {@link unlistedMeasurements} stands for measurements that no approved set has. */
  readonly mrSystem: Hex
  readonly osImageHash: Hex
  /** TCB status that the boot would have, such as `UpToDate`. */
  readonly tcbStatus: string
}

/** Stands for a device that no registry has. */
export const unlistedDevice: Hex = keccak256(stringToHex('assent: any other device'))
/** Stands for measurements that no approved set has. */
export const unlistedMeasurements: Hex = keccak256(stringToHex('assent: any other measurements'))
const none: Hex = `0x${'00'.repeat(32)}`
const noApp: Hex = `0x${'00'.repeat(20)}`

/** Bounds of the list. */
export interface ListLimits {
  /** Newest ids of one kind in one registry. */
  readonly idsOfKind: number
  /** Combinations. */
  readonly boots: number
}

/**
 * Limits of a review: the newest 400 ids of a kind and 4,000 combinations. Omitted ones are counted in the result.
 */
export const defaultListLimits: ListLimits = { idsOfKind: 400, boots: 4_000 }

/** The combinations, and what is missing in them. */
export interface BootList {
  readonly boots: readonly ListedBoot[]
  /** One sentence for each bound that was reached, and for each app whose releases cannot be listed. */
  readonly omitted: readonly string[]
}

/** The states to compare, at the same time. */
export interface ComparedStates {
  /** The state without the proposal, at the time of its execution. */
  readonly before: LocalChain
  /** The state after its execution. */
  readonly after: LocalChain
  /** Unix seconds. */
  readonly at: number
}

/** Sources and limits of the list. */
export interface ListOptions {
  /** Reads lists and events at the block of the simulation. */
  readonly client: PublicClient
  readonly addresses: Addresses
  /** Events between both states. */
  readonly logs: readonly LocalLog[]
  /** Default: `defaultListLimits`. */
  readonly limits?: ListLimits
}

/** @throws CHAIN_UNREACHABLE */
export async function listBoots(states: ComparedStates, options: ListOptions): Promise<BootList> {
  const lists = new ApprovalLists(states, options)
  const { addresses } = options
  const [images, appKeys, kmsMeasurements, kmsDevices, hosts] = await Promise.all([
    lists.possible(addresses.kmsAuth as Hex, 'osImage'),
    lists.possible(addresses.kmsAuth as Hex, 'app'),
    lists.possible(addresses.kmsAuth as Hex, 'kmsMeasurement'),
    lists.possible(addresses.kmsAuth as Hex, 'kmsDevice'),
    lists.hosts(),
  ])
  const measured = await Promise.all(
    images.map(async (image) => [image, await lists.measurementsOf(image)] as const),
  )
  const isHostNeeded = await lists.isHostNeeded()
  const apps = await mapWithConcurrency(appKeys, (key) => lists.app(`0x${key.slice(26)}`))

  const boots: ListedBoot[] = []
  for (const { app, releases, devices, isOpen, asksForTcb } of apps) {
    const possibleDevices = isOpen
      ? [...new Set([...devices, ...hosts, ...(isHostNeeded ? [] : [unlistedDevice])])]
      : devices
    for (const deviceId of possibleDevices) {
      const statuses = asksForTcb ? await lists.statusesOf(deviceId) : ['UpToDate']
      for (const [osImageHash, sets] of measured) {
        for (const composeHash of releases) {
          for (const mrSystem of sets) {
            for (const tcbStatus of statuses) {
              const boot = { composeHash, deviceId, mrSystem, osImageHash, tcbStatus }
              boots.push({ bootOf: 'app', appId: app, mrAggregated: none, ...boot })
            }
          }
        }
      }
    }
  }
  for (const mrAggregated of kmsMeasurements) {
    for (const deviceId of kmsDevices) {
      for (const osImageHash of images) {
        const boot = { mrAggregated, deviceId, osImageHash, tcbStatus: 'UpToDate' }
        boots.push({ bootOf: 'kms', appId: noApp, composeHash: none, mrSystem: none, ...boot })
      }
    }
  }
  return lists.bounded(boots)
}

interface AppParts {
  readonly app: Hex
  readonly releases: readonly Hex[]
  readonly devices: readonly Hex[]
  /** Whether the app can run on devices that it does not list, before or after. */
  readonly isOpen: boolean
  readonly asksForTcb: boolean
}

/** Reads the lists of the registries in both states. */
class ApprovalLists {
  readonly #states: ComparedStates
  readonly #options: ListOptions
  readonly #limits: ListLimits
  readonly #omitted: string[] = []
  readonly #decided: readonly { registry: Hex; kind: number; id: Hex }[]

  constructor(states: ComparedStates, options: ListOptions) {
    this.#states = states
    this.#options = options
    this.#limits = options.limits ?? defaultListLimits
    this.#decided = parseEventLogs({
      abi: approvalRegistryAbi,
      eventName: ['ApprovalGiven', 'ApprovalChanged'],
      logs: onlyLogs(options.logs),
    }).map(({ address, args }) => ({
      registry: address.toLowerCase() as Hex,
      kind: args.kind,
      id: args.id,
    }))
  }

  /** Ids that are or can become active without another transaction, before or after. */
  async possible(registry: Hex, kind: Kind): Promise<Hex[]> {
    const ids = await this.#idsIfListed(registry, kind)
    if (await this.#isCodeReplaced(registry)) return ids
    const alive = await mapWithConcurrency(ids, async (id) => {
      const words = await this.#inBoth((chain) => chain.word(registry, approvalSlot(kind, id)))
      return words.some((word) => isPossible(word, this.#states.at))
    })
    return ids.filter((_, index) => alive[index])
  }

  /** Devices in the host registries of both states. */
  async hosts(): Promise<Hex[]> {
    const kmsAuth = this.#options.addresses.kmsAuth as Hex
    const words = await this.#inBoth((chain) => chain.word(kmsAuth, kmsAuthSlots.hosts))
    const registries = new Set(words.map(readAddress))
    const listed = [...registries].map((hosts) =>
      hosts === undefined || BigInt(hosts) === 0n ? [] : this.possible(hosts, 'host'),
    )
    return [...new Set((await Promise.all(listed)).flat())]
  }

  /** Empty for a contract that is not a registry of Assent. */
  async #idsIfListed(registry: Hex, kind: Kind): Promise<Hex[]> {
    try {
      return await this.#ids(registry, kind)
    } catch (cause) {
      const error = toChainError(cause, `list the kind ${kind} in ${registry}`)
      if (error.code !== 'CALL_REVERTED') throw error
      this.#omit(`the kind ${kind} in ${registry}, which does not list it`)
      return []
    }
  }

  async #ids(registry: Hex, kind: Kind): Promise<Hex[]> {
    const { client } = this.#options
    const blockNumber = this.#states.before.origin.number
    const simulated = this.#decided
      .filter((each) => each.registry === registry && each.kind === kinds[kind])
      .map(({ id }) => id)
    // a contract that the proposal creates does not exist at the block
    const exists = (await this.#states.before.code(registry)) !== '0x'
    if (!exists) return [...new Set(simulated)]
    const total = await countApprovals(client, registry, kind, blockNumber)
    const limit = Math.min(total, this.#limits.idsOfKind)
    if (limit < total) this.#omit(`${total - limit} older ids of the kind ${kind} in ${registry}`)
    const page = { offset: total - limit, limit, blockNumber }
    const listed = limit === 0 ? [] : await pageOfApprovals(client, registry, kind, page)
    return [...new Set([...simulated, ...listed.map(({ id }) => id)])]
  }

  async app(app: Hex): Promise<AppParts> {
    const words = await this.#inBoth(async (chain) =>
      readAppRules(await chain.word(app, appSlots.rules), await chain.word(app, appSlots.ends)),
    )
    return {
      app,
      releases: await this.possible(app, 'release'),
      devices: await this.possible(app, 'device'),
      isOpen: words.some(({ allowAnyDevice }) => allowAnyDevice),
      asksForTcb: words.some(({ requireTcbUpToDate }) => requireTcbUpToDate),
    }
  }

  /** Whether both states have a host registry. Then a device that it does not know can never boot. */
  async isHostNeeded(): Promise<boolean> {
    const kmsAuth = this.#options.addresses.kmsAuth as Hex
    const hosts = await this.#inBoth((chain) => chain.word(kmsAuth, kmsAuthSlots.hosts))
    return hosts.every((word) => word !== 0n)
  }

  /** Measurements to try: one unlisted value; for a closed image also each approved set. */
  async measurementsOf(image: Hex): Promise<Hex[]> {
    const { addresses, client } = this.#options
    const kmsAuth = addresses.kmsAuth as Hex
    const registries = await this.#inBoth(async (chain) =>
      readAddress(await chain.word(kmsAuth, kmsAuthSlots.images)),
    )
    const known = [...new Set(registries)].filter(
      (images) => images !== undefined && BigInt(images) !== 0n,
    ) as Hex[]
    const sets = await mapWithConcurrency(known, async (images) => {
      const closed = await this.#inBoth((chain) => chain.word(images, closedSlot(image)))
      if (closed.every((word) => word === 0n)) return []
      const ids = await this.possible(images, 'measurements')
      return mapWithConcurrency(ids, (id) => this.#measurementSet(client, images, id))
    })
    const ofImage = sets
      .flat()
      .filter(({ osImageHash, variant }) => osImageHash === image && variant === 0)
    return [...new Set([...ofImage.map(({ mrSystem }) => mrSystem), unlistedMeasurements])]
  }

  async #measurementSet(client: PublicClient, images: Hex, id: Hex) {
    const described = parseEventLogs({
      abi: imagesAbi,
      eventName: 'MeasurementSetDescribed',
      logs: onlyLogs(this.#options.logs),
    }).find(({ args }) => args.id === id)
    if (described !== undefined) return described.args
    try {
      return await client.readContract({
        address: images,
        abi: imagesAbi,
        functionName: 'measurementSetOf',
        args: [id],
        blockNumber: this.#states.before.origin.number,
      })
    } catch (cause) {
      throw toChainError(cause, `read the measurement set ${id}`)
    }
  }

  /** The proven TCB status of a host; for another device one that is up to date and one that is not. */
  async statusesOf(deviceId: Hex): Promise<string[]> {
    const { hosts } = this.#options.addresses
    if (hosts === undefined) return ['UpToDate', 'OutOfDate']
    const [first, second] = hostSlots(deviceId)
    const { status } = readHostProof(
      await this.#states.before.word(hosts as Hex, first),
      await this.#states.before.word(hosts as Hex, second),
    )
    // the number 0 means that there is no proof
    const name = tcbStatuses[status - 1]
    return name === undefined ? ['UpToDate', 'OutOfDate'] : [name]
  }

  /** The list, cut to the limit. Combinations with an id that the proposal changes come first. */
  bounded(boots: readonly ListedBoot[]): BootList {
    const { boots: limit } = this.#limits
    if (boots.length <= limit) return { boots, omitted: this.#omitted }
    const decided = new Set(this.#decided.flatMap(({ registry, id }) => [registry, id]))
    const isDecided = (boot: ListedBoot) =>
      Object.values(boot).some((value) => decided.has(value as Hex)) ||
      decided.has(appKey(boot.appId))
    const sorted = [...boots.filter(isDecided), ...boots.filter((boot) => !isDecided(boot))]
    this.#omit(`${boots.length - limit} of ${boots.length} combinations`)
    return { boots: sorted.slice(0, limit), omitted: this.#omitted }
  }

  #omit(what: string): void {
    this.#omitted.push(`Not evaluated: ${what}.`)
  }

  /** After an upgrade, the meaning of the storage words is not known. */
  async #isCodeReplaced(contract: Hex): Promise<boolean> {
    const [before, after] = await this.#inBoth((chain) => chain.word(contract, implementationSlot))
    return before !== after
  }

  #inBoth<T>(read: (chain: LocalChain) => Promise<T>): Promise<[T, T]> {
    const { before, after } = this.#states
    return Promise.all([read(before), read(after)])
  }
}

/** viem returns the members of a log over those that it decoded; a decoded event has some of the same names. */
function onlyLogs(logs: readonly LocalLog[]): Log[] {
  return logs.map(({ address, topics, data }) => ({ address, topics, data })) as unknown as Log[]
}

function isPossible(word: bigint, at: number): boolean {
  const state = stateAt(decodeApproval(word), at)
  return state === 'active' || state === 'pending' || state === 'suspended'
}
