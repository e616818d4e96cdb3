/**
 * `assent quote verify`: verifies quotes by Intel's rules and the quote policy, off-chain or with `--onchain` by the
 * contract in a local chain. Yields one JSON line for each quote. Exit code 0 verified, 1 rejected or malformed, 3 no
 * answer.
 */
import { z } from 'zod'
import { AssentError, isAssentError } from '../../errors/index.ts'
import { systemClock } from '../../lib/clock.ts'
import { readBytes, readJson } from '../../lib/files.ts'
import { defaultPolicy, parsePolicy, type QuotePolicy } from '../../quote/policy.ts'
import type { ArgumentsOf } from '../command.ts'
import { type ExitCode, exitCodeOfError } from '../exit-code.ts'
import { colors as pc } from '../output/colors.ts'
import type { Output } from '../output/output.ts'
import type { verify } from '../quote.ts'
import type { Context } from '../session/context.ts'
import {
  type CollateralFetcher,
  collateralMissing,
  createCollateralFetcher,
  readCollateral,
} from './collateral-of.ts'
import { appSchema } from './describe-app.ts'
import { Comparison, readExpected } from './expectations.ts'
import { formatFields } from './format-fields.ts'
import { type AppDemands, proveEvidence, readDemands } from './prove-question.ts'
import { findCases, type QuoteCase } from './quote-cases.ts'
import { readEvidenceAt } from './read-evidence.ts'
import {
  answer,
  createSolidityVerifier,
  createTypeScriptVerifier,
  type Question,
  type Verifier,
  type VerifyOutput,
} from './verify-case.ts'

const verdictFields = {
  case: z.string().optional().describe('name of the case, if several were asked'),
  verdict: z.enum(['verified', 'rejected', 'malformed']),
  code: z.string().nullable().describe('null: verified'),
  message: z.string().nullable(),
  facts: z.record(z.string(), z.unknown()),
  status: z.string().nullable().describe('TCB status; null if the quote is not genuine'),
  tcbDate: z.unknown().describe('null if the quote is not genuine'),
  advisoryIds: z.array(z.string()),
  verifier: z.enum(['typescript', 'solidity']),
  app: appSchema
    .nullable()
    .describe('of the event log; null: no event log, or the quote is not genuine'),
}

export const schema = z.union([
  z.looseObject(verdictFields),
  z.strictObject({
    case: z.string(),
    error: z.strictObject({
      code: z.string(),
      message: z.string(),
      facts: z.record(z.string(), z.unknown()),
      hint: z.string(),
    }),
  }),
  z
    .strictObject({
      asExpected: z.int(),
      differ: z.int(),
      differing: z.array(z.string()).describe('names of the cases'),
    })
    .describe('the last line, with --expected'),
])

interface Unanswered {
  readonly case: string
  readonly error: ReturnType<AssentError['toJSON']>
}
type Answered = (VerifyOutput & { readonly case?: string }) | Unanswered
type Line = Answered | ReturnType<Comparison['result']>

const codeOfOne = { verified: 0, rejected: 1, malformed: 2 } as const

/** @param lines the answer about one quote, without a name, or about several */
export function exitCode(lines: readonly Line[]): ExitCode {
  const last = lines.at(-1)
  if (last !== undefined && 'differ' in last) return last.differ === 0 ? 0 : 1
  const [only] = lines
  if (lines.length === 1 && only !== undefined && 'verdict' in only && only.case === undefined)
    return codeOfOne[only.verdict]
  const failures = lines.flatMap((line) => (isUnanswered(line) ? [failureOf(line)] : []))
  if (failures.length > 0) return failures.every((code) => code === 3) ? 3 : 2
  return lines.some((line) => 'verdict' in line && line.verdict !== 'verified') ? 1 : 0
}

function failureOf({ error }: Unanswered): ExitCode {
  return exitCodeOfError(error.code)
}

function isUnanswered(line: Line): line is Unanswered {
  return !('verdict' in line) && 'error' in line
}

export async function* run(
  args: ArgumentsOf<typeof verify>,
  { output, profile }: Context,
): AsyncGenerator<Line> {
  const policy = await readPolicy(args.policy)
  const at = args.at === undefined ? systemClock() : readSeconds(args.at)
  const expected = args.expected === undefined ? undefined : await readExpected(args.expected)
  const { cases, isSingle } = await findCases(args.paths, args.collateral)
  const fetcher = await createCollateralFetcher(args, profile.pccs)
  const alone = cases.find(({ collateral }) => collateral === undefined)
  if (alone !== undefined && fetcher === undefined) throw collateralMissing(alone.name)
  const demands = await readDemands(args)
  const verifier = await createVerifier(args)
  const ask = (asked: QuoteCase) =>
    answer(verifier, policy, () => readQuestion(asked, { at, demands, fetcher }))
  try {
    if (isSingle && expected === undefined) {
      const verdict = await ask(cases[0] as QuoteCase)
      for (const line of formatVerdict(verdict)) output.line(line)
      yield verdict
      return
    }
    const comparison = expected && new Comparison(expected, args.policy === 'default')
    for (const [index, asked] of cases.entries()) {
      output.progress(`${index} of ${cases.length} are verified`)
      const line = await answerOneOfMany(output, asked, () => ask(asked))
      comparison?.add(asked.name, isUnanswered(line) ? undefined : line)
      yield line
    }
    if (comparison !== undefined) yield printResult(output, comparison)
  } finally {
    await verifier.close()
  }
}

function printResult(output: Output, comparison: Comparison) {
  const result = comparison.result()
  for (const name of result.differing) output.line(`${pc.red('differs')}  ${name}`)
  output.line(`${result.asExpected} as expected, ${result.differ} differ`)
  return result
}

/** A problem of one quote does not stop the answers for the others. */
async function answerOneOfMany(
  output: Output,
  { name }: QuoteCase,
  ask: () => Promise<VerifyOutput>,
): Promise<Answered> {
  try {
    const verdict = await ask()
    output.line(formatLine(name, verdict))
    return { case: name, ...verdict }
  } catch (error) {
    if (!isAssentError(error)) throw error
    output.line(`${pc.red('no answer')}  ${name}  ${error.code}`)
    return { case: name, error: error.toJSON() }
  }
}

async function createVerifier({
  root: file,
  onchain,
}: Pick<ArgumentsOf<typeof verify>, 'root' | 'onchain'>): Promise<Verifier> {
  const root = file === undefined ? 'intel' : new Uint8Array(await readBytes(file))
  return onchain ? await createSolidityVerifier(root) : createTypeScriptVerifier(root)
}

interface CaseSettings {
  /** Unix seconds, unless the case says otherwise. */
  readonly at: number
  readonly demands: AppDemands
  readonly fetcher: CollateralFetcher | undefined
}

async function readQuestion(asked: QuoteCase, settings: CaseSettings): Promise<Question> {
  const { demands, fetcher } = settings
  const evidence = await readEvidenceAt(asked.quote)
  const collateral =
    asked.collateral === undefined
      ? await fetcher?.(evidence.quote)
      : await readCollateral(asked.collateral)
  if (collateral === undefined) throw collateralMissing(asked.name)
  return {
    input: { quote: evidence.quote, collateral, at: asked.at ?? settings.at },
    proveApp: () => proveEvidence(evidence, demands),
  }
}

async function readPolicy(value: string): Promise<QuotePolicy | 'none'> {
  if (value === 'none') return value
  return value === 'default' ? defaultPolicy : parsePolicy(await readJson(value, 'POLICY_INVALID'))
}

function readSeconds(text: string): number {
  if (/^\d{1,11}$/.test(text)) return Number(text)
  throw new AssentError('USAGE_INVALID', `--at: expected unix seconds, found "${text}".`, {
    facts: { argument: '--at', found: text },
  })
}

function formatLine(name: string, { verdict, status, code }: VerifyOutput): string {
  const paint = verdict === 'verified' ? pc.green : pc.red
  return `${paint(verdict.padEnd(9))}  ${name}  ${code ?? status}`
}

function formatVerdict({
  verdict,
  code,
  message,
  facts,
  verifier,
  ...fields
}: VerifyOutput): string[] {
  const paint = verdict === 'verified' ? pc.green : pc.red
  const head = code === null ? paint(verdict) : `${paint(verdict)}  ${code}: ${message}`
  const known = Object.entries(fields).filter(([, value]) => value !== null && !isEmpty(value))
  const rest = code === null ? {} : { facts }
  return [head, ...formatFields({ verifier, ...rest, ...Object.fromEntries(known) })]
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0
}
