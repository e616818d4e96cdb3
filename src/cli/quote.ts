/** `assent quote`: what a TDX quote claims, and whether to believe it. */
import { Command, InvalidArgumentError } from 'commander'
import { isAssentError } from '../errors/index.ts'
import { systemClock } from '../lib/clock.ts'
import { readBytes, readJson } from '../lib/files.ts'
import { parseQuote } from '../quote/parse.ts'
import { defaultPolicy, parsePolicy, type QuotePolicy } from '../quote/policy.ts'
import { describeQuote } from '../quote/to-json.ts'
import { colors as pc } from './colors.ts'
import { findCases, type QuoteCase, readCollateral, readQuote } from './quote-cases.ts'
import {
  answer,
  createSolidityVerifier,
  createTypeScriptVerifier,
  type Verifier,
  type VerifyOutput,
} from './quote-verify.ts'
import { reportError } from './report.ts'

const exitCodes = { verified: 0, rejected: 1, malformed: 2 } as const

export const quoteCommand: Command = new Command('quote').description(
  'Look into a TDX quote, and verify it',
)

quoteCommand
  .command('show')
  .description('Show what a quote claims, without verifying it')
  .argument(
    '<file>',
    'quote: raw bytes, hex, base64, or the JSON of GetQuote; - for standard input',
  )
  .option('--json', 'print one JSON object')
  .action(showQuote)

quoteCommand
  .command('verify')
  .description('Verify quotes. Exit code 0: verified, 1: rejected, 2: malformed or wrong usage')
  .argument(
    '<paths...>',
    'quotes (raw bytes, hex, base64 or the JSON of GetQuote; - for standard input); folders with quote.bin and collateral.json, or of such folders; ' +
      'lists (.jsonl) of {name, quote, collateral, at}',
  )
  .option('--collateral <file>', 'collateral bundle of a quote (JSON, QuoteCollateralV3 fields)')
  .option('--at <unix>', 'unix seconds to verify for (now if absent)', readSeconds)
  .option('--root <file>', "root to trust: certificate or public key in DER (Intel's if absent)")
  .option('--policy <policy>', 'none, default, or a JSON file', 'default')
  .option('--onchain', 'ask the Solidity verifier, in a chain inside this process')
  .option('--json', 'print one JSON object; of several quotes one line each')
  .addHelpText(
    'after',
    `
examples:
  assent quote verify quote.bin --collateral bundle.json --at 1787184000
  assent quote verify suite/ --root mock-root.der --policy none --at 1768478400 --json --onchain

Of several quotes each has a line, malformed ones count as refused, and exit code 2 means that one could not
be asked about.`,
  )
  .action(verifyCommand)

async function showQuote(file: string, options: { json?: boolean }): Promise<void> {
  try {
    const quote = describeQuote(parseQuote(await readQuote(file)))
    console.log(options.json ? JSON.stringify(quote, null, 2) : format(quote))
  } catch (error) {
    fail(error, options.json === true)
  }
}

interface VerifyFlags {
  readonly collateral?: string
  readonly at?: number
  readonly root?: string
  readonly policy: string
  readonly onchain?: boolean
  readonly json?: boolean
}

async function verifyCommand(paths: readonly string[], flags: VerifyFlags): Promise<void> {
  const isJson = flags.json === true
  let verifier: Verifier | undefined
  try {
    const policy = await readPolicy(flags.policy)
    const { cases, isSingle } = await findCases(paths, flags.collateral)
    verifier = await createVerifier(flags)
    const at = flags.at ?? systemClock()
    if (isSingle) await verifyOne(cases[0] as QuoteCase, verifier, policy, at, isJson)
    else await verifyAll(cases, verifier, policy, at, isJson)
  } catch (error) {
    fail(error, isJson)
  } finally {
    await verifier?.close()
  }
}

async function createVerifier({ root: file, onchain }: VerifyFlags): Promise<Verifier> {
  const root = file === undefined ? 'intel' : new Uint8Array(await readBytes(file))
  return onchain ? await createSolidityVerifier(root) : createTypeScriptVerifier(root)
}

async function verifyOne(
  asked: QuoteCase,
  verifier: Verifier,
  policy: QuotePolicy | 'none',
  at: number,
  isJson: boolean,
): Promise<void> {
  const output = await answer(verifier, policy, () => readEvidence(asked, at))
  process.exitCode = exitCodes[output.verdict]
  console.log(isJson ? JSON.stringify(output, null, 2) : formatVerdict(output))
}

/** One line a quote, in the order asked. Whatever is wrong with one, the others are answered. */
async function verifyAll(
  cases: readonly QuoteCase[],
  verifier: Verifier,
  policy: QuotePolicy | 'none',
  at: number,
  isJson: boolean,
): Promise<void> {
  let exitCode = 0
  for (const asked of cases) {
    try {
      const output = await answer(verifier, policy, () => readEvidence(asked, at))
      if (output.verdict !== 'verified') exitCode = Math.max(exitCode, 1)
      console.log(
        isJson ? JSON.stringify({ case: asked.name, ...output }) : formatLine(asked, output),
      )
    } catch (error) {
      exitCode = 2
      if (!isAssentError(error)) throw error
      const line = { case: asked.name, error: error.toJSON() }
      console.log(
        isJson ? JSON.stringify(line) : `${pc.red('no answer')}  ${asked.name}  ${error.code}`,
      )
    }
  }
  process.exitCode = exitCode
}

async function readEvidence({ quote, collateral, at }: QuoteCase, otherwiseAt: number) {
  const bundle = await readCollateral(collateral)
  return { quote: await readQuote(quote), collateral: bundle, at: at ?? otherwiseAt }
}

/** Failures that say nothing about the quote. */
function fail(error: unknown, json: boolean): void {
  reportError(error, json)
  process.exitCode = 2
}

async function readPolicy(value: string): Promise<QuotePolicy | 'none'> {
  if (value === 'none') return value
  return value === 'default' ? defaultPolicy : parsePolicy(await readJson(value, 'POLICY_INVALID'))
}

function readSeconds(text: string): number {
  if (!/^\d{1,11}$/.test(text)) throw new InvalidArgumentError('Whole unix seconds, please.')
  return Number(text)
}

function formatLine({ name }: QuoteCase, { verdict, status, code }: VerifyOutput): string {
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
}: VerifyOutput): string {
  const paint = verdict === 'verified' ? pc.green : pc.red
  const head = code === null ? paint(verdict) : `${paint(verdict)}  ${code}: ${message}`
  const known = Object.entries(fields).filter(([, value]) => value !== null && !isEmpty(value))
  const rest = code === null ? {} : { facts }
  return [head, format({ verifier, ...rest, ...Object.fromEntries(known) })]
    .filter(Boolean)
    .join('\n')
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0
}

/** One aligned line a field: `report.mrTd  b24d…`. */
function format(value: object): string {
  const lines = flatten(value, '')
  const width = Math.max(0, ...lines.map(([name]) => name.length))
  return lines.map(([name, text]) => `${pc.dim(name.padEnd(width))}  ${text}`).join('\n')
}

function flatten(value: object, prefix: string): [string, string][] {
  return Object.entries(value).flatMap(([key, field]): [string, string][] => {
    const name = prefix === '' ? key : `${prefix}.${key}`
    if (isShortList(field)) return [[name, field.join(', ')]]
    if (typeof field === 'object' && field !== null) return flatten(field, name)
    return [[name, isTime(name, field) ? `${field} (${formatTime(field)})` : String(field)]]
  })
}

function isShortList(value: unknown): value is unknown[] {
  return Array.isArray(value) && value.every((item) => String(item).length <= 32)
}

function isTime(name: string, value: unknown): value is number {
  return typeof value === 'number' && /^at$|expiresAt$|^issuedAt|\.not(?:Before|After)$/.test(name)
}

function formatTime(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString().replace('.000Z', 'Z')
}
