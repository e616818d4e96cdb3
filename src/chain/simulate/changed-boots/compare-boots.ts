/**
 * The boots that a proposal changes: those that are allowed before and denied after it, or the other way round, and
 * from when to when.
 *
 * Both states are asked with the contract's own view (`isAppAllowed`, `isKmsAllowed`) at the time of the execution and
 * at every later time at which an approval, a host proof or a rule begins or ends. Between two such times no answer of
 * Assent's contracts changes.
 */
import { decodeFunctionResult, encodeFunctionData, keccak256, zeroAddress } from 'viem'

import { type AssentError, isAssentError } from '../../../errors/index.ts'
import type { Hex } from '../../../lib/bytes.ts'
import { kmsAuthAbi } from '../../abi.ts'
import { noEnd } from '../../approval.ts'
import { appRules, type BootRule, kmsRules } from '../../proven/boot-rules.ts'
import { gatherApp, gatherKms, type PinnedCode } from '../../proven/read-boot-facts.ts'
import { hostsSlots, implementationSlot, kmsAuthSlots, lowAddress } from '../../proven/slots.ts'
import type { LocalChain } from '../local-chain.ts'
import { readStateOfLocalCopy } from '../local-reader.ts'
import type { BootList, ComparedStates, ListedBoot } from './list-boots.ts'

/** A time in which the answers differ. */
export interface ChangedPeriod {
  /** Unix seconds. */
  readonly from: number
  /** First second after it; undefined: without end, as far as it is known now. */
  readonly until: number | undefined
  /** The answer without the proposal. */
  readonly before: BootAnswer
  /** The answer after its execution. */
  readonly after: BootAnswer
}

/** The contract's answer. */
export interface BootAnswer {
  /** The answer of `KmsAuth`. */
  readonly allowed: boolean
  /** The contract's reason for a denial, or why it gave no answer. */
  readonly reason: string
}

/** A boot whose answer changes. */
export interface ChangedBoot {
  /** The combination of app, release, device, image and status that is asked about. */
  readonly boot: ListedBoot
  /** Times in which both answers differ, in order. */
  readonly periods: readonly ChangedPeriod[]
}

/** The boots that a proposal changes. */
export interface ChangedBoots {
  /** The time of the execution, unix seconds. */
  readonly from: number
  /** Boots that could run without the proposal and cannot with it, in some period. */
  readonly losses: readonly ChangedBoot[]
  /** Boots that can run only with the proposal, in some period. */
  readonly gains: readonly ChangedBoot[]
  /** Number of evaluated combinations. */
  readonly evaluated: number
  /** Combinations that were not evaluated, one sentence each; empty: everything was evaluated. */
  readonly omitted: readonly string[]
}

/** The contract that decides, an observer of the progress, and a time limit. */
export interface CompareOptions {
  readonly kmsAuth: Hex
  /** Called with the number of evaluated combinations and the total. */
  readonly onProgress?: (done: number, total: number) => void
  /** Milliseconds after which the remaining combinations are left out. */
  readonly timeoutMs?: number
}

/** Most times at which one boot is evaluated. */
const maxTimes = 64

/** @throws CHAIN_UNREACHABLE, CHAIN_ANSWER_INVALID, SIMULATION_TOO_LARGE */
export async function compareBoots(
  states: ComparedStates,
  { boots, omitted }: BootList,
  options: CompareOptions,
): Promise<ChangedBoots> {
  const { onProgress, timeoutMs = 120_000 } = options
  const comparison = await BootComparison.open(states, options.kmsAuth, boots)
  const deadline = performance.now() + timeoutMs
  const losses: ChangedBoot[] = []
  const gains: ChangedBoot[] = []
  const missing = [...omitted]
  let done = 0
  for (const boot of boots) {
    if (performance.now() > deadline) {
      missing.push(`Not evaluated: ${boots.length - done} of ${boots.length} combinations (time).`)
      break
    }
    const periods = await comparison.periodsOf(boot)
    const lost = periods.filter(({ before }) => before.allowed)
    const gained = periods.filter(({ after }) => after.allowed)
    if (lost.length > 0) losses.push({ boot, periods: lost })
    if (gained.length > 0) gains.push({ boot, periods: gained })
    done++
    onProgress?.(done, boots.length)
  }
  return { from: states.at, losses, gains, evaluated: done, omitted: missing }
}

class BootComparison {
  readonly #states: ComparedStates
  readonly #kmsAuth: Hex
  readonly #pins: readonly [PinnedCode, PinnedCode]
  /** Words and accounts that differ between the states. */
  readonly #changed: ReadonlySet<string>

  private constructor(
    states: ComparedStates,
    kmsAuth: Hex,
    pins: readonly [PinnedCode, PinnedCode],
    changed: ReadonlySet<string>,
  ) {
    this.#states = states
    this.#kmsAuth = kmsAuth
    this.#pins = pins
    this.#changed = changed
  }

  static async open(
    states: ComparedStates,
    kmsAuth: Hex,
    boots: readonly ListedBoot[],
  ): Promise<BootComparison> {
    const { before, after } = states
    const apps = [...new Set(boots.map(({ appId }) => appId))]
    const pins = [
      await pinPresentCode(before, kmsAuth, apps),
      await pinPresentCode(after, kmsAuth, apps),
    ] as const
    const words = await after.changedWords(before)
    const accounts = await after.changedAccounts(before)
    const changed = new Set([
      ...words.map(({ address, slot }) => `${address}_${slot}`),
      ...accounts.map(({ address }) => address),
    ])
    return new BootComparison(states, kmsAuth, pins, changed)
  }

  /** The periods in which the answers to one boot differ. */
  async periodsOf(boot: ListedBoot): Promise<ChangedPeriod[]> {
    const times = await this.#timesOf(boot)
    const periods: ChangedPeriod[] = []
    for (const [index, from] of times.entries()) {
      const until = times[index + 1]
      const { before, after } = await this.#answersAt(boot, from)
      if (before.allowed === after.allowed) continue
      const last = periods.at(-1)
      const isContinued =
        last?.until === from &&
        last.before.reason === before.reason &&
        last.after.reason === after.reason
      if (isContinued) periods[periods.length - 1] = { ...last, until }
      else periods.push({ from, until, before, after })
    }
    return periods
  }

  async #answersAt(boot: ListedBoot, timestamp: number) {
    const reads = new Set<string>()
    const before = await this.#ask(this.#states.before, boot, timestamp, reads)
    // the same code on the same words gives the same answer
    const isAffected = [...reads].some((read) => this.#changed.has(read))
    const after = isAffected ? await this.#ask(this.#states.after, boot, timestamp) : before
    return { before, after }
  }

  async #ask(
    chain: LocalChain,
    { bootOf, ...boot }: ListedBoot,
    timestamp: number,
    reads?: Set<string>,
  ): Promise<BootAnswer> {
    const functionName = bootOf === 'app' ? 'isAppAllowed' : 'isKmsAllowed'
    const data = encodeFunctionData({
      abi: kmsAuthAbi,
      functionName,
      args: [{ ...boot, instanceId: zeroAddress, advisoryIds: [] }],
    })
    const call = { from: zeroAddress as Hex, to: this.#kmsAuth, data }
    const result = await chain.call(call, { timestamp, ...(reads === undefined ? {} : { reads }) })
    if (!result.succeeded) {
      return { allowed: false, reason: `KmsAuth gives no answer (${result.failure})` }
    }
    try {
      const [allowed, reason] = decodeFunctionResult({
        abi: kmsAuthAbi,
        functionName,
        data: result.data,
      })
      return { allowed, reason: allowed ? '' : reason.slice(0, 200) }
    } catch {
      return { allowed: false, reason: 'KmsAuth gives an answer of another form' }
    }
  }

  /** The time of the execution, and the later times at which the answer in one of the states can change. */
  async #timesOf(boot: ListedBoot): Promise<number[]> {
    const { before, after, at } = this.#states
    const found = await Promise.all([
      this.#changesOf(before, this.#pins[0], boot),
      this.#changesOf(after, this.#pins[1], boot),
    ])
    const later = found.flat().filter((time) => time > at && time < noEnd)
    return [at, ...[...new Set(later)].sort((a, b) => a - b)].slice(0, maxTimes)
  }

  async #changesOf(
    chain: LocalChain,
    pinned: PinnedCode,
    boot: ListedBoot,
  ): Promise<readonly number[]> {
    const reader = readStateOfLocalCopy(chain)
    const registry = { kms: this.#kmsAuth, pinned }
    try {
      if (boot.bootOf === 'app') {
        return changesIn(appRules, (await gatherApp(reader, registry, boot)).facts)
      }
      return changesIn(kmsRules, (await gatherKms(reader, registry, boot)).facts)
    } catch (error) {
      // a registry without code, or with storage that is not Assent's, has no known times
      if (isAssentError(error) && hasNoTimes.has(error.code)) return []
      throw error
    }
  }
}

const hasNoTimes: ReadonlySet<AssentError['code']> = new Set([
  'CONTRACT_MISSING',
  'CHAIN_CONTRACT_UNKNOWN',
])

function changesIn<Facts>(rules: readonly BootRule<Facts>[], facts: Facts): number[] {
  return rules.flatMap((rule) => rule.changes(facts))
}

/** Accepts the code that the contracts have: here it only says where times are stored, and decides nothing. */
async function pinPresentCode(
  chain: LocalChain,
  kmsAuth: Hex,
  apps: readonly Hex[],
): Promise<PinnedCode> {
  const hashes = async (addresses: readonly Hex[]) =>
    Promise.all(addresses.map(async (address) => keccak256(await chain.code(address))))
  const behind = async (address: Hex) => lowAddress(await chain.word(address, implementationSlot))
  const hosts = lowAddress(await chain.word(kmsAuth, kmsAuthSlots.hosts))
  const images = lowAddress(await chain.word(kmsAuth, kmsAuthSlots.images))
  const bonds = lowAddress(await chain.word(hosts, hostsSlots.bonds))
  const app = lowAddress(await chain.word(kmsAuth, kmsAuthSlots.appImplementation))
  const appCodes = await Promise.all(apps.map(behind))
  return {
    proxy: await hashes([kmsAuth, hosts, images, bonds, ...apps]),
    kmsAuth: await hashes([await behind(kmsAuth)]),
    app: await hashes([app, ...appCodes]),
    hosts: await hashes([await behind(hosts)]),
    bonds: await hashes([await behind(bonds)]),
    images: await hashes([await behind(images)]),
  }
}
