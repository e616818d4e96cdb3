/** `assent log verify` over a large log: how much memory and time it takes, in a process of its own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import {
  genesisChain,
  headerLine,
  lineDigest,
  nextChain,
  sealLine,
} from '../../src/kms/log/format.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { rootKey } from '../kms/log/log-fixture.ts'
import type { VerificationCost } from './large-log-process.ts'

const key = deriveLogKey(rootKey, 'kms-1')
const at = 1_787_184_000
const entriesInSegment = 2_000
/** Each of these entries is followed by trie nodes of its own, as after a change of the chain. */
const entriesBetweenNodes = 20
const entriesInSeal = 100

/** What a node writes: a denial without evidence, or a new trie node of 4 KiB. */
function entryLine(seq: number): string {
  if (seq % entriesBetweenNodes === 0) {
    const node = Buffer.alloc(4_096, `node ${seq} `).toString('base64')
    return JSON.stringify({ seq, at, kind: 'nodes', nodes: [node] })
  }
  const reason = `reason ${seq} `.repeat(16)
  return JSON.stringify({
    seq,
    at,
    kind: 'denial',
    method: 'GetAppKey',
    code: 'KMS_BOOT_DENIED',
    reason,
  })
}

/** Writes a sealed log of this many entries. */
async function writeLog(folder: string, entries: number): Promise<void> {
  let chain = genesisChain(key.identity)
  let head = { entries: 0, chain } as Parameters<typeof headerLine>[2]
  for (let segment = 0; segment * entriesInSegment < entries; segment++) {
    const lines = [headerLine(key.identity, segment, head)]
    const first = segment * entriesInSegment
    for (let seq = first; seq < first + entriesInSegment; seq++) {
      const line = entryLine(seq)
      chain = nextChain(chain, lineDigest(line))
      lines.push(line)
      if ((seq + 1) % entriesInSeal !== 0) continue
      const sealed = key.seal({ entries: seq + 1, chain, at })
      lines.push(sealLine(sealed))
      head = sealed
    }
    const name = `${String(segment).padStart(8, '0')}.log`
    await writeFile(join(folder, name), `${lines.join('\n')}\n`)
  }
}

async function verify(entries: number): Promise<VerificationCost> {
  const folder = await mkdtemp(join(tmpdir(), 'large-log-'))
  try {
    await writeLog(folder, entries)
    const child = fork(new URL('./large-log-process.ts', import.meta.url), [
      folder,
      toHex(key.identity.rootKey),
    ])
    const [cost] = (await once(child, 'message')) as [VerificationCost]
    return cost
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

test('memory of log verify does not grow with the log, and its time grows in proportion', {
  timeout: 120_000,
}, async () => {
  const small = await verify(20_000)
  const large = await verify(200_000)

  expect([small.entries, large.entries]).toEqual([20_000, 200_000])
  // the large log is over 80 MiB longer, half of it trie nodes
  expect((large.maxRss - small.maxRss) / 2 ** 20).toBeLessThan(40)
  // ten times as many entries; time that grows with the square would be a hundred times as long
  expect(large.cpuSeconds).toBeLessThan(25 * small.cpuSeconds)
})
