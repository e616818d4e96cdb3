/**
 * Explains the decision about a boot: every condition, until when it holds, and the command that fixes it.
 *
 * It runs the rules that the KMS runs (`proven/boot-rules.ts`). So the first condition that is not met is the reason that
 * the KMS gives.
 */
import { zeroAddress, zeroHash } from 'viem'

import type { Hex } from '../../lib/bytes.ts'
import { noEnd } from '../approval.ts'
import type { KeyEpochs } from '../boot/boot.ts'
import {
  appRules,
  type BootRule,
  type DenialReason,
  epochsOf,
  firstDenial,
  type HostFacts,
  kmsRules,
  type RuleContext,
  reasons,
} from '../proven/boot-rules.ts'
import {
  type BootIds,
  gatherApp,
  gatherHostFacts,
  gatherKms,
  type PinnedDeployment,
} from '../proven/read-boot-facts.ts'
import type { StateReader } from '../rpc/state-reader.ts'
import {
  type ConditionText,
  describeAppCondition,
  describeKmsCondition,
} from './describe-conditions.ts'
import { type HostConditionState, hostConditions } from './explain-host.ts'

/** The known facts of a boot. A condition that needs a missing member is `unknown`. */
export interface KnownBoot {
  /** 20 bytes; not needed for a KMS node. */
  readonly appId?: Hex
  /** 32 bytes; without it, conditions about the release are unknown. */
  readonly composeHash?: Hex
  /** 32 bytes; without it, conditions about the host are unknown. */
  readonly deviceId?: Hex
  /** 32 bytes; without it, conditions about the image are unknown. */
  readonly osImageHash?: Hex
  /** Only for a KMS node. */
  readonly mrAggregated?: Hex
  /** mr_system at boot time. */
  readonly mrSystem?: Hex
  /** As in `BootIds`: set for an image that the KMS cannot measure. */
  readonly requiredMrSystem?: Hex
  /** By Intel's names; matters only to an app that requires it. */
  readonly tcbStatus?: string
}

/** Times of a decision, unix seconds: the KMS needs every rule to hold at both. */
export interface DecisionTimes {
  /** Time of the block that is read. */
  readonly block: number
  /** Local clock. */
  readonly now: number
}

/** `unknown`: a value that it needs is missing. `not-checked`: an earlier condition makes it meaningless. */
export type ConditionState = 'met' | 'unmet' | 'unknown' | 'not-checked'

/** One condition of a boot in the order of the KMS. The first unmet one is the reason of a denial. */
export interface Condition extends ConditionText {
  /** Name of the denial that this condition causes. */
  readonly denial: DenialReason
  /** Reason string of a denial by this condition. */
  readonly reason: string
  /** `unknown` if a value that it needs is missing. */
  readonly state: ConditionState
  /** Missing values, if the state is `unknown`. */
  readonly missing: readonly (keyof KnownBoot)[]
  /** First second in which the state changes without a transaction; null: no such time is known. */
  readonly until: number | null
}

/** The answer from one moment on. */
export interface Moment {
  /** Unix seconds. */
  readonly from: number
  /** The answer of the KMS from this moment on. */
  readonly answer: Answer
  /** Reason string; empty unless the boot is denied. */
  readonly reason: string
}

/** `unknown`: a value is missing, and the values that are known deny nothing. */
export type Answer = 'allowed' | 'denied' | 'unknown'

/** Every condition of a boot at one time, the answer that follows, and later times at which the answer changes. */
export interface BootExplanation {
  readonly bootOf: 'app' | 'kms'
  /** The given values. */
  readonly boot: KnownBoot
  /** The time at which the conditions are evaluated, unix seconds. */
  readonly at: number
  readonly answer: Answer
  /** Reason string of the KMS; empty unless the boot is denied. */
  readonly reason: string
  /** In the order in which the KMS checks them. */
  readonly conditions: readonly Condition[]
  /** Conditions of the host registry; empty without a host registry or without a device. */
  readonly host: readonly HostConditionState[]
  /** The answer now and after each change that needs no transaction. */
  readonly timeline: readonly Moment[]
  /** Key epochs of an allowed release. */
  readonly epochs: KeyEpochs | null
}

/**
 * Explains if a release of an app may boot.
 *
 * @throws CHAIN_*, CONTRACT_MISSING if a contract is missing or its code is not pinned
 * @example
 * const reader = readStateOf(client, block.number)
 * const { answer, conditions } = await explainApp(reader, { kms, pinned }, { appId, composeHash }, times)
 */
export async function explainApp(
  reader: StateReader,
  deployment: PinnedDeployment,
  boot: KnownBoot & { readonly appId: Hex },
  times: DecisionTimes,
): Promise<BootExplanation> {
  const { facts } = await gatherApp(reader, deployment, idsOf(boot))
  const { explained, at } = explain({ rules: appRules, facts, boot, times })
  const conditions = explained.map((condition) => ({
    ...condition,
    ...describeAppCondition(condition.denial, facts, boot, at),
  }))
  const answered = answerOf(conditions)
  return {
    bootOf: 'app',
    boot,
    at,
    ...answered,
    conditions,
    host: hostConditionsOf(facts.host, boot, at),
    timeline: timelineOf({ rules: appRules, facts, boot, times }),
    epochs: answered.answer === 'allowed' ? epochsOf(facts, at) : null,
  }
}

/** Explains if a KMS node may serve or get the root keys. @throws CHAIN_*, CONTRACT_MISSING */
export async function explainKms(
  reader: StateReader,
  deployment: PinnedDeployment,
  boot: KnownBoot,
  times: DecisionTimes,
): Promise<BootExplanation> {
  const { facts } = await gatherKms(reader, deployment, idsOf(boot))
  const { explained, at } = explain({ rules: kmsRules, facts, boot, times })
  const conditions = explained.map((condition) => ({
    ...condition,
    ...describeKmsCondition(condition.denial, facts, boot, at),
  }))
  return {
    bootOf: 'kms',
    boot,
    at,
    ...answerOf(conditions),
    conditions,
    host: hostConditionsOf(facts.host, boot, at),
    timeline: timelineOf({ rules: kmsRules, facts, boot, times }),
    epochs: null,
  }
}

/** Reads and evaluates the conditions of the host registry for one device. @throws CHAIN_*, CONTRACT_MISSING */
export async function explainHost(
  reader: StateReader,
  deployment: PinnedDeployment,
  deviceId: Hex,
  at: number,
): Promise<readonly HostConditionState[]> {
  return hostConditions(await gatherHostFacts(reader, deployment, deviceId), deviceId, at)
}

/**
 * A missing value is asked as zero, which no registry approves. So a rule that holds for zero does not need the value,
 * except the rule about measurements: see `stateOfRule`.
 */
function idsOf(boot: KnownBoot): BootIds {
  return {
    appId: boot.appId ?? zeroAddress,
    composeHash: boot.composeHash ?? zeroHash,
    deviceId: boot.deviceId ?? zeroHash,
    mrAggregated: boot.mrAggregated ?? zeroHash,
    mrSystem: boot.mrSystem ?? zeroHash,
    osImageHash: boot.osImageHash ?? zeroHash,
    ...(boot.requiredMrSystem === undefined ? {} : { requiredMrSystem: boot.requiredMrSystem }),
  }
}

interface Evaluated<Facts> {
  readonly rules: readonly BootRule<Facts>[]
  readonly facts: Facts
  readonly boot: KnownBoot
  readonly times: DecisionTimes
}

type Explained = Omit<Condition, keyof ConditionText>

function explain<Facts>({ rules, facts, boot, times }: Evaluated<Facts>) {
  const context = contextOf(boot)
  // as the KMS: what denies at the block's time comes first
  const isDeniedAtBlock = firstDenial(rules, facts, times.block, context) !== undefined
  const at = isDeniedAtBlock ? times.block : Math.max(times.block, times.now)
  const explained = rules.map((rule): Explained => {
    const stateAtTime = (time: number) => stateOfRule(rule, facts, time, boot)
    const state = stateAtTime(at)
    const until = laterChanges(rule.changes(facts), at).find((time) => stateAtTime(time) !== state)
    return {
      denial: rule.denial,
      reason: reasons[rule.denial],
      state,
      missing: state === 'unknown' ? missingFor(rule.denial, boot) : [],
      until: until ?? null,
    }
  })
  return { explained, at }
}

function contextOf({ tcbStatus = '' }: KnownBoot): RuleContext {
  return { tcbStatus, foreignApps: 'refuse' }
}

function stateOfRule<Facts>(
  rule: BootRule<Facts>,
  facts: Facts,
  at: number,
  boot: KnownBoot,
): ConditionState {
  const holds = rule.holds(facts, at, contextOf(boot))
  if (holds === undefined) return 'not-checked'
  // an unknown image is read as open, so the rule about measurements holds for it
  const isBlind = rule.denial === 'measurementsNotAllowed' && boot.osImageHash === undefined
  if (holds && !isBlind) return 'met'
  return missingFor(rule.denial, boot).length > 0 ? 'unknown' : 'unmet'
}

const neededBy: Readonly<Record<DenialReason, readonly (keyof KnownBoot)[]>> = {
  tcbNotUpToDate: ['tcbStatus'],
  imageNotAllowed: ['osImageHash'],
  measurementNotAllowed: ['mrAggregated'],
  kmsDeviceNotAllowed: ['deviceId'],
  appNotRegistered: [],
  appHasNoCode: [],
  releaseNotAllowed: ['composeHash'],
  deviceNotAllowed: ['deviceId'],
  hostNotRegistered: ['deviceId'],
  measurementsNotAllowed: ['osImageHash', 'mrSystem'],
  appForeign: [],
}

function missingFor(denial: DenialReason, boot: KnownBoot): (keyof KnownBoot)[] {
  const needed = neededBy[denial].filter((name) => boot[name] === undefined)
  // a set that must be approved has its own measurement
  return boot.requiredMrSystem === undefined ? needed : needed.filter((name) => name !== 'mrSystem')
}

function answerOf(conditions: readonly Explained[]): Pick<Moment, 'answer' | 'reason'> {
  const denial = conditions.find(({ state }) => state === 'unmet')
  if (denial !== undefined) return { answer: 'denied', reason: denial.reason }
  const isUnknown = conditions.some(({ state }) => state === 'unknown')
  return { answer: isUnknown ? 'unknown' : 'allowed', reason: '' }
}

function laterChanges(times: readonly number[], at: number): number[] {
  const later = times.filter((time) => time > at && time < noEnd)
  return [...new Set(later)].sort((a, b) => a - b)
}

/** The answer at `times.now` and at each later change; moments with the same answer are joined. */
function timelineOf<Facts>(evaluated: Evaluated<Facts>): Moment[] {
  const { rules, facts, boot, times } = evaluated
  const start = Math.max(times.block, times.now)
  const changes = laterChanges(
    rules.flatMap((rule) => rule.changes(facts)),
    start,
  )
  const momentAt = (from: number, block: number): Moment => {
    const { explained } = explain({ rules, facts, boot, times: { block, now: from } })
    return { from, ...answerOf(explained) }
  }
  const all = [momentAt(start, times.block), ...changes.map((time) => momentAt(time, time))]
  return all.filter(
    ({ answer, reason }, index) =>
      answer !== all[index - 1]?.answer || reason !== all[index - 1]?.reason,
  )
}

function hostConditionsOf(
  host: HostFacts,
  { deviceId }: KnownBoot,
  at: number,
): readonly HostConditionState[] {
  return deviceId === undefined ? [] : hostConditions(host, deviceId, at)
}
