/**
 * `assent log fetch`: copies the release log of a node and checks that the copy continues it. Reads the node and the root
 * key on-chain; writes a folder. Exit code 1 if the node signed a shorter or another log than before.
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { fetchLog } from '../../audit/fetch-log.ts'
import { openLogServer } from '../../audit/log-server.ts'
import { AssentError } from '../../errors/index.ts'
import { headToJson, readAnswer } from '../../kms/log/witness-response.ts'
import { fromHex, toHex } from '../../lib/bytes.ts'
import { isAbsent } from '../../lib/durable-file.ts'
import { readBytes } from '../../lib/files.ts'
import type { ObservedHead } from '../../log-verify/verify.ts'
import type { ArgumentsOf } from '../command.ts'
import type { ExitCode } from '../exit-code.ts'
import { readCount } from '../input/arguments.ts'
import { readKmsUrl } from '../input/kms-url.ts'
import { readRootKeyOf } from '../input/log-demands.ts'
import type { fetch as command } from '../log.ts'
import { unixTime } from '../output/json.ts'
import type { OnDemandContext } from '../session/session.ts'

const headSchema = z.strictObject({
  entries: z.int(),
  chain: z.string(),
  at: unixTime,
  signature: z.string(),
})

export const schema = z.strictObject({
  node: z.string(),
  publicKey: z.string(),
  head: headSchema.describe('as the node signed it now'),
  entries: z.int().describe('in the copy'),
  segments: z.strictObject({ first: z.int(), last: z.int() }),
  bytes: z.int().describe('copied now'),
  resumed: z.int().describe('bytes of the last segment that were there before'),
  continues: z.boolean().describe('the copy continues the log, and contains both heads'),
  problems: z.array(z.strictObject({ code: z.string(), where: z.string(), what: z.string() })),
})

export function exitCode({ continues }: { continues: boolean }): ExitCode {
  return continues ? 0 : 1
}

const mebibyte = 2 ** 20

export async function run(args: ArgumentsOf<typeof command>, context: OnDemandContext) {
  const { output } = context
  const folder = args.out
  const server = openLogServer(readKmsUrl(context, args.node))
  const from = readCount(args.fromSegment, '--from-segment')
  const maxBytes = readCount(args.maxMib, '--max-mib') * mebibyte
  const rootKey = await readRootKeyOf(args.rootKey, context)
  const before = await readLastHead(folder)
  const nonce = toHex(new Uint8Array(randomBytes(32)))
  const answer = await server.head(nonce)
  const { identity, head: sealed } = readAnswer(answer, nonce, fromHex(rootKey, 'root key', 33))
  const head = headToJson(sealed)

  const fetched = await fetchLog(server, {
    folder,
    from,
    maxBytes,
    head: { entries: sealed.entries, publicKey: toHex(identity.publicKey) },
    expected: {
      rootKey,
      node: identity.node,
      heads: before === undefined ? [head] : [before, head],
      fromFirstFile: from > 0,
      continuityOnly: true,
    },
    signal: context.stopSignal(),
    onProgress: (segment, bytes) =>
      output.progress(`segment ${segment}, ${(bytes / mebibyte).toFixed(1)} MiB`),
  })
  const report = fetched.verification.report()
  // the head of a log that was rolled back must not replace the better one
  if (report.holds) await writeFile(join(folder, headFile), `${JSON.stringify(head)}\n`)

  const { first, last, bytes, resumed } = fetched
  output.line(`node        ${identity.node}`)
  output.line(`key         ${toHex(identity.publicKey)}`)
  output.line(`entries     ${report.entries}`)
  output.line(`segments    ${first} to ${last}, ${bytes} bytes copied, ${resumed} were there`)
  for (const { code, where, what } of report.problems) {
    output.line(`${code.padEnd(16)}${where}  ${what}`)
  }
  output.line(
    report.holds
      ? 'The copy continues the log. Its decisions are not checked: assent log verify.'
      : 'The copy does NOT continue the log.',
  )
  return {
    node: identity.node,
    publicKey: toHex(identity.publicKey),
    head,
    entries: report.entries,
    segments: { first, last },
    bytes,
    resumed,
    continues: report.holds,
    problems: [...report.problems],
  }
}

const headFile = 'head.json'
/** Bytes. */
const maxHeadFile = 2 ** 16

/** The head that the last run saw; undefined for a new copy. @throws FILE_UNREADABLE */
async function readLastHead(folder: string): Promise<ObservedHead | undefined> {
  const file = join(folder, headFile)
  const bytes = await readBytes(file, maxHeadFile).catch((error: AssentError) => {
    if (isAbsent(error.cause)) return undefined
    throw error
  })
  if (bytes === undefined) return undefined
  try {
    return headSchema.parse(JSON.parse(bytes.toString('utf8')))
  } catch (cause) {
    throw new AssentError('FILE_UNREADABLE', `${file} contains no head of a log.`, {
      cause,
      facts: { file },
    })
  }
}
