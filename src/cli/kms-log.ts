import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { Command } from 'commander'

import { AssentError, isAssentError } from '../errors/index.ts'
import {
  type Expected,
  type Head,
  type LogFile,
  type Report,
  verifyLog,
} from '../log-verify/verify.ts'
import { type Pins, type Role, roles } from '../log-verify/words.ts'
import { reportError } from './report.ts'

const help = `
Needs no network and none of the KMS's own code: the files, and the root key that the chain knows
(kmsInfo().k256Pubkey of the KmsAuth contract, 33 bytes).

What it checks: the hash chain over every entry, every seal, that the root vouches for the log's key, that
files follow each other, and of every decision the block header and storage proofs that it names: whether
the contracts' rules over the proven words, at the block and when it was written, give what was given.
What the proven contracts are is their code: pin it (--pinned-code), else any code counts as theirs.
What only others can know is whether the log is whole: give heads that someone saw of it (--head, an answer
of /log/head), or another node's log (--witness), and each must lie in it.

Exit codes: 0 it holds, 1 it does not, 2 the question was wrong.

Examples:
  assent kms log verify ./log --root-key 02ab… --kms-contract 0x… --pinned-code pins.json --agreement 2
  assent kms log verify ./kms-1 --root-key 02ab… --witness ./kms-2 --json`

interface Options {
  rootKey: string
  node?: string
  chainId?: string
  kmsContract?: string
  pinnedCode?: string
  agreement?: string
  maxBlockAge?: string
  acceptUnproven?: true
  head: string[]
  witness: string[]
  json?: true
}

export const verifyCommand = new Command('verify')
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
  .option('--head <file>', 'a head that was seen of this log; may be repeated', collect, [])
  .option('--witness <folder>', 'log of a node that watched this one; may be repeated', collect, [])
  .option('--json', 'the report for machines')
  .addHelpText('after', help)
  .action(async (folder: string, options: Options) => {
    try {
      await verify(folder, options)
    } catch (error) {
      if (!isAssentError(error)) throw error
      // no word about the log: it could not be asked
      reportError(error, options.json === true)
      process.exitCode = 2
    }
  })

async function verify(folder: string, options: Options): Promise<void> {
  const rootKey = options.rootKey.replace(/^0x/, '').toLowerCase()
  if (!/^0[23][0-9a-f]{64}$/.test(rootKey)) {
    throw new AssentError(
      'INPUT_INVALID',
      'The root key is 33 bytes of hex, beginning with 02 or 03.',
    )
  }
  const files = await readLog(folder)
  const heads = await Promise.all(options.head.map(readHead))
  const publicKey = verifyLog(files, { rootKey }).publicKey
  for (const witness of options.witness) {
    // what it decided is not the question here, only what it saw
    const report = verifyLog(await readLog(witness), { rootKey, acceptUnproven: true })
    if (!report.holds) {
      throw new AssentError(
        'INPUT_INVALID',
        `The log of the witness in ${witness} does not hold itself.`,
      )
    }
    heads.push(...(report.peers[publicKey] ?? []))
  }
  const report = verifyLog(files, {
    rootKey,
    heads,
    ...(options.node === undefined ? {} : { node: options.node }),
    ...(options.kmsContract === undefined ? {} : { kmsContract: options.kmsContract }),
    ...(await demandsOf(options)),
  })
  if (options.json) console.log(JSON.stringify({ ...report, headsChecked: heads.length }))
  else print(report, heads.length)
  if (!report.holds) process.exitCode = 1
}

/** What the decisions have to meet. */
async function demandsOf(options: Options): Promise<Partial<Expected>> {
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
  }
}

function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text)
  throw new AssentError('INPUT_INVALID', `${text} is no whole number above zero.`)
}

async function readPins(file: string): Promise<Pins> {
  try {
    const pins = JSON.parse(await readFile(file, 'utf8'))
    const isList = (role: Role) =>
      Array.isArray(pins[role]) &&
      pins[role].every((each: unknown) => /^0x[0-9a-f]{64}$/.test(String(each)))
    if (!roles.every(isList)) throw new TypeError('not pinned code')
    return pins
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `${file} holds no pinned code.`, { cause })
  }
}

async function readLog(folder: string): Promise<LogFile[]> {
  try {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.log'))
    return await Promise.all(
      names.map(async (name) => ({ name, content: await readFile(join(folder, name)) })),
    )
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `Cannot read ${folder}.`, { cause })
  }
}

/** An answer of `/log/head`, or the head alone. */
async function readHead(file: string): Promise<Head> {
  try {
    const json = JSON.parse(await readFile(file, 'utf8'))
    const { head } = typeof json.body === 'string' ? JSON.parse(json.body) : { head: json }
    if (!Number.isSafeInteger(head?.entries)) throw new TypeError('not a head')
    return head
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `${file} holds no head of a log.`, { cause })
  }
}

function print(report: Report, heads: number): void {
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
  console.log(report.holds ? 'The log holds.' : 'The log does NOT hold.')
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}
