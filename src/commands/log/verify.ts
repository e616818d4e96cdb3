/**
 * `assent log verify`: verifies a release log from its files. Reads the root key, the contract and its code from the chain,
 * unless `--root-key` is given; sends nothing. Exit code 1 if the log is not valid, 3 if something was not checked.
 */
import { z } from 'zod'
import { listSegments, readSegmentFile, splitLines } from '../../audit/log-lines.ts'
import { type Network, parseNetwork } from '../../chain/consensus/network.ts'
import { publicNetworks } from '../../chain/consensus/networks.ts'
import { AssentError } from '../../errors/index.ts'
import { readBytes } from '../../lib/files.ts'
import {
  type LogExpectations,
  type LogReport,
  LogVerification,
  type ObservedHead,
} from '../../log-verify/verify.ts'
import type { ArgumentsOf } from '../command.ts'
import type { ExitCode } from '../exit-code.ts'
import { readLogDemands, readWholeNumber } from '../input/log-demands.ts'
import { readOpStack } from '../input/op-stack-file.ts'
import type { verify as command } from '../log.ts'
import { unixTime } from '../output/json.ts'
import type { Output } from '../output/output.ts'
import type { OnDemandContext } from '../session/session.ts'

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
  signed: z.int().describe('releases at blocks whose signatures were checked'),
  signedUnchecked: z.int().describe('releases with signatures that were not checked'),
  settled: z.int().describe('releases at L2 blocks whose dispute games were checked'),
  settledUnchecked: z.int().describe('releases with dispute games that were not checked'),
  denialsProven: z.int(),
  denialsUnproven: z.int(),
  oldestBlockSeconds: z.number(),
  problems: z.array(z.strictObject({ code: z.string(), where: z.string(), what: z.string() })),
  unchecked: z.array(z.string()).describe('what was not checked'),
  unprovable: z.array(z.string()).describe('what no log can show'),
  sources: z.array(z.string()).describe('where the values come from that it was compared with'),
  headsChecked: z.int(),
  isAccepted: z.boolean().describe('the log is valid, and what was not checked is accepted'),
})

type VerifyArguments = ArgumentsOf<typeof command>

/**
 * 0: the log is valid and everything was checked, or the rest is accepted. 1: it is not valid. 3: it is valid, but
 * something was not checked.
 */
export function exitCode({ holds, isAccepted }: { holds: boolean; isAccepted: boolean }): ExitCode {
  if (!holds) return 1
  return isAccepted ? 0 : 3
}

export async function run(options: VerifyArguments, context: OnDemandContext) {
  const { folder } = options
  const { sources, ...demands } = await readLogDemands(options, context)
  const { rootKey } = demands
  const heads = await Promise.all(options.head.map(readHead))
  const peerKey = await readPublicKey(folder)
  for (const witness of options.witness) {
    // only the heads that the witness saw are needed, so its unproven decisions are accepted
    const report = await verifyFolder(witness, { rootKey, peerKey, acceptUnproven: true })
    if (!report.holds) {
      throw new AssentError(
        'INPUT_INVALID',
        `The log of the witness in ${witness} is not valid itself.`,
      )
    }
    for (const head of report.peers[peerKey] ?? []) heads.push(head)
  }
  const [quorum, maxBlockAgeSeconds] = [
    readWholeNumber(options.quorum),
    readWholeNumber(options.maxBlockAge),
  ]
  const rollup = options.opStack === undefined ? undefined : await readOpStack(options.opStack)
  const report = await verifyFolder(folder, {
    ...demands,
    heads,
    // heads of other logs are not needed either
    peerKey: '',
    ...(options.node === undefined ? {} : { node: options.node }),
    ...(quorum === undefined ? {} : { quorum }),
    ...(maxBlockAgeSeconds === undefined ? {} : { maxBlockAgeSeconds }),
    ...(rollup === undefined ? {} : { rollup }),
    // validators sign blocks of L1
    ...(await finalityOf(options, rollup?.l1ChainId ?? demands.chainId)),
    acceptUnproven: options.acceptUnproven,
    fromFirstFile: options.fromFirstFile,
  })
  print(context.output, report, { heads: heads.length, sources })
  const isAccepted = report.holds && (report.unchecked.length === 0 || options.acceptUnchecked)
  const { peers: _, ...value } = report
  return { ...value, sources: [...sources], headsChecked: heads.length, isAccepted }
}

/** Without a known network, signatures are not checked. */
async function finalityOf(
  { beaconNetwork, trustedBlockRoot }: VerifyArguments,
  chainId: number | undefined,
): Promise<Pick<LogExpectations, 'finality'>> {
  const roots = trustedBlockRoot.map((root) => root.toLowerCase())
  const wrong = roots.find((root) => !/^0x[0-9a-f]{64}$/.test(root))
  if (wrong !== undefined)
    throw new AssentError('INPUT_INVALID', `${wrong} is not a block root: 0x and 64 digits.`)
  const found =
    beaconNetwork === undefined
      ? Object.values(publicNetworks).find((each) => each.chainId === chainId)
      : await readNetwork(beaconNetwork)
  if (found !== undefined) return { finality: { network: found, trustedBlockRoots: roots } }
  if (roots.length === 0) return {}
  throw new AssentError(
    'INPUT_INVALID',
    'A trusted block root needs --beacon-network or --chain-id.',
  )
}

async function readNetwork(name: string): Promise<Network> {
  if (Object.hasOwn(publicNetworks, name))
    return publicNetworks[name as keyof typeof publicNetworks]
  let value: unknown
  try {
    value = JSON.parse((await readBytes(name)).toString('utf8'))
  } catch (cause) {
    const names = Object.keys(publicNetworks).join(', ')
    throw new AssentError(
      'FILE_UNREADABLE',
      `${name} is none of ${names}, and no file with a network.`,
      { cause },
    )
  }
  return parseNetwork(value)
}

/** One file after the other, a piece at a time. */
async function verifyFolder(folder: string, expected: LogExpectations): Promise<LogReport> {
  const verification = new LogVerification(expected)
  for (const name of await listSegments(folder)) {
    verification.begin(name)
    const lines = splitLines(readSegmentFile(folder, name))
    let next = await lines.next()
    for (; next.done !== true; next = await lines.next()) verification.line(next.value)
    verification.end(next.value)
  }
  return verification.report()
}

/** Whose log it claims to be; empty where it has no header. */
async function readPublicKey(folder: string): Promise<string> {
  const [first] = await listSegments(folder)
  if (first === undefined) return ''
  for await (const header of splitLines(readSegmentFile(folder, first))) {
    try {
      return String(JSON.parse(header.toString('utf8')).publicKey)
    } catch {
      return ''
    }
  }
  return ''
}

/** An answer of `/log/head`, or the head alone. */
async function readHead(file: string): Promise<ObservedHead> {
  try {
    const json = JSON.parse((await readBytes(file)).toString('utf8'))
    const { head } = typeof json.body === 'string' ? JSON.parse(json.body) : { head: json }
    if (!Number.isSafeInteger(head?.entries)) throw new TypeError('not a head')
    return head
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `${file} contains no head of a log.`, { cause })
  }
}

interface Compared {
  /** Number of heads that others saw. */
  readonly heads: number
  readonly sources: readonly string[]
}

function print(output: Output, report: LogReport, { heads, sources }: Compared): void {
  const { node, publicKey, entries, chain, kinds, problems } = report
  const { proven, executed, unproven, denialsProven, denialsUnproven } = report
  output.line(`node        ${node}`)
  output.line(`key         ${publicKey}`)
  output.line(`entries     ${entries}`)
  output.line(`hash chain  ${chain}`)
  for (const [kind, count] of Object.entries(kinds)) output.line(`  ${kind.padEnd(12)}${count}`)
  output.line(
    `released    ${proven} checked again, ${executed} answered by a foreign app, ${unproven} unproven`,
  )
  output.line(`signed      ${signaturesIn(report)}`)
  if (report.settled + report.settledUnchecked > 0) output.line(`L1          ${settledIn(report)}`)
  output.line(`denied      ${denialsProven} checked again, ${denialsUnproven} without proof`)
  output.line(`blocks      ${report.oldestBlockSeconds} seconds old at most`)
  output.line(`heads       ${heads} seen by others`)
  for (const source of sources) output.line(source)
  for (const { code, where, what } of problems) output.line(`${code.padEnd(16)}${where}  ${what}`)
  for (const what of report.unchecked) output.line(`NOT CHECKED     ${what}`)
  for (const what of report.unprovable) output.line(`NOT IN A LOG    ${what}`)
  output.line(verdictOf(report))
}

/** The result for the validators' signatures. */
function signaturesIn({ signed, signedUnchecked, proven, executed }: LogReport): string {
  const without = proven + executed - signed - signedUnchecked
  return `${signed} at blocks with checked signatures of validators, ${signedUnchecked} not checked, ${without} as RPC endpoints say`
}

/** The dispute games that prove L2 blocks. */
function settledIn({ settled, settledUnchecked }: LogReport): string {
  return `${settled} at L2 blocks with checked dispute games, ${settledUnchecked} not checked`
}

function verdictOf({ holds, unchecked }: LogReport): string {
  if (!holds) return 'The log is NOT valid.'
  return unchecked.length === 0 ? 'The log is valid.' : 'All checks that were made passed.'
}
