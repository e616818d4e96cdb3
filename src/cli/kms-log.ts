import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { Command } from 'commander'
import { createPublicClient, http } from 'viem'

import { kmsAuthAbi } from '../chain/abi.ts'
import { toChainError } from '../chain/call.ts'
import { AssentError, isAssentError } from '../errors/index.ts'
import { runCreateLog } from '../kms/main.ts'
import { fromHex, to0x, toHex } from '../lib/bytes.ts'
import {
  type ContractRole,
  contractRoles,
  type PinnedCodeHashes,
} from '../log-verify/contract-storage.ts'
import {
  inOrder,
  type LogExpectations,
  type LogReport,
  LogVerification,
  type ObservedHead,
} from '../log-verify/verify.ts'
import { kmsConfigOption } from './kms-config-option.ts'
import { reportError } from './report.ts'

const help = `
Needs no network and none of the KMS's own code: the files, and the root key that the chain knows
(assent kms log root-key prints it). Files are read once, in little memory.

What it checks: the hash chain over every entry, every seal, that the root vouches for the log's key, that
files follow each other, and of every decision the block header and storage proofs that it names: whether
the contracts' rules over the proven words, at the block and when it was written, give what was given.
Which chain, which KmsAuth and which code the proofs are of must be said (--chain-id, --kms-contract,
--pinned-code): without, proofs of anything count, and the answer names what was not checked.
What only others can know is whether the log is whole: give heads that someone saw of it (--head, an answer
of /log/head), or another node's log (--witness), and each must lie in it.

Exit codes: 0 it holds, 1 it does not, 2 the question was wrong, 3 what was checked holds, and not all was
checked (0 with --accept-unchecked).

Examples:
  assent kms log verify ./log --root-key 02ab… --chain-id 1 --kms-contract 0x… --pinned-code pins.json --agreement 2
  assent kms log verify ./kms-1 --root-key 02ab… --witness ./kms-2 --accept-unchecked --json`

interface LogVerifyFlags {
  rootKey: string
  node?: string
  chainId?: string
  kmsContract?: string
  pinnedCode?: string
  agreement?: string
  maxBlockAge?: string
  acceptUnproven?: true
  acceptUnchecked?: true
  fromCheckpoint?: true
  head: string[]
  witness: string[]
  json?: true
}

const verifyCommand = new Command('verify')
  .description('Re-check a release log offline: chain, signatures, proofs')
  .argument('<folder>', 'the log’s files: 00000000.log and so on')
  .requiredOption('--root-key <hex>', 'secp256k1 root key of the KMS, compressed')
  .option('--node <name>', 'whose log it must be')
  .option('--chain-id <number>', 'chain that every proof must be of')
  .option('--kms-contract <address>', 'KmsAuth that every proof must be of')
  .option('--pinned-code <file>', 'code of the contracts: what assent kms pinned-code prints')
  .option('--agreement <number>', 'how many endpoints must have agreed on each block')
  .option('--max-block-age <seconds>', 'how old a block may have been')
  .option('--accept-unproven', 'let decisions stand that rest on the word of an endpoint')
  .option('--from-checkpoint', 'begin with the first file that is here, whatever came before')
  .option('--accept-unchecked', 'answer 0 although not all of it was checked')
  .option('--head <file>', 'a head that was seen of this log; may be repeated', collect, [])
  .option('--witness <folder>', 'log of a node that watched this one; may be repeated', collect, [])
  .option('--json', 'the report for machines')
  .addHelpText('after', help)
  .action(async (folder: string, options: LogVerifyFlags) => {
    try {
      await verify(folder, options)
    } catch (error) {
      if (!isAssentError(error)) throw error
      // no word about the log: it could not be asked
      reportError(error, options.json === true)
      process.exitCode = 2
    }
  })

async function verify(folder: string, options: LogVerifyFlags): Promise<void> {
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
  if (options.json) console.log(JSON.stringify({ ...report, headsChecked: heads.length }))
  else print(report, heads.length)
  if (!report.holds) process.exitCode = 1
  else if (report.unchecked.length > 0 && !options.acceptUnchecked) process.exitCode = 3
}

/** What the decisions have to meet. */
async function demandsOf(options: LogVerifyFlags): Promise<Partial<LogExpectations>> {
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
    acceptUnproven: options.acceptUnproven === true,
    fromCheckpoint: options.fromCheckpoint === true,
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

function print(report: LogReport, heads: number): void {
  const { node, publicKey, entries, chain, kinds, problems } = report
  const { proven, executed, unproven, denialsProven, denialsUnproven } = report
  console.log(`node        ${node}`)
  console.log(`key         ${publicKey}`)
  console.log(`entries     ${entries}`)
  console.log(`chain       ${chain}`)
  for (const [kind, count] of Object.entries(kinds)) console.log(`  ${kind.padEnd(12)}${count}`)
  console.log(
    `given       ${proven} re-judged, ${executed} on an app’s own word, ${unproven} unproven`,
  )
  console.log(`denied      ${denialsProven} re-judged, ${denialsUnproven} without proof`)
  console.log(`blocks      ${report.oldestBlockSeconds} seconds old at most`)
  console.log(`heads       ${heads} seen by others`)
  for (const { code, where, what } of problems) console.log(`${code.padEnd(16)}${where}  ${what}`)
  for (const what of report.unchecked) console.log(`NOT CHECKED     ${what}`)
  console.log(verdictOf(report))
}

function verdictOf({ holds, unchecked }: LogReport): string {
  if (!holds) return 'The log does NOT hold.'
  return unchecked.length === 0 ? 'The log holds.' : 'All checks that were made passed.'
}

const rootKeyCommand = new Command('root-key')
  .description('Print the root key from the chain for log verify; trusts one endpoint')
  .requiredOption('--rpc-url <url>', 'JSON-RPC endpoint to believe; better your own node')
  .requiredOption('--kms-contract <address>', 'the KmsAuth contract')
  .action(async (options: { rpcUrl: string; kmsContract: string }) => {
    const client = createPublicClient({ transport: http(options.rpcUrl) })
    const address = to0x(fromHex(options.kmsContract, 'KMS contract', 20))
    const [k256Pubkey] = await client
      .readContract({ address, abi: kmsAuthAbi, functionName: 'kmsInfo' })
      .catch((cause: unknown) => {
        throw toChainError(cause, `read kmsInfo of ${address}`)
      })
    if (fromHex(k256Pubkey, 'root key').length !== 33) {
      throw new AssentError(
        'KMS_ROOT_UNANNOUNCED',
        'The chain knows no root key of this KMS yet.',
        {
          facts: { kmsContract: address, found: k256Pubkey },
        },
      )
    }
    console.log(k256Pubkey.slice(2))
  })

export const logCommand = new Command('log')
  .description('The release log: create it, verify it, print its root key')
  .addCommand(
    new Command('create')
      .description('Create the release log of a node that has root keys, and print its key')
      .option(...kmsConfigOption)
      .action(async ({ config }: { config?: string }) => {
        const { node, publicKey, rootKey, rootSignature } = await runCreateLog({
          configFile: config,
        })
        const shown = {
          node,
          publicKey: toHex(publicKey),
          rootKey: toHex(rootKey),
          rootSignature: toHex(rootSignature),
        }
        console.log(JSON.stringify(shown, null, 2))
      }),
  )
  .addCommand(verifyCommand)
  .addCommand(rootKeyCommand)

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}
