/** The answer of the host registry to a quote, as lines and as a JSON value. */
import type { Address } from 'viem'
import { z } from 'zod'
import { formatDeadline } from '../../chain/governance/format-time.ts'
import {
  type AssessedSet,
  assessHost,
  describeSet,
  type HostAssessment,
} from '../../chain/why/assess-host.ts'
import { readCertificates } from '../../lib/files.ts'
import type { HostPccsArguments } from '../host.ts'
import { readUrl } from '../input/arguments.ts'
import { colors as pc } from '../output/colors.ts'
import { unixTime } from '../output/json.ts'
import type { Output } from '../output/output.ts'
import type { Session } from '../session/session.ts'

const setSchema = z.strictObject({
  from: z.enum(['chain', 'pccs']).describe('who has the collateral'),
  status: z.string().nullable().describe('TCB status; null: the quote is rejected'),
  advisories: z.array(z.string()),
  evaluationNumber: z.int().nonnegative().describe('0: the quote is rejected'),
  problems: z.array(z.string()).describe('why the registry would refuse it'),
})

export const assessmentSchema = z.strictObject({
  today: setSchema,
  early: setSchema.nullable().describe('Intel’s early collateral; null: nobody has it'),
  nextStandardAt: unixTime.nullable().describe('when the early number becomes the standard'),
  notes: z.array(z.string()).describe('what could not be asked'),
})

/** @throws USAGE_INVALID, FILE_UNREADABLE, CONFIG_INVALID, CHAIN_UNREACHABLE */
export async function assess(
  session: Session,
  args: HostPccsArguments,
  { hosts, quote }: { readonly hosts: Address; readonly quote: Uint8Array },
): Promise<HostAssessment> {
  const { publicClient, now, output, profile } = session
  const url = args.pccs === undefined ? profile.pccs : readUrl(args.pccs, '--pccs')
  const ca = args.pccsCa === undefined ? undefined : await readCertificates(args.pccsCa)
  output.progress('verifying the quote')
  const pccs = url === undefined ? undefined : { urls: [url], ca }
  return assessHost(publicClient, { hosts, quote, now, pccs })
}

export function printAssessment(output: Output, assessed: HostAssessment, now: number): void {
  output.line(`  today     ${colorSet(assessed.today)}`)
  const { early, nextStandardAt } = assessed
  const date =
    nextStandardAt === null ? '' : `, the standard from ${formatDeadline(nextStandardAt, now)}`
  output.line(`  early     ${early === null ? 'not known' : colorSet(early)}${date}`)
  for (const note of assessed.notes) output.line(pc.dim(`  ${note}`))
}

/** The result for one set of collateral, in colour. */
export function colorSet(set: AssessedSet): string {
  const word = set.problems.length === 0 ? pc.green('accepted') : pc.red('refused')
  return `${word}: ${describeSet(set)}`
}
