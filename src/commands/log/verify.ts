import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AssentError } from '../../errors/index.ts'
import {
  type ContractRole,
  contractRoles,
  type PinnedCodeHashes,
} from '../../log-verify/contract-storage.ts'
import {
  inOrder,
  type LogExpectations,
  type LogReport,
  LogVerification,
  type ObservedHead,
} from '../../log-verify/verify.ts'
import type { ArgumentsOf } from '../command.ts'
import type { ExitCode } from '../exit-code.ts'
import type { verify as command } from '../log.ts'
import { unixTime } from '../output/json.ts'
import type { Output } from '../output/output.ts'
import type { Context } from '../session/context.ts'

export const schema = z.strictObject({
  holds: z.boolean(),
  node: z.string(),
  publicKey: z.string(),
  entries: z.int(),
  chain: z.string(),
  sealedAt: unixTime,
  kinds: z.record(z.string(), z.int()),
  proven: z.int(),
  executed: z.int(),
  unproven: z.int(),
  denialsProven: z.int(),
  denialsUnproven: z.int(),
  oldestBlockSeconds: z.number(),
  problems: z.array(z.strictObject({ code: z.string(), where: z.string(), what: z.string() })),
  unchecked: z.array(z.string()).describe('what was not checked'),
  headsChecked: z.int(),
  isAccepted: z.boolean().describe('it holds, and what was not checked is accepted'),
})

type VerifyArguments = ArgumentsOf<typeof command>

export function exitCode({ holds, isAccepted }: { holds: boolean; isAccepted: boolean }): ExitCode {
  if (!holds) return 1
  return isAccepted ? 0 : 3
}

export async function run(options: VerifyArguments, { output }: Context) {
  const { folder } = options
  const rootKey = options.rootKey.replace(/^0x/, '').toLowerCase()
  if (!/^0[23][0-9a-f]{64}$/.test(rootKey)) {
    throw new AssentError(
      'INPUT_INVALID',
      'The root key is 33 bytes of hex, beginning with 02 or 03.',
    )
  }
  const heads = await Promise.all(options.head.map(readHead))
  const peerKey = await readPublicKey(folder)
  for (const witness of options.witness) {
    // what it decided is not the question here, only what it saw
    const report = await verifyFolder(witness, { rootKey, peerKey, acceptUnproven: true })
    if (!report.holds) {
      throw new AssentError(
        'INPUT_INVALID',
        `The log of the witness in ${witness} does not hold itself.`,
      )
    }
    for (const head of report.peers[peerKey] ?? []) heads.push(head)
  }
  const report = await verifyFolder(folder, {
    rootKey,
    heads,
    // what it saw of others is not the question either
    peerKey: '',
    ...(options.node === undefined ? {} : { node: options.node }),
    ...(options.kmsContract === undefined ? {} : { kmsContract: options.kmsContract }),
    ...(await demandsOf(options)),
  })
  print(output, report, heads.length)
  const isAccepted = report.holds && (report.unchecked.length === 0 || options.acceptUnchecked)
  const { peers: _, ...value } = report
  return { ...value, headsChecked: heads.length, isAccepted }
}

/** What the decisions have to meet. */
async function demandsOf(options: VerifyArguments): Promise<Partial<LogExpectations>> {
  const [chainId, agreement, maxBlockAgeSeconds] = [
    wholeNumber(options.chainId),
    wholeNumber(options.agreement),
    wholeNumber(options.maxBlockAge),
  ]
  return {
    ...(chainId === undefined ? {} : { chainId }),
    ...(agreement === undefined ? {} : { agreement }),
    ...(maxBlockAgeSeconds === undefined ? {} : { maxBlockAgeSeconds }),
    ...(options.pinnedCode === undefined ? {} : { pins: await readPins(options.pinnedCode) }),
    acceptUnproven: options.acceptUnproven,
    fromCheckpoint: options.fromCheckpoint,
  }
}

function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text)
  throw new AssentError('INPUT_INVALID', `${text} is no whole number above zero.`)
}

async function readPins(file: string): Promise<PinnedCodeHashes> {
  try {
    const pins = JSON.parse(await readFile(file, 'utf8'))
    const isList = (role: ContractRole) =>
      Array.isArray(pins[role]) &&
      pins[role].every((each: unknown) => /^0x[0-9a-f]{64}$/.test(String(each)))
    if (!contractRoles.every(isList)) throw new TypeError('not pinned code')
    return pins
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `${file} holds no pinned code.`, { cause })
  }
}

/** One file after the other, a piece at a time. */
async function verifyFolder(folder: string, expected: LogExpectations): Promise<LogReport> {
  const verification = new LogVerification(expected)
  for (const { name } of await listLog(folder)) {
    verification.begin(name)
    const isCut = await eachLine(join(folder, name), (line) => verification.line(line))
    verification.end(isCut)
  }
  return verification.report()
}

async function listLog(folder: string): Promise<{ name: string }[]> {
  try {
    return inOrder((await readdir(folder)).map((name) => ({ name })))
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${folder}.`, { cause })
  }
}

/** Whose log it claims to be; empty where it has no header. */
async function readPublicKey(folder: string): Promise<string> {
  const [first] = await listLog(folder)
  if (first === undefined) return ''
  let header: Buffer | undefined
  await eachLine(join(folder, first.name), (line) => {
    header ??= line
    return 'enough'
  })
  try {
    return String(JSON.parse(header?.toString('utf8') ?? '').publicKey)
  } catch {
    return ''
  }
}

/** Longer than any line that a node writes. */
const longestLine = 2 ** 24

/** Whether something follows the last line feed. @throws FILE_UNREADABLE */
async function eachLine(path: string, use: (line: Buffer) => unknown): Promise<boolean> {
  let rest: Buffer = Buffer.alloc(0)
  try {
    for await (const part of createReadStream(path, { highWaterMark: 2 ** 18 })) {
      const bytes: Buffer = rest.length === 0 ? part : Buffer.concat([rest, part])
      let from = 0
      for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
        if (use(bytes.subarray(from, at)) === 'enough') return true
        from = at + 1
      }
      rest = bytes.subarray(from)
      if (rest.length > longestLine) throw new RangeError(`a line of over ${longestLine} bytes`)
    }
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${path}.`, { cause })
  }
  return rest.length > 0
}

/** An answer of `/log/head`, or the head alone. */
async function readHead(file: string): Promise<ObservedHead> {
  try {
    const json = JSON.parse(await readFile(file, 'utf8'))
    const { head } = typeof json.body === 'string' ? JSON.parse(json.body) : { head: json }
    if (!Number.isSafeInteger(head?.entries)) throw new TypeError('not a head')
    return head
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `${file} holds no head of a log.`, { cause })
  }
}

function print(output: Output, report: LogReport, heads: number): void {
  const { node, publicKey, entries, chain, kinds, problems } = report
  const { proven, executed, unproven, denialsProven, denialsUnproven } = report
  output.line(`node        ${node}`)
  output.line(`key         ${publicKey}`)
  output.line(`entries     ${entries}`)
  output.line(`chain       ${chain}`)
  for (const [kind, count] of Object.entries(kinds)) output.line(`  ${kind.padEnd(12)}${count}`)
  output.line(
    `given       ${proven} re-judged, ${executed} on an app’s own word, ${unproven} unproven`,
  )
  output.line(`denied      ${denialsProven} re-judged, ${denialsUnproven} without proof`)
  output.line(`blocks      ${report.oldestBlockSeconds} seconds old at most`)
  output.line(`heads       ${heads} seen by others`)
  for (const { code, where, what } of problems) output.line(`${code.padEnd(16)}${where}  ${what}`)
  for (const what of report.unchecked) output.line(`NOT CHECKED     ${what}`)
  output.line(verdictOf(report))
}

function verdictOf({ holds, unchecked }: LogReport): string {
  if (!holds) return 'The log does NOT hold.'
  return unchecked.length === 0 ? 'The log holds.' : 'All checks that were made passed.'
}
