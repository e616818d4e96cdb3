/**
 * `assent relayer status`: shows a running relayer: health, role, backlog, balance, host proofs and collateral. Reads
 * /health and /metrics. Exit code 1: it is degraded, or something needs attention.
 */
import { z } from 'zod'

import { formatDeadline, formatDuration } from '../../chain/governance/format-time.ts'
import { AssentError } from '../../errors/index.ts'
import { systemClock } from '../../lib/clock.ts'
import { escapeText } from '../../lib/printable.ts'
import { readMetrics, sampleOf, valuesBy } from '../../lib/prometheus-text.ts'
import { readPage } from '../../relayer/client.ts'
import type { ArgumentsOf } from '../command.ts'
import { type ExitCode, exitCodes } from '../exit-code.ts'
import { readUrl } from '../input/arguments.ts'
import { colors as pc } from '../output/colors.ts'
import { seconds, unixTime } from '../output/json.ts'
import type { Output } from '../output/output.ts'
import type { status as command } from '../relayer.ts'
import type { Context } from '../session/context.ts'

const healthSchema = z.object({
  status: z.enum(['ok', 'degraded']),
  role: z.enum(['sending', 'standby']),
  polledAt: z.number(),
  failure: z.string().nullable(),
})

const counts = z.record(z.string(), z.number())

export const schema = z.strictObject({
  url: z.string(),
  status: z.enum(['ok', 'degraded']),
  role: z.enum(['sending', 'standby']).describe('standby: another replica sends'),
  failure: z.string().nullable().describe('code of the last failure'),
  polledAt: unixTime.describe('last poll of the chain'),
  intents: counts.describe('not final yet, by state'),
  oldestIntent: seconds.describe('age of the oldest of them; 0: there is none'),
  balance: z.number().nullable().describe('ether; null: not known on a standby'),
  runway: seconds.nullable().describe('how long the balance lasts at the rate of the last day'),
  hosts: counts.describe('hosts with an agent, by the state of their proof'),
  nextExpiry: unixTime.nullable().describe('end of the proof that ends first'),
  demoted: z
    .int()
    .nonnegative()
    .describe('hosts that lose their TCB status in the early collateral'),
  nextStandardAt: unixTime.nullable().describe('when the standard number changes'),
  upkeepDue: z.number().nonnegative(),
  problems: z.array(z.string()),
})

type Status = z.infer<typeof schema>

export async function run(args: ArgumentsOf<typeof command>, { output, profile }: Context) {
  const url =
    args.relayerUrl === undefined ? profile.relayer : readUrl(args.relayerUrl, '--relayer-url')
  if (url === undefined) {
    throw new AssentError('USAGE_INVALID', 'The option --relayer-url is missing.', {
      facts: { option: '--relayer-url' },
      hint: 'Pass --relayer-url, or set relayer in a profile of assent.toml.',
    })
  }
  output.progress('asking the relayer')
  const [healthPage, metricsPage] = await Promise.all([
    readPage({ url }, '/health'),
    readPage({ url }, '/metrics'),
  ])
  const value = describe(url, readHealth(healthPage.text), metricsPage.text)
  print(output, value, systemClock())
  return value
}

/** Exit code 1 if it is degraded, or something needs attention. */
export function exitCode({ problems }: Status): ExitCode {
  return problems.length === 0 ? exitCodes.yes : exitCodes.no
}

function readHealth(text: string): z.output<typeof healthSchema> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    json = undefined
  }
  const parsed = healthSchema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new AssentError('RELAYER_ANSWER_INVALID', 'The answer to /health is not that of a relayer.')
}

function describe(url: string, health: z.output<typeof healthSchema>, text: string): Status {
  const metrics = readMetrics(text)
  const gauge = (name: string) => sampleOf(metrics, `assent_relayer_${name}`) ?? 0
  const by = (name: string, label: string) => valuesBy(metrics, `assent_relayer_${name}`, label)
  const isSending = health.role === 'sending'
  const due = Object.values(by('upkeep_due', 'task')).reduce((sum, each) => sum + each, 0)
  const value = {
    url,
    status: health.status,
    role: health.role,
    failure: health.failure === null ? null : escapeText(health.failure.slice(0, 100)),
    polledAt: Math.floor(health.polledAt),
    intents: withoutZeros(by('intents', 'state')),
    oldestIntent: Math.floor(gauge('oldest_unfinal_intent_age_seconds')),
    balance: isSending ? gauge('balance_ether') : null,
    runway: timeOrNull(gauge('balance_runway_seconds')),
    hosts: withoutZeros(by('hosts', 'state')),
    nextExpiry: timeOrNull(gauge('next_expiry_timestamp_seconds')),
    demoted: gauge('demoted_hosts'),
    nextStandardAt: timeOrNull(gauge('next_standard_timestamp_seconds')),
    upkeepDue: due,
  }
  return { ...value, problems: findProblems(value, gauge('nonce_gap')) }
}

function timeOrNull(value: number): number | null {
  return value > 0 && Number.isFinite(value) ? Math.floor(value) : null
}

function withoutZeros(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).filter(([, count]) => count !== 0))
}

/** As `deploy/relayer/alerts.yml`: half an hour without progress, no money. */
const delayedAfter = 1_800

function findProblems(value: Omit<Status, 'problems'>, nonceGap: number): string[] {
  const { status, failure, oldestIntent, balance, hosts } = value
  return [
    status === 'ok' ? [] : [`It is degraded: ${failure ?? 'it does not poll'}.`],
    oldestIntent > delayedAfter
      ? [`An intent has waited for ${formatDuration(oldestIntent)}.`]
      : [],
    balance === 0 ? ['Its account has no ether.'] : [],
    nonceGap > 0 ? [`${nonceGap} nonces are accepted by no node.`] : [],
    hosts.lapsed === undefined ? [] : [`The proofs of ${hosts.lapsed} hosts have ended.`],
  ].flat()
}

function print(output: Output, value: Status, now: number): void {
  const { url, status, role, intents, oldestIntent, balance, hosts, problems } = value
  const color = status === 'ok' ? pc.green : pc.red
  output.heading(`Relayer ${new URL(url).host}: ${color(status)}, ${role}`)
  output.line(`  polled    ${formatDeadline(value.polledAt, now)}`)
  const age = oldestIntent === 0 ? '' : `, the oldest for ${formatDuration(oldestIntent)}`
  output.line(`  intents   ${list(intents)}${age}`)
  if (balance !== null) {
    const runway = value.runway === null ? '' : `, for ${formatDuration(value.runway)}`
    output.line(`  balance   ${balance} ether${runway}`)
  }
  output.line(`  hosts     ${list(hosts)}`)
  if (value.nextExpiry !== null) {
    output.line(`  next end  of a proof: ${formatDeadline(value.nextExpiry, now)}`)
  }
  if (value.demoted > 0) {
    const from =
      value.nextStandardAt === null ? '' : ` from ${formatDeadline(value.nextStandardAt, now)}`
    output.warning(`  ${value.demoted} hosts lose their TCB status${from}: assent host doctor`)
  }
  for (const problem of problems) output.warning(problem)
}

function list(values: Readonly<Record<string, number>>): string {
  const parts = Object.entries(values).map(([name, count]) => `${count} ${name}`)
  return parts.length === 0 ? 'none' : parts.join(', ')
}
