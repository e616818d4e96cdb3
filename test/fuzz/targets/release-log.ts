/** Fuzzing target: the release log, which an auditor gets from anybody. */
import {
  genesisChain,
  headerLine,
  lineDigest,
  nextChain,
  sealLine,
} from '../../../src/kms/log/format.ts'
import { deriveLogKey } from '../../../src/kms/log/key.ts'
import { headToJson } from '../../../src/kms/log/witness-response.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import { verifyLog } from '../../../src/log-verify/verify.ts'
import { mutateJson } from '../mutate.ts'
import { target } from './material.ts'

const logKey = deriveLogKey(new Uint8Array(32).fill(7), 'kms-1')
const rootOfLog = toHex(logKey.identity.rootKey)

/** A log with one entry of each kind that the verifier reads. */
function logLines(): string {
  const at = 1_787_184_000
  const block = { number: '1', hash: `0x${'11'.repeat(32)}`, timestamp: at }
  const subject = { quote: '', boot: { appId: 'ab', advisoryIds: ['x'] }, block, proof: null }
  const start = { entries: 0, chain: genesisChain(logKey.identity) }
  const head = headToJson(logKey.seal({ ...start, at }))
  const lines = [
    { kind: 'self', ...subject },
    { kind: 'evidence', digest: '0x', evidence: { version: 2, chainId: 1, agreement: {} } },
    { kind: 'nodes', nodes: ['gA=='] },
    {
      kind: 'release',
      method: 'GetAppKey',
      ...subject,
      proof: '0x',
      epochs: { write: 1, read: 1 },
    },
    { kind: 'onboarded', caPublicKey: '', k256PublicKey: '', source: subject },
    { kind: 'denial', method: 'GetAppKey', code: 'KMS_BOOT_DENIED', reason: 'x', ...subject },
    { kind: 'archived', segments: 0, entries: 0 },
    { kind: 'peer', node: 'kms-2', publicKey: toHex(logKey.identity.publicKey), head },
  ].map((entry, seq) => JSON.stringify({ seq, at, ...entry }))
  let { chain } = start
  for (const line of lines) chain = nextChain(chain, lineDigest(line))
  const seal = sealLine(logKey.seal({ entries: lines.length, chain, at }))
  return [headerLine(logKey.identity, 0, start), ...lines, seal].join('\n')
}

const seedLog = logLines()

/** Every log gives a report. The hash chain and the seal cover all bytes, so no mutant holds. */
const releaseLogs = target<string, ReturnType<typeof verifyLog>>({
  name: 'release log',
  seeds: [seedLog],
  mutate: (text, random) => {
    const lines = text.split('\n')
    const index = random.below(lines.length)
    return lines.with(index, mutateJson(lines[index] as string, random)).join('\n')
  },
  parse: (text) =>
    verifyLog([{ name: '00000000.log', content: Buffer.from(`${text}\n`) }], {
      rootKey: rootOfLog,
      acceptUnproven: true,
    }),
  doubt: ({ holds, problems }) => {
    if (holds) return 'a log without evidence holds'
    const isBounded = problems.every(({ what, where }) => what.length + where.length < 1_000)
    return isBounded ? undefined : 'a problem with a long text'
  },
  weight: 0.2,
})

export const releaseLogTargets = [releaseLogs]
