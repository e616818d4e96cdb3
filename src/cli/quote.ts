/** `assent quote`: what a TDX quote claims, and whether to believe it. */
import { readFile } from 'node:fs/promises'

import { Command, InvalidArgumentError } from 'commander'
import { AssentError, isAssentError } from '../errors/index.ts'
import { malformedErrors } from '../errors/quote.ts'
import { fromHex } from '../lib/bytes.ts'
import { systemClock } from '../lib/clock.ts'
import { type Collateral, parseCollateral } from '../quote/collateral.ts'
import { describeQuote, describeVerdict } from '../quote/describe.ts'
import { parseQuote } from '../quote/parse.ts'
import { checkPolicy, defaultPolicy, parsePolicy, type QuotePolicy } from '../quote/policy.ts'
import type { Verdict } from '../quote/verdict.ts'
import { verifyQuote } from '../quote/verify.ts'
import { colors as pc } from './colors.ts'
import { reportError } from './report.ts'

/** What `--json` prints for `verify`; scripts decide by `verdict`, people look up `code`. */
export interface VerifyOutput {
  readonly verdict: 'verified' | 'rejected' | 'malformed'
  /** why not; null for a verified quote */
  readonly code: string | null
  readonly message: string | null
  readonly facts: Readonly<Record<string, unknown>>
  /** null where the quote was not believed; set where only the policy refused it */
  readonly status: string | null
  readonly tcbDate: string | null
  readonly advisoryIds: readonly string[]
  readonly [field: string]: unknown
}

const exitCodes = { verified: 0, rejected: 1, malformed: 2 } as const

export const quoteCommand: Command = new Command('quote').description(
  'Look into a TDX quote, and verify it',
)

quoteCommand
  .command('show')
  .description('Show what a quote claims, without verifying it')
  .argument('<file>', 'quote: raw bytes, or hex text')
  .option('--json', 'print one JSON object')
  .action(showQuote)

quoteCommand
  .command('verify')
  .description('Verify a quote. Exit code 0: verified, 1: rejected, 2: malformed or wrong usage')
  .argument('<file>', 'quote: raw bytes, or hex text')
  .requiredOption('--collateral <file>', 'collateral bundle (JSON, QuoteCollateralV3 fields)')
  .option('--at <unix>', 'unix seconds to verify for (now if absent)', readSeconds)
  .option('--root <file>', "root to trust: certificate or public key in DER (Intel's if absent)")
  .option('--policy <policy>', 'none, default, or a JSON file', 'default')
  .option('--json', 'print one JSON object')
  .addHelpText(
    'after',
    '\nexample: assent quote verify quote.bin --collateral bundle.json --at 1787184000',
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
  readonly collateral: string
  readonly at?: number
  readonly root?: string
  readonly policy: string
  readonly json?: boolean
}

async function verifyCommand(file: string, flags: VerifyFlags): Promise<void> {
  const isJson = flags.json === true
  let output: VerifyOutput
  try {
    output = await verifyFiles(file, flags)
  } catch (error) {
    if (!isAssentError(error) || !isMalformed(error)) return fail(error, isJson)
    output = unbelieved('malformed', error)
  }
  process.exitCode = exitCodes[output.verdict]
  console.log(isJson ? JSON.stringify(output, null, 2) : formatVerdict(output))
}

async function verifyFiles(file: string, flags: VerifyFlags): Promise<VerifyOutput> {
  const policy = await readPolicy(flags.policy)
  const collateral = await readCollateral(flags.collateral)
  const root = flags.root === undefined ? 'intel' : new Uint8Array(await read(flags.root))
  const verdict = verifyQuote(await readQuote(file), collateral, {
    at: flags.at ?? systemClock(),
    root,
  })
  return decide(verdict, policy)
}

function decide(verdict: Verdict, policy: QuotePolicy | 'none'): VerifyOutput {
  if (verdict.verdict === 'rejected') return unbelieved('rejected', verdict)
  const proven = { ...describeVerdict(verdict), code: null, message: null, facts: {} }
  if (policy === 'none') return proven
  try {
    checkPolicy(verdict, policy)
    return proven
  } catch (error) {
    if (!isAssentError(error)) throw error
    const { code, message, facts } = error
    return { ...proven, verdict: 'rejected', code, message, facts }
  }
}

function unbelieved(
  verdict: 'rejected' | 'malformed',
  { code, message, facts }: Pick<AssentError, 'code' | 'message' | 'facts'>,
): VerifyOutput {
  return { verdict, code, message, facts, status: null, tcbDate: null, advisoryIds: [] }
}

/** Whether quote or collateral is at fault, and not how the command was used. */
function isMalformed(error: AssentError): boolean {
  return error.code in malformedErrors || error.code === 'HEX_INVALID'
}

/** Failures that say nothing about the quote. */
function fail(error: unknown, json: boolean): void {
  reportError(error, json)
  process.exitCode = 2
}

/** Raw bytes; or hex text, told apart because a raw quote starts with a version and a zero byte. */
async function readQuote(file: string): Promise<Uint8Array> {
  const bytes = await read(file)
  const text = bytes.toString('latin1').trim()
  return /^(?:0x)?[0-9a-fA-F]+$/.test(text) ? fromHex(text, 'quote') : new Uint8Array(bytes)
}

async function readCollateral(file: string): Promise<Collateral> {
  return parseCollateral(await readJson(file, 'QUOTE_COLLATERAL_MALFORMED'))
}

async function readPolicy(value: string): Promise<QuotePolicy | 'none'> {
  if (value === 'none') return value
  return value === 'default' ? defaultPolicy : parsePolicy(await readJson(value, 'POLICY_INVALID'))
}

async function readJson(
  file: string,
  code: 'QUOTE_COLLATERAL_MALFORMED' | 'POLICY_INVALID',
): Promise<unknown> {
  const text = (await read(file)).toString('utf8')
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AssentError(code, `${file} is not JSON.`, { cause, facts: { file } })
  }
}

/** @throws FILE_UNREADABLE */
async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${file}.`, { cause, facts: { file } })
  }
}

function readSeconds(text: string): number {
  if (!/^\d{1,11}$/.test(text)) throw new InvalidArgumentError('Whole unix seconds, please.')
  return Number(text)
}

function formatVerdict({ verdict, code, message, facts, ...fields }: VerifyOutput): string {
  const paint = verdict === 'verified' ? pc.green : pc.red
  const head = code === null ? paint(verdict) : `${paint(verdict)}  ${code}: ${message}`
  const known = Object.entries(fields).filter(([, value]) => value !== null && !isEmpty(value))
  const rest = code === null ? {} : { facts }
  return [head, format({ ...rest, ...Object.fromEntries(known) })].filter(Boolean).join('\n')
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
