/** The node and the verifier read the same files: what one refuses, the other does, but for what docs/release-log.md says. */
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'
import { systemDisk } from '../../src/kms/log/file-system.ts'
import {
  genesisChain,
  headerLine,
  lineDigest,
  nextChain,
  sealLine,
} from '../../src/kms/log/format.ts'
import { createHeadFile } from '../../src/kms/log/head-file.ts'
import { openReleaseLog } from '../../src/kms/log/log.ts'
import { headToJson } from '../../src/kms/log/witness-response.ts'
import type { LogLocation } from '../../src/kms/log/writer.ts'
import { type Hex, toHex } from '../../src/lib/bytes.ts'
import { type LogFile, type ObservedHead, verifyLog } from '../../src/log-verify/verify.ts'
import { begin, denial, named, newLocation } from '../kms/log/log-fixture.ts'

type Files = Map<string, Buffer>

async function original() {
  const location = await newLocation({ segmentBytes: 1_500 })
  const log = await begin(location)
  for (let index = 0; index < 12; index++) {
    const evidence = {
      digest: `0x${index % 2}`,
      json: '{"a":1}',
      ...named(['0x80', `0x8${index}`.slice(0, 4) as Hex]),
      part: `${index}`,
    }
    await log.append(denial(index), evidence)
  }
  const head = headToJson(log.head())
  await log.close()
  return { location, head, files: await readFiles(location.folder) }
}

async function readFiles(folder: string): Promise<Files> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort()
  const read = names.map(async (name) => [name, await readFile(join(folder, name))] as const)
  return new Map(await Promise.all(read))
}

/** What the node says at its start and of each older file; undefined where it takes them. */
async function nodeRefuses(from: LogLocation, files: Files): Promise<string | undefined> {
  const location = await newLocation({ key: from.key, segmentBytes: 1_500 })
  await mkdir(location.folder, { recursive: true })
  await mkdir(join(location.headFile, '..'), { recursive: true })
  await cp(from.headFile, location.headFile)
  for (const [name, content] of files) await writeFile(join(location.folder, name), content)
  try {
    const log = await openReleaseLog(location)
    try {
      for (let index = 1; index < log.size().segments; index++) await log.scrub()
    } finally {
      await log.close()
    }
    return undefined
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

function verifierRefuses(
  location: LogLocation,
  files: Files,
  heads: readonly ObservedHead[],
): string[] {
  const list: LogFile[] = [...files].map(([name, content]) => ({ name, content }))
  const { problems } = verifyLog(list, { rootKey: toHex(location.key.identity.rootKey), heads })
  // what the entries say is for the verifier alone
  const ofEntries = ['PROOF', 'NOT_GRANTED', 'NOT_DENIED', 'NODE_NOT_ALLOWED', 'UNPROVEN']
  return problems
    .filter(({ code }) => !ofEntries.includes(code))
    .map(({ code, where }) => `${code} ${where}`)
}

/** What the page excepts: the end after the last seal of the newest file, and seals that a later one vouches for. */
function isExcepted(location: LogLocation, files: Files, heads: readonly ObservedHead[]): boolean {
  const newest = [...files.keys()].sort().at(-1) ?? ''
  const lines = split(files.get(newest) ?? Buffer.alloc(0))
  return lines.some((_, index) => {
    const cut = Buffer.concat(lines.slice(0, lines.length - index))
    const copy = new Map(files).set(newest, cut)
    const found = verifierRefuses(location, copy, heads)
    return found.length === 0 || holdsWithoutSeals(location, copy, found, heads)
  })
}

function holdsWithoutSeals(
  location: LogLocation,
  files: Files,
  found: readonly string[],
  heads: readonly ObservedHead[],
): boolean {
  const seals = found.map((each) => /^SEAL (\S+):(\d+)$/.exec(each))
  if (seals.some((seal) => seal === null)) return false
  const without = new Map(files)
  for (const [name, content] of files) {
    const away = new Set(
      seals.filter((seal) => seal?.[1] === name).map((seal) => Number(seal?.[2])),
    )
    without.set(name, Buffer.concat(split(content).filter((_, index) => !away.has(index + 1))))
  }
  return verifierRefuses(location, without, heads).length === 0
}

/** Lines with their line feeds. */
function split(content: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let from = 0
  for (let at = content.indexOf(10); at >= 0; at = content.indexOf(10, from)) {
    lines.push(content.subarray(from, at + 1))
    from = at + 1
  }
  if (from < content.length) lines.push(content.subarray(from))
  return lines
}

function generator(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
}

const changes: ((content: Buffer, next: (below: number) => number) => Buffer)[] = [
  // a byte
  (content, next) => {
    const copy = Buffer.from(content)
    const at = next(copy.length)
    copy[at] = (copy[at] ?? 0) ^ (1 << next(8))
    return copy
  },
  // the end
  (content, next) => content.subarray(0, next(content.length)),
  // a line gone, twice, moved, garbage between
  (content, next) => Buffer.concat(split(content).toSpliced(next(split(content).length), 1)),
  (content, next) => {
    const lines = split(content)
    const line = lines[next(lines.length)] ?? Buffer.alloc(0)
    return Buffer.concat(lines.toSpliced(next(lines.length + 1), 0, line))
  },
  (content, next) => {
    const garbage = ['{"seal":1}\n', '\n', 'x\n', '{"seq":1}\n', '{"seal":\n'][next(5)] ?? ''
    const lines = split(content)
    return Buffer.concat(lines.toSpliced(next(lines.length + 1), 0, Buffer.from(garbage)))
  },
  // another way to write the same
  (content, next) => {
    const lines = split(content)
    const at = next(lines.length)
    const changed = [
      (text: string) => text.replace(/[a-f]/, (digit) => digit.toUpperCase()),
      (text: string) => text.replace('":', '": '),
      (text: string) => text.replace(/"at":(\d+)/, '"at":"$1"'),
      (text: string) => text.replace(/"at":(\d+)/, '"at":$1.0'),
      (text: string) => text.replace(/"signature":"../, '"signature":"00'),
      (text: string) => text.replace(/\}\n$/, ',"more":1}\n'),
      (text: string) => text.replace('\n', '\r\n'),
    ][next(7)] as (text: string) => string
    return Buffer.concat(
      lines.with(at, Buffer.from(changed((lines[at] ?? '').toString('latin1')), 'latin1')),
    )
  },
]

describe('the log verifier and the KMS refuse the same files', () => {
  test('after any change of one byte, line or file', async () => {
    const { location, head, files } = await original()
    expect(files.size).toBeGreaterThan(3)
    expect(await nodeRefuses(location, files)).toBeUndefined()
    expect(verifierRefuses(location, files, [head])).toEqual([])
    const next = generator(20_261_130)
    const seen = { both: 0, neither: 0, excepted: 0 }
    for (let trial = 0; trial < 240; trial++) {
      const copy = new Map(files)
      const name = [...files.keys()][next(files.size)] ?? ''
      const kind = trial % changes.length
      copy.set(name, changes[kind]?.(copy.get(name) ?? Buffer.alloc(0), next) ?? Buffer.alloc(0))
      const node = await nodeRefuses(location, copy)
      const found = verifierRefuses(location, copy, [head])
      const differ = (node !== undefined) !== found.length > 0
      const isFine = !differ || (node === undefined && isExcepted(location, copy, [head]))
      expect(
        isFine,
        `trial ${trial}, ${name}: the node says ${node}, the verifier ${found.join()}`,
      ).toBe(true)
      if (differ) seen.excepted++
      else if (node === undefined) seen.neither++
      else seen.both++
    }

    expect(seen.both).toBeGreaterThan(120)
    expect(seen.excepted).toBeGreaterThan(0)
  }, 120_000)
})

describe('log entries with a valid seal and wrong content', () => {
  /** A file with these lines under a true seal, and the head file to it. */
  async function sealed(lines: readonly (string | Buffer)[], seal = (text: string) => text) {
    const location = await newLocation()
    const { key } = location
    let chain = genesisChain(key.identity)
    for (const line of lines) chain = nextChain(chain, lineDigest(Buffer.from(line as string)))
    const head = key.seal({ entries: lines.length, chain, at: 5 })
    const header = headerLine(key.identity, 0, { entries: 0, chain: genesisChain(key.identity) })
    const parts = [header, ...lines, seal(sealLine(head))].flatMap((line) => [
      Buffer.from(line as string),
      Buffer.from('\n'),
    ])
    await createHeadFile(systemDisk, location.headFile, key, {
      entries: 0,
      chain: genesisChain(key.identity),
    })
    return { location, files: new Map([['00000000.log', Buffer.concat(parts)]]) }
  }
  const good = '{"seq":0,"at":1,"kind":"x"}'

  test.each<[string, (string | Buffer)[], boolean]>([
    ['an entry', [good], true],
    ['its members in another order', ['{"kind":"x","at":1,"seq":0}'], true],
    [
      'an entry with bytes that are no text',
      [
        Buffer.concat([
          Buffer.from('{"seq":0,"kind":"'),
          Buffer.from([0xff, 0xfe]),
          Buffer.from('"}'),
        ]),
      ],
      true,
    ],
    ['another number', ['{"seq":1,"at":1,"kind":"x"}'], false],
    ['a number as text', ['{"seq":"0","at":1,"kind":"x"}'], false],
    ['no kind', ['{"seq":0,"at":1}'], false],
    ['a kind that is a number', ['{"seq":0,"at":1,"kind":7}'], false],
    ['a list', ['[0]'], false],
    ['nothing', [''], false],
    ['null', ['null'], false],
    ['text that is no JSON', ['{"seq":0,"kind":"x"'], false],
    ['the same number twice', [good, good], false],
    ['a seal that is none as an entry', ['{"seal":0,"kind":"x","seq":0}'], false],
    ['a seal after a blank as an entry', [' {"seal":0,"kind":"x","seq":0}'], true],
    ['a byte-order mark', [`\uFEFF${good}`], false],
  ])('%s', async (_, lines, holds) => {
    const { location, files } = await sealed(lines)
    const found = verifierRefuses(location, files, [])

    expect([await nodeRefuses(location, files), found.length > 0]).toEqual([
      holds ? undefined : 'KMS_LOG_BROKEN',
      !holds,
    ])
  })

  test.each<[string, (text: string) => string, boolean]>([
    ['a seal with more members', (text) => text.replace('}', ',"more":1}'), true],
    [
      'a seal with upper-case digits',
      (text) =>
        text.replace(/"signature":"([^"]+)"/, (_, hex) => `"signature":"${hex.toUpperCase()}"`),
      false,
    ],
    ['a seal whose time is text', (text) => text.replace('"at":5', '"at":"5"'), false],
    ['a seal whose time is written otherwise', (text) => text.replace('"at":5', '"at":5.0'), true],
    ['a seal whose number is text', (text) => text.replace('"seal":1', '"seal":"1"'), false],
    ['a seal with a signature that is too long', (text) => text.replace('"}', '00"}'), false],
    ['a seal of another time', (text) => text.replace('"at":5', '"at":6'), false],
  ])('%s', async (_, change, holds) => {
    const { location, files } = await sealed([good], change)
    // without its seal nothing is sealed: the verifier names it, the node drops what follows no seal
    const found = verifierRefuses(location, files, [])
    const node = await openedWith(location, files)

    expect([node, found.length === 0]).toEqual([holds ? 1 : 0, holds])
  })

  async function openedWith(from: LogLocation, files: Files): Promise<number> {
    await mkdir(from.folder, { recursive: true })
    for (const [name, content] of files) await writeFile(join(from.folder, name), content)
    const log = await openReleaseLog(from)
    // one entry says what was dropped
    const { entries } = log.head()
    await log.close()
    const text = await readFile(join(from.folder, '00000000.log'), 'utf8')
    return text.includes('"kind":"recovered"') ? entries - 1 : entries
  }
})
