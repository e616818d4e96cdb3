/** Explanations of boots and hosts: lines with ✓ and ✗, and their JSON schema. */
import { z } from 'zod'

import { formatDeadline } from '../../chain/governance/format-time.ts'
import type { NextStep } from '../../chain/why/describe-conditions.ts'
import type { BootExplanation, Condition } from '../../chain/why/explain-boot.ts'
import type { HostConditionState } from '../../chain/why/explain-host.ts'
import { type ExitCode, exitCodes } from '../exit-code.ts'
import { colors as pc } from './colors.ts'
import { address, bytes32, unixTime } from './json.ts'
import type { Output } from './output.ts'

const nextStepSchema = z
  .strictObject({
    by: z.enum(['app owner', 'DAO', 'host operator', 'KMS operator', 'anyone']),
    command: z.string().nullable().describe('null: no command helps, see the note'),
    note: z.string().nullable(),
  })
  .nullable()
  .describe('null: nothing has to be done, or nothing can be')

const until = unixTime
  .nullable()
  .describe(
    'unix seconds: first second in which the state changes without a transaction; null: unknown',
  )

/** JSON form of `HostConditionState`. */
export const hostConditionSchema = z.strictObject({
  condition: z.enum([
    'proof-valid',
    'proof-recent',
    'status-accepted',
    'approved',
    'proven-under-approval',
    'bonded',
  ]),
  state: z.enum(['met', 'unmet']),
  found: z.string(),
  until,
  nextStep: nextStepSchema,
})

/** JSON form of `BootExplanation`, the output of `app why` and `kms why`. */
export const explanationSchema = z.strictObject({
  bootOf: z.enum(['app', 'kms']),
  boot: z.strictObject({
    appId: address.optional(),
    composeHash: bytes32.optional(),
    deviceId: bytes32.optional(),
    osImageHash: bytes32.optional(),
    mrAggregated: bytes32.optional(),
    mrSystem: bytes32.optional(),
    requiredMrSystem: bytes32.optional(),
    tcbStatus: z.string().optional(),
  }),
  at: unixTime.describe('unix seconds: time of the conditions'),
  answer: z.enum(['allowed', 'denied', 'unknown']),
  reason: z.string().describe('reason string of the KMS; empty unless the boot is denied'),
  conditions: z.array(
    z.strictObject({
      denial: z.string().describe('name of the reason'),
      reason: z.string(),
      state: z.enum(['met', 'unmet', 'unknown', 'not-checked']),
      missing: z.array(z.string()).describe('missing values'),
      until,
      found: z.string(),
      nextStep: nextStepSchema,
    }),
  ),
  host: z.array(hostConditionSchema),
  timeline: z.array(
    z.strictObject({
      from: unixTime,
      answer: z.enum(['allowed', 'denied', 'unknown']),
      reason: z.string(),
    }),
  ),
  epochs: z.strictObject({ write: z.int(), read: z.int() }).nullable(),
  notes: z.array(z.string()).describe('what was assumed or not verified'),
})

/** 0 allowed, 1 denied, 3 unknown. */
export function exitCodeOfExplanation({ answer }: z.infer<typeof explanationSchema>): ExitCode {
  if (answer === 'unknown') return exitCodes.unknown
  return answer === 'allowed' ? exitCodes.yes : exitCodes.no
}

const marks = {
  met: pc.green('✓'),
  unmet: pc.red('✗'),
  unknown: pc.yellow('?'),
  'not-checked': pc.dim('–'),
}

const answers = {
  allowed: pc.green('Allowed'),
  denied: pc.red('Denied'),
  unknown: pc.yellow('Not decided: values are missing'),
}

/** Prints the answer, every condition with its next step, and the times at which the answer changes. */
export function printExplanation(
  output: Output,
  explained: BootExplanation,
  notes: readonly string[],
): void {
  const { answer, reason, at, conditions, host, timeline, epochs } = explained
  output.heading(`${answers[answer]}${reason === '' ? '' : `: ${reason}`}`)
  for (const note of notes) output.warning(note)
  for (const condition of conditions) {
    printCondition(output, condition, at)
    if (condition.denial === 'hostNotRegistered') printHostConditions(output, host, at)
  }
  if (epochs !== null) {
    const { write, read } = epochs
    output.line(`Keys of epoch ${write}${read === write ? '' : `, reads from epoch ${read}`}.`)
  }
  for (const moment of timeline.slice(1)) {
    const why = moment.reason === '' ? '' : `: ${moment.reason}`
    output.line(`From ${formatDeadline(moment.from, at)}: ${moment.answer}${why}`)
  }
}

function printCondition(output: Output, { state, found, until, nextStep }: Condition, at: number) {
  output.line(`${marks[state]} ${withEnd(found, until, at)}`)
  if (state !== 'met' && state !== 'not-checked') printNextStep(output, nextStep, '  ')
}

/** Prints the conditions of the admission of a host. */
export function printHostConditions(
  output: Output,
  conditions: readonly HostConditionState[],
  at: number,
): void {
  for (const { state, found, until, nextStep } of conditions) {
    output.line(`  ${marks[state]} ${withEnd(found, until, at)}`)
    printNextStep(output, nextStep, '    ')
  }
}

/** The sentence, and until when it holds, unless it says so itself. */
function withEnd(found: string, until: number | null, at: number): string {
  if (until === null) return found
  const end = formatDeadline(until, at)
  return found.includes(end) ? found : `${found} Until ${end}.`
}

function printNextStep(output: Output, nextStep: NextStep | null, indent: string): void {
  if (nextStep === null) return
  const { by, command, note } = nextStep
  if (command !== null) output.line(pc.dim(`${indent}${by}: ${command}`))
  if (note !== null) output.line(pc.dim(`${indent}${note}`))
}
