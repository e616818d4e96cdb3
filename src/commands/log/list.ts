/** `assent log list`: lists the entries of a release log, from files or from a node. Verifies and sends nothing. */
import { z } from 'zod'
import { listSegments, readSegmentFile, readSegments, splitLines } from '../../audit/log-lines.ts'
import { openLogServer } from '../../audit/log-server.ts'
import { AssentError } from '../../errors/index.ts'
import type { ArgumentsOf } from '../command.ts'
import { readCount, readTime } from '../input/arguments.ts'
import { readKmsUrl } from '../input/kms-url.ts'
import type { list } from '../log.ts'
import { colors as pc } from '../output/colors.ts'
import { unixTime } from '../output/json.ts'
import type { Context } from '../session/context.ts'

const text = z.string().nullable()

export const schema = z.strictObject({
  seq: z.int().describe('number of the entry'),
  at: unixTime.nullable().describe('unix seconds by the clock of the node'),
  kind: z.string(),
  decision: z
    .enum(['released', 'denied', 'allowed'])
    .nullable()
    .describe('allowed: the node itself; null: no decision'),
  method: text,
  app: text,
  device: text,
  release: text.describe('compose hash'),
  image: text,
  reason: text.describe('of a denial'),
  block: text,
  quote: text.describe('SHA-256'),
})

type Row = z.infer<typeof schema>

export async function* run(args: ArgumentsOf<typeof list>, context: Context): AsyncGenerator<Row> {
  const { output } = context
  const matches = readFilter(args)
  const limit = readCount(args.limit, '--limit')
  const newest: Row[] = []
  let dropped = 0
  let entries = 0
  let lines = 0
  let broken = 0
  for await (const content of await segmentsOf(args, context)) {
    for await (const line of splitLines(content)) {
      const members = readMembers(line)
      lines += 1
      if (members === undefined) broken += 1
      const row = members === undefined ? undefined : readRow(members)
      if (row === undefined) continue
      entries += 1
      if (entries % 10_000 === 0) output.progress(`${entries} entries are read`)
      if (!matches(row)) continue
      newest.push(row)
      // rows are dropped in blocks, because each move of a long list takes time
      if (newest.length > 2 * limit + 100) dropped += newest.splice(0, newest.length - limit).length
    }
  }
  dropped += newest.splice(0, Math.max(0, newest.length - limit)).length
  for (const row of newest) {
    output.line(formatRow(row))
    yield row
  }
  const rest = dropped === 0 ? '' : `, ${dropped} older ones are not shown (--limit)`
  output.line(`${newest.length} of ${entries} entries${rest}. Not verified: assent log verify.`)
  if (broken > 0 || lines === 0) throw malformed(args.log, { lines, broken })
}

function malformed(log: string | undefined, facts: { lines: number; broken: number }): AssentError {
  const isFolder = log !== undefined && !isAddress(log)
  const what =
    facts.lines === 0
      ? 'The log has no lines.'
      : `${facts.broken} of ${facts.lines} lines are no JSON objects, so the list has gaps.`
  return new AssentError(isFolder ? 'INPUT_INVALID' : 'KMS_ANSWER_INVALID', what, { facts })
}

function isAddress(log: string): boolean {
  return /^https?:\/\//.test(log)
}

/** The content of each segment. */
async function segmentsOf(
  args: ArgumentsOf<typeof list>,
  context: Context,
): Promise<AsyncIterable<AsyncIterable<Uint8Array>>> {
  const { log } = args
  const isFolder = log !== undefined && !isAddress(log)
  if (!isFolder) {
    const server = openLogServer(readKmsUrl(context, log))
    return readSegments(server, readCount(args.fromSegment, '--from-segment'))
  }
  const names = await listSegments(log)
  if (names.length === 0) {
    throw new AssentError('FILE_UNREADABLE', `${log} has no files of a log (00000000.log).`, {
      facts: { folder: log },
    })
  }
  return (async function* () {
    for (const name of names) yield readSegmentFile(log, name)
  })()
}

/* FILTERS */

function readFilter(args: ArgumentsOf<typeof list>): (row: Row) => boolean {
  const app = readDigits(args.app, '--app', 40)
  const device = readDigits(args.device, '--device', 64)
  const release = readDigits(args.release, '--release', 64)
  const since = args.since === undefined ? 0 : readTime(args.since, '--since')
  const until =
    args.until === undefined ? Number.POSITIVE_INFINITY : readTime(args.until, '--until')
  const { kind } = args
  const isOfKind = (row: Row) =>
    kind === 'all' || (kind === undefined ? row.decision !== null : row.kind === kind)
  return (row) =>
    isOfKind(row) &&
    startsWith(row.app, app) &&
    startsWith(row.device, device) &&
    startsWith(row.release, release) &&
    (row.at ?? 0) >= since &&
    (row.at ?? 0) < until
}

function readDigits(given: string | undefined, option: string, most: number): string {
  if (given === undefined) return ''
  const [, digits] = /^(?:0x)?([0-9a-fA-F]+)$/.exec(given) ?? []
  if (digits !== undefined && digits.length <= most) return digits.toLowerCase()
  throw new AssentError(
    'USAGE_INVALID',
    `${option}: expected up to ${most} hexadecimal digits, found "${given}".`,
    { facts: { argument: option, found: given } },
  )
}

function startsWith(value: string | null, digits: string): boolean {
  return digits === '' || (value?.slice(2).startsWith(digits) ?? false)
}

/* ROWS */

const decisions: Readonly<Record<string, Row['decision']>> = {
  release: 'released',
  handover: 'released',
  certificate: 'released',
  onboarded: 'released',
  denial: 'denied',
  self: 'allowed',
}

/** A line of a log can come from anybody: a member of another type counts as absent. Undefined for headers and seals. */
function readRow(entry: Record<string, unknown>): Row | undefined {
  const seq = wholeNumber(entry.seq)
  if (seq === null || typeof entry.kind !== 'string') return undefined
  const facts = entry.kind === 'onboarded' ? membersOf(entry.source) : entry
  const boot = membersOf(facts.boot)
  return {
    seq,
    at: wholeNumber(entry.at),
    kind: entry.kind,
    decision: (Object.hasOwn(decisions, entry.kind) && decisions[entry.kind]) || null,
    method: textOf(facts.method),
    app: hexOf(boot.appId),
    device: hexOf(boot.deviceId),
    release: hexOf(boot.composeHash),
    image: hexOf(boot.osImageHash),
    reason: textOf(entry.reason) ?? (entry.kind === 'denial' ? textOf(entry.code) : null),
    block: textOf(membersOf(facts.block).number),
    quote: hexOf(facts.quote),
  }
}

/** Undefined if the line is no JSON object. */
function readMembers(line: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function wholeNumber(value: unknown): number | null {
  return Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : null
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value.slice(0, 500) : null
}

function hexOf(value: unknown): string | null {
  return typeof value === 'string' && /^[0-9a-f]{40,64}$/.test(value) ? `0x${value}` : null
}

const paints = { released: pc.green, denied: pc.red, allowed: pc.dim }

/** First digits only, which every command takes. */
function formatRow({ seq, at, kind, decision, app, device, release, reason }: Row): string {
  // a log can state any number; the year 9999 is the last that a date can show
  const isDate = at !== null && at < 253_402_300_800
  const time = isDate ? new Date(at * 1000).toISOString().replace('.000Z', 'Z') : '-'
  const word = (decision ?? '-').padEnd(8)
  const short = (id: string | null) => (id?.slice(0, 14) ?? '-').padEnd(14)
  const columns = [
    String(seq).padStart(8),
    time.padEnd(20),
    decision === null ? word : paints[decision](word),
    kind.padEnd(11),
    `app ${short(app)}`,
    `device ${short(device)}`,
    `release ${short(release)}`,
  ]
  return `${columns.join('  ')}${reason === null ? '' : `  ${reason}`}`
}
