/** Logs that nobody wrote with the KMS: wrong types, names of prototypes, and times that do not fit. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import type { Entry } from '../../src/kms/log/entry.ts'
import {
  genesisChain,
  headerLine,
  lineDigest,
  nextChain,
  sealLine,
} from '../../src/kms/log/format.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { headToJson } from '../../src/kms/log/witness-response.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { type LogExpectations, verifyLog } from '../../src/log-verify/verify.ts'
import { begin, newLocation, rootKey } from '../kms/log/log-fixture.ts'

const key = deriveLogKey(rootKey, 'kms-1')
const expected: LogExpectations = { rootKey: toHex(key.identity.rootKey), acceptUnproven: true }
const began = 1_787_184_000

/** A log with these lines as entries, sealed by the key of the log. */
function sealed(lines: readonly string[], at = began) {
  let chain = genesisChain(key.identity)
  const header = headerLine(key.identity, 0, { entries: 0, chain })
  for (const line of lines) chain = nextChain(chain, lineDigest(line))
  const seal = sealLine(key.seal({ entries: lines.length, chain, at }))
  return [header, ...lines, seal]
}

const verify = (lines: readonly string[], more: Partial<LogExpectations> = {}) =>
  verifyLog([{ name: '00000000.log', content: Buffer.from(`${lines.join('\n')}\n`) }], {
    ...expected,
    ...more,
  })
const codes = (lines: readonly string[]) => verify(lines).problems.map(({ code }) => code)

const head = headToJson(key.seal({ entries: 0, chain: genesisChain(key.identity), at: began }))
const block = { number: '1', hash: `0x${'11'.repeat(32)}`, timestamp: began }
const subject = { quote: '', boot: { appId: 'ab', advisoryIds: ['x'] }, block, proof: null }
const entryOf = (fields: object) => JSON.stringify({ seq: 0, at: began, ...fields })
const entries: Record<string, Record<string, unknown>> = {
  release: { kind: 'release', method: 'GetAppKey', ...subject, epochs: { write: 2, read: 1 } },
  onboarded: { kind: 'onboarded', caPublicKey: '', k256PublicKey: '', source: subject },
  denial: {
    kind: 'denial',
    method: 'GetAppKey',
    code: 'KMS_BOOT_DENIED',
    reason: 'x',
    ...subject,
    proof: 'x',
  },
  evidence: { kind: 'evidence', digest: '0x', evidence: {} },
  nodes: { kind: 'nodes', nodes: ['aa'] },
  archived: { kind: 'archived', segments: 0, entries: 0 },
  peer: { kind: 'peer', node: 'kms-2', publicKey: toHex(key.identity.publicKey), head },
}

/** Values that have no text, are no number, or are more than they seem. */
const hostile: readonly unknown[] = [
  { toString: 1, valueOf: 1 },
  null,
  [],
  [[]],
  { length: 3 },
  1e300,
  -1,
  0.5,
  true,
  '__proto__',
  'constructor',
  '',
  'x'.repeat(100_000),
]

/** Every copy of a JSON value in which one member, at any depth, is replaced. */
function* variants(value: unknown): Generator<unknown> {
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) {
    const copy = (replaced: unknown) =>
      Array.isArray(value)
        ? value.with(Number(name), replaced)
        : { ...(value as object), [name]: replaced }
    for (const each of hostile) yield copy(each)
    for (const each of variants(member)) yield copy(each)
  }
}

describe('a made-up log', () => {
  test.each(Object.keys(entries))(
    'with a wrong member in an entry %s gives a bounded report',
    (kind) => {
      for (const variant of variants(JSON.parse(entryOf(entries[kind] as object)))) {
        const lines = sealed([JSON.stringify(variant)])
        const report = verify(lines)

        for (const { what, where } of report.problems) {
          expect(what.length).toBeLessThan(600)
          expect(where.length).toBeLessThan(100)
        }
      }
    },
  )

  test('with a wrong member in its header or in a seal is reported', () => {
    const [header = '', seal = ''] = sealed([])
    for (const variant of variants(JSON.parse(header))) {
      expect(codes([JSON.stringify(variant), seal])).not.toEqual([])
    }
    for (const variant of variants(JSON.parse(seal))) {
      expect(codes([header, JSON.stringify(variant)])).not.toEqual([])
    }
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'with the name %s as a kind, a peer or a digest is reported without an error',
    (name) => {
      const peer = sealed([entryOf({ ...entries.peer, publicKey: name })])
      expect(codes(peer)).toEqual(['ENTRY'])
      const { kinds } = verify(sealed([`{"seq":0,"at":${began},"kind":"${name}"}`]))
      expect(Object.entries(kinds)).toEqual([[name, 1]])
      const evidence = sealed([entryOf({ ...entries.evidence, digest: name })])
      expect(codes(evidence)).toEqual(['PROOF'])
      const release = { ...entries.release, proof: name }
      expect(codes(sealed([entryOf(release)]))).toContain('PROOF')
    },
  )

  test('is compared with malformed observed heads without an error', () => {
    for (const variant of variants({ head })) {
      const { head: observed } = variant as { head: never }
      const report = verify(sealed([]), { heads: [observed] })
      expect(report.problems.map(({ code }) => code)).toEqual(['HEAD_UNSIGNED'])
    }
  })
})

describe('the times of a log', () => {
  const boot = entries.release?.boot
  const self = (number: number) => ({
    kind: 'self',
    quote: '',
    boot,
    block: { ...block, number: String(number), hash: `0x${String(number).padStart(64, '0')}` },
    proof: null,
  })
  const release = (number: number) => ({ ...self(number), kind: 'release', method: 'GetAppKey' })

  /** The problems of a log whose clock shows these times. */
  async function written(steps: readonly (readonly [at: number, entry: object])[]) {
    let now = began
    const location = await newLocation({ clock: () => now })
    const log = await begin(location)
    for (const [at, entry] of steps) {
      now = began + at
      await log.append(entry as Entry)
    }
    await log.close()
    const names = (await readdir(location.folder)).filter((name) => name.endsWith('.log'))
    const files = names.map(async (name) => ({
      name,
      content: await readFile(join(location.folder, name)),
    }))
    const { problems } = verifyLog(await Promise.all(files), expected)
    return problems.map(({ code }) => code)
  }

  test('let a self-authorization count for a minute at other blocks', async () => {
    expect(
      await written([
        [0, self(1)],
        [60, release(2)],
      ]),
    ).toEqual([])
    expect(
      await written([
        [0, self(1)],
        [61, release(2)],
      ]),
    ).toEqual(['NODE_NOT_ALLOWED'])
  })

  test('let no self-authorization of the future count', async () => {
    const found = await written([
      [2 ** 40, self(1)],
      [0, release(2)],
    ])
    expect(found).toContain('NODE_NOT_ALLOWED')
    expect(
      await written([
        [61, self(1)],
        [0, release(2)],
      ]),
    ).toEqual(['NODE_NOT_ALLOWED'])
  })

  test('may go back by 300 seconds in total', async () => {
    const denials = { kind: 'denials', since: 0, counts: {} }
    const at = (...times: number[]) => written(times.map((time) => [time, denials]))

    expect(await at(1_000, 700, 850, 700)).toEqual([])
    expect(await at(1_000, 699)).toEqual(['TIME', 'TIME'])
    expect(await at(1_000, 800, 600)).toEqual(['TIME', 'TIME'])
  })

  test('of entries are not later than their seal', () => {
    const entry = (at: number) => `{"seq":0,"at":${at},"kind":"x"}`

    expect(codes(sealed([entry(began)]))).toEqual([])
    expect(codes(sealed([entry(began + 1)]))).toEqual(['TIME'])
  })
})
