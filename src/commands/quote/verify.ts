import { z } from 'zod'
import { AssentError, isAssentError } from '../../errors/index.ts'
import { systemClock } from '../../lib/clock.ts'
import { readBytes, readJson } from '../../lib/files.ts'
import { defaultPolicy, parsePolicy, type QuotePolicy } from '../../quote/policy.ts'
import type { ArgumentsOf } from '../command.ts'
import type { ExitCode } from '../exit-code.ts'
import { colors as pc } from '../output/colors.ts'
import type { Output } from '../output/output.ts'
import type { verify } from '../quote.ts'
import type { Context } from '../session/context.ts'
import { formatFields } from './format-fields.ts'
import { findCases, type QuoteCase, readCollateral, readQuote } from './quote-cases.ts'
import {
  answer,
  createSolidityVerifier,
  createTypeScriptVerifier,
  type Verifier,
  type VerifyOutput,
} from './verify-case.ts'

const verdictFields = {
  case: z.string().optional().describe('name of the case, if several were asked'),
  verdict: z.enum(['verified', 'rejected', 'malformed']),
  code: z.string().nullable().describe('null: verified'),
  message: z.string().nullable(),
  facts: z.record(z.string(), z.unknown()),
  status: z.string().nullable().describe('TCB status; null if the quote was not believed'),
  tcbDate: z.unknown().describe('null if the quote was not believed'),
  advisoryIds: z.array(z.string()),
  verifier: z.enum(['typescript', 'solidity']),
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
])

type Line =
  | (VerifyOutput & { case?: string })
  | { case: string; error: ReturnType<AssentError['toJSON']> }

const codeOfOne = { verified: 0, rejected: 1, malformed: 2 } as const

/** @param lines the answer about one quote, without a name, or about several */
export function exitCode(lines: readonly Line[]): ExitCode {
  const [only] = lines
  if (lines.length === 1 && only !== undefined && 'verdict' in only && only.case === undefined)
    return codeOfOne[only.verdict]
  if (lines.some((line) => 'error' in line)) return 2
  return lines.some((line) => 'verdict' in line && line.verdict !== 'verified') ? 1 : 0
}

export async function* run(
  args: ArgumentsOf<typeof verify>,
  { output }: Context,
): AsyncGenerator<Line> {
  const policy = await readPolicy(args.policy)
  const at = args.at === undefined ? systemClock() : readSeconds(args.at)
  const { cases, isSingle } = await findCases(args.paths, args.collateral)
  const verifier = await createVerifier(args)
  try {
    for (const asked of cases) {
      if (isSingle) {
        const verdict = await answer(verifier, policy, () => readEvidence(asked, at))
        for (const line of formatVerdict(verdict)) output.line(line)
        yield verdict
      } else
        yield await answerOneOfMany(output, asked, () =>
          answer(verifier, policy, () => readEvidence(asked, at)),
        )
    }
  } finally {
    await verifier.close()
  }
}

/** Whatever is wrong with one quote, the others are answered. */
async function answerOneOfMany(
  output: Output,
  { name }: QuoteCase,
  ask: () => Promise<VerifyOutput>,
): Promise<Line> {
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

async function readEvidence({ quote, collateral, at }: QuoteCase, otherwiseAt: number) {
  const bundle = await readCollateral(collateral)
  return { quote: await readQuote(quote), collateral: bundle, at: at ?? otherwiseAt }
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
