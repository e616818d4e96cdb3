/** A copy of a release log: taken from a real KMS, continued, and compared with what the node shows later. */
import {
  appendFile,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLogServer } from '../../src/audit/log-server.ts'
import { deriveLogKey } from '../../src/kms/log/key.ts'
import { createReleaseLog } from '../../src/kms/log/log.ts'
import { openNodeLog, type RunningNodeLog } from '../../src/kms/log/node-log.ts'
import { mountLog } from '../../src/kms/log/routes.ts'
import { readAnswer } from '../../src/kms/log/witness-response.ts'
import type { LogLocation } from '../../src/kms/log/writer.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import { assent } from '../commands/run-command.ts'
import { createDeployment, type KmsDeployment } from '../kms/fixture.ts'
import { denial, newLocation } from '../kms/log/log-fixture.ts'

const quiet = createLog({ service: 'kms', level: 'silent' })
const folders: string[] = []

let deployment: KmsDeployment
let kms: RunningKms
let log: RunningNodeLog
let location: LogLocation
let rootKey: string
let written = 0

beforeAll(async () => {
  deployment = await createDeployment()
  const key = deriveLogKey(deployment.keys.k256, 'kms-1')
  rootKey = toHex(key.identity.rootKey)
  location = await newLocation({ key, segmentBytes: 1_500 })
  await createReleaseLog(location)
  log = await openNodeLog({ location, witnesses: 'insecure-none', logger: quiet })
  kms = await deployment.start({ releaseLog: log, logEntries: 'public' })
  await write(20)
})
afterAll(async () => {
  await deployment.close()
  await log.close()
  for (const folder of folders) await rm(folder, { recursive: true })
})

async function write(count: number): Promise<void> {
  for (let index = 0; index < count; index++) await log.append(denial(written++))
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'assent-copy-'))
  folders.push(folder)
  return folder
}

async function json(...args: string[]) {
  const { text, exitCode } = await assent('log', ...args, '--json')
  return { ...JSON.parse(text.split('\n').at(-1) as string), exitCode }
}
const fetch = (out: string, ...more: string[]) =>
  json('fetch', kms.url, '--out', out, '--root-key', rootKey, ...more)
/** Another digit at this place, which the file did not have before. */
const withOtherByte = (content: Buffer, at: number) =>
  content.with(at, content[at] === 0x30 ? 0x31 : 0x30)

const contentOf = async (folder: string) => {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort()
  return Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')))
}
const newest = async (folder: string) =>
  join(
    folder,
    (await readdir(folder))
      .filter((name) => name.endsWith('.log'))
      .sort()
      .at(-1) ?? '',
  )

describe('log fetch', () => {
  test('copies a log of several files, and continues the copy', async () => {
    const folder = await newFolder()
    const first = await fetch(folder)
    expect(first).toMatchObject({ exitCode: 0, node: 'kms-1', continues: true, problems: [] })
    expect(first.segments.last).toBeGreaterThan(2)

    await write(1)
    const next = await fetch(folder)
    expect(next).toMatchObject({ exitCode: 0, entries: first.entries + 1 })
    expect(next.resumed + next.bytes).toBeLessThan(4_000)
    expect(await contentOf(folder)).toEqual(await contentOf(location.folder))
    expect(JSON.parse(await readFile(join(folder, 'head.json'), 'utf8'))).toEqual(next.head)

    expect(await fetch(folder)).toMatchObject({ exitCode: 0, bytes: 0 })
  })

  test('continues after an interruption in the middle of a line', async () => {
    const folder = await newFolder()
    await fetch(folder)
    const file = await newest(folder)
    await truncate(file, (await readFile(file)).length - 77)

    const again = await fetch(folder)
    expect(again).toMatchObject({ exitCode: 0 })
    expect(again.bytes).toBeGreaterThanOrEqual(77)
    expect(await contentOf(folder)).toEqual(await contentOf(location.folder))
  })

  test('is verified and listed afterwards', async () => {
    const folder = await newFolder()
    const { entries } = await fetch(folder)
    const head = ['--head', join(folder, 'head.json')]
    const verified = await json('verify', folder, '--root-key', rootKey, ...head)

    expect(verified).toMatchObject({ exitCode: 3, holds: true, entries, headsChecked: 1 })
    expect(verified.unchecked.join()).not.toContain('entries at the end')
    const { text } = await assent('log', 'list', folder)
    expect(text).toContain(`${written} of ${entries} entries`)
  })

  test('reports a node that signs a head of fewer entries than before', async () => {
    const disk = await newFolder()
    const older = { ...location, folder: join(disk, 'log'), headFile: join(disk, 'head') }
    await cp(location.folder, older.folder, { recursive: true })
    await cp(location.headFile, older.headFile)
    const folder = await newFolder()
    await write(1)
    const { entries } = await fetch(folder)
    const before = await contentOf(folder)
    const olderLog = await openNodeLog({
      location: older,
      witnesses: 'insecure-none',
      logger: quiet,
    })
    const node = await deployment.start({ releaseLog: olderLog, logEntries: 'public' })

    expect(await json('fetch', node.url, '--out', folder, '--root-key', rootKey)).toMatchObject({
      exitCode: 1,
      error: { code: 'LOG_ROLLED_BACK', facts: { copied: entries, shown: entries - 1 } },
    })
    expect(await contentOf(folder)).toEqual(before)
    await node.stop()
    await olderLog.close()
  })

  test('removes what has no seal from the newest file of a copy, and fetches it again', async () => {
    const folder = await newFolder()
    await fetch(folder)
    const file = await newest(folder)
    const before = await readFile(file)
    await appendFile(file, '{"seq":9}\n')
    expect(await fetch(folder)).toMatchObject({ exitCode: 0 })
    expect(await contentOf(folder)).toEqual(await contentOf(location.folder))

    await writeFile(file, withOtherByte(before, before.length - 40))
    await write(1)
    expect(await fetch(folder)).toMatchObject({ exitCode: 0 })
    expect(await contentOf(folder)).toEqual(await contentOf(location.folder))
  })

  test('reports and keeps a file of another log', async () => {
    const folder = await newFolder()
    const file = join(folder, '00000000.log')
    await writeFile(file, '{"log":"another"}\n{"seq":0}\n')

    expect(await fetch(folder)).toMatchObject({ exitCode: 1, continues: false, bytes: 0 })
    expect(await readFile(file, 'utf8')).toBe('{"log":"another"}\n{"seq":0}\n')
  })

  test('reports and keeps an older file that was changed', async () => {
    const folder = await newFolder()
    await fetch(folder)
    const file = join(folder, '00000001.log')
    const changed = withOtherByte(await readFile(file), (await readFile(file)).length - 40)
    await writeFile(file, changed)

    const answer = await fetch(folder)
    expect(answer).toMatchObject({ exitCode: 1, continues: false })
    expect(answer.problems.map(({ code }: { code: string }) => code)).toContain('SEAL')
    expect(await readFile(file)).toEqual(Buffer.from(changed))
  })

  test('compares with the head of the last run', async () => {
    const folder = await newFolder()
    const { head } = await fetch(folder)
    const key = deriveLogKey(deployment.keys.k256, 'kms-1')
    const other = key.seal({ entries: head.entries, chain: new Uint8Array(32), at: head.at })
    const forked = { ...head, chain: toHex(other.chain), signature: toHex(other.signature) }
    await writeFile(join(folder, 'head.json'), JSON.stringify(forked))

    const answer = await fetch(folder)
    expect(answer).toMatchObject({ exitCode: 1, continues: false })
    expect(answer.problems[0]).toMatchObject({ code: 'HEAD_NOT_IN_LOG' })
    expect(JSON.parse(await readFile(join(folder, 'head.json'), 'utf8'))).toEqual(forked)
  })

  test('refuses a node of another root key, and tells outages from wrong usage', async () => {
    const folder = await newFolder()
    const other = toHex(deriveLogKey(new Uint8Array(32).fill(9), 'x').identity.rootKey)
    const failure = async (...args: string[]) => {
      const { error, exitCode } = await json('fetch', ...args, '--out', folder)
      return [error?.code, exitCode]
    }

    expect(await failure(kms.url, '--root-key', other)).toEqual(['KMS_LOG_PEER_INVALID', 1])
    const root = ['--root-key', rootKey]
    expect(await failure('https://127.0.0.1:1', ...root)).toEqual(['KMS_UNREACHABLE', 3])
    expect(await failure('http://127.0.0.1:1', ...root)).toEqual(['USAGE_INVALID', 2])
    expect(await failure(...root)).toEqual(['USAGE_INVALID', 2])
    expect(await failure(kms.url, '--root-key', 'zz')).toEqual(['INPUT_INVALID', 2])
    expect(await failure(kms.url, ...root, '--from-segment', '99')).toEqual(['LOG_CLOSED', 1])
    expect(await failure(kms.url, ...root, '--max-mib', '0')).toEqual(['INPUT_TOO_LARGE', 2])
  })
})

describe('somebody between the auditor and the node', () => {
  /** Gives the answers of the node, but for some segments those of `change`. */
  async function fetchThrough(
    folder: string,
    change: (body: Buffer, status: number) => { status?: number; body: Buffer },
    ...more: string[]
  ) {
    let asked = 0
    const server = createTlsServer(kms.tls, async (request, response) => {
      const { range } = request.headers
      const answer = await kms.app.request(request.url ?? '/', {
        headers: range === undefined ? {} : { range },
      })
      const body = Buffer.from(await answer.arrayBuffer())
      const isSegment = request.url?.startsWith('/log/segments/')
      if (isSegment) asked++
      const sent = isSegment ? change(body, answer.status) : { body }
      response.writeHead(sent.status ?? answer.status, { 'content-length': sent.body.length })
      response.end(sent.body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      const args = ['fetch', url, '--out', folder, '--root-key', rootKey, ...more]
      return { ...(await json(...args)), asked }
    } finally {
      server.close()
      server.closeAllConnections()
    }
  }
  const append = (text: string) => (body: Buffer) => ({
    body: Buffer.concat([body, Buffer.from(text)]),
  })
  const firstSeal = (body: Buffer) => body.indexOf('\n', body.indexOf('\n{"seal"') + 1) + 1
  const invalid = { exitCode: 3, error: { code: 'KMS_ANSWER_INVALID' } }

  test.each<[string, (body: Buffer) => { body: Buffer }]>([
    ['adds a line', append('{"seq":999,"x":1}\n')],
    ['adds half a line', append('{"seq":9')],
    [
      'adds a seal',
      append(`{"seal":999,"chain":"${'0'.repeat(64)}","at":1,"signature":"${'0'.repeat(128)}"}\n`),
    ],
    ['changes a byte', (body) => ({ body: withOtherByte(body, body.length >> 1) as Buffer })],
    ['cuts the answer off', (body) => ({ body: body.subarray(0, -77) })],
    ['sends nothing', () => ({ body: Buffer.alloc(0) })],
    ['sends another file', () => ({ body: Buffer.from('{"log":"x"}\n') })],
    [
      'repeats a part',
      (body) => ({ body: Buffer.concat([body, body.subarray(0, firstSeal(body))]) }),
    ],
  ])('who %s leaves nothing in the copy', async (_, change) => {
    const folder = await newFolder()
    expect(await fetchThrough(folder, change)).toMatchObject(invalid)
    const [kept = ''] = await contentOf(folder)
    expect((await contentOf(location.folder))[0]?.startsWith(kept)).toBe(true)
    expect(kept === '' || kept.endsWith('}\n')).toBe(true)
    expect(await fetch(folder)).toMatchObject({ exitCode: 0 })

    await write(1)
    await fetchThrough(folder, change)
    expect(await fetch(folder)).toMatchObject({ exitCode: 0 })
    expect(await contentOf(folder)).toEqual(await contentOf(location.folder))
  })

  test('who sends empty segments for ever is stopped at the first', async () => {
    const folder = await newFolder()
    const answer = await fetchThrough(folder, () => ({ status: 200, body: Buffer.alloc(0) }))

    expect(answer).toMatchObject({ ...invalid, asked: 1 })
    expect(await readdir(folder)).toEqual([])
  })

  test('who hides a segment does not make the node look rolled back', async () => {
    const folder = await newFolder()
    await fetch(folder)
    await write(1)
    const hide = () => ({ status: 404, body: Buffer.alloc(0) })

    expect(await fetchThrough(folder, hide)).toMatchObject({
      exitCode: 1,
      error: { code: 'LOG_CLOSED' },
    })
    expect(await fetch(folder)).toMatchObject({ exitCode: 0 })
  })
})

describe('a node that answers badly', () => {
  async function serve(listener: Parameters<typeof createServer>[1]) {
    const server = createServer(listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    return { log: openLogServer(`http://127.0.0.1:${port}`), stop: () => server.close() }
  }
  async function read(listener: Parameters<typeof createServer>[1]): Promise<unknown> {
    const { log, stop } = await serve(listener)
    try {
      const part = await log.segment(0, 0)
      for await (const _ of part?.content ?? []);
      return part?.size
    } catch (error) {
      return (error as { code?: string }).code
    } finally {
      stop()
    }
  }

  test('is named as a node, and an answer of another kind is no lie about the log', () => {
    expect(() => readAnswer('{"error":"x"}', 'ab', new Uint8Array(33))).toThrow(
      expect.objectContaining({
        code: 'KMS_ANSWER_INVALID',
        message: 'The KMS node gave no valid head of a log.',
      }),
    )
  })

  test.each<[string, Parameters<typeof createServer>[1], unknown]>([
    ['without a size', (_, response) => response.end('x'.repeat(10)), 10],
    [
      'in pieces without a size',
      (_, response) => {
        response.write('x')
        response.end()
      },
      'KMS_UNREACHABLE',
    ],
    [
      'with an enormous size',
      (_, response) => {
        response.writeHead(200, { 'content-length': String(2 ** 30) })
        response.write('x')
      },
      'KMS_UNREACHABLE',
    ],
    [
      'with less than it said',
      (_, response) => {
        response.writeHead(200, { 'content-length': '10' })
        response.write('x', () => response.destroy())
      },
      'KMS_UNREACHABLE',
    ],
    ['with an empty segment', (_, response) => response.end(), 'KMS_ANSWER_INVALID'],
    ['with an error', (_, response) => response.writeHead(503).end(), 'KMS_UNREACHABLE'],
    ['with nothing there', (_, response) => response.writeHead(404).end(), undefined],
  ])('%s', async (_, listener, expected) => {
    expect(await read(listener)).toBe(expected)
  })

  test('is compared byte by byte if it knows no ranges', async () => {
    const app = new Hono()
    mountLog(app, log, 'public')
    const old = await serve(async (request, response) => {
      const answer = await app.request(`http://node${request.url}`)
      const body = Buffer.from(await answer.arrayBuffer())
      response.writeHead(answer.status, { 'content-length': body.length }).end(body)
    })
    const { fetchLog } = await import('../../src/audit/fetch-log.ts')
    const nonce = '11'.repeat(32)
    const folder = await newFolder()
    const copy = async () => {
      const answer = readAnswer(await old.log.head(nonce), nonce, Buffer.from(rootKey, 'hex'))
      const head = { entries: answer.head.entries, publicKey: toHex(answer.identity.publicKey) }
      const expected = { rootKey, continuityOnly: true }
      return fetchLog(old.log, { folder, from: 0, maxBytes: 2 ** 20, head, expected })
    }
    await copy()
    await write(1)
    await copy()
    expect(await contentOf(folder)).toEqual(await contentOf(location.folder))

    // a byte of the header: nothing before it is sealed
    const file = await newest(folder)
    const content = await readFile(file)
    await write(1)
    const other = content.toString('utf8').replace('{"log"', '{ "log"')
    await writeFile(file, other)
    await expect(copy()).rejects.toMatchObject({ code: 'KMS_ANSWER_INVALID' })
    old.stop()
  })
})

describe('log list', () => {
  const boot = (app: string, device: string) => ({
    appId: app.repeat(40),
    deviceId: device.repeat(64),
    composeHash: 'c'.repeat(64),
  })
  const line = (seq: number, fields: object) =>
    JSON.stringify({ seq, at: 1_787_184_000 + seq, method: 'GetAppKey', ...fields })

  async function made(...lines: string[]): Promise<string> {
    const folder = await newFolder()
    await writeFile(join(folder, '00000000.log'), `{"log":"x"}\n${lines.join('\n')}\n{"seal":1}\n`)
    return folder
  }
  const entries = [
    line(0, { kind: 'self', boot: boot('1', '1') }),
    line(1, { kind: 'release', boot: boot('a', '1') }),
    line(2, { kind: 'denial', code: 'KMS_BOOT_DENIED', reason: 'Why', boot: boot('b', '2') }),
    line(3, { kind: 'peer', node: 'kms-2' }),
    line(4, { kind: 'release', boot: boot('a', '2') }),
  ]
  async function list(...args: string[]): Promise<number[]> {
    const { text } = await assent('log', 'list', await made(...entries), ...args, '--json')
    return text === '' ? [] : text.split('\n').map((row) => JSON.parse(row).seq)
  }

  test.each<[string[], number[]]>([
    [[], [0, 1, 2, 4]],
    [
      ['--kind', 'all'],
      [0, 1, 2, 3, 4],
    ],
    [['--kind', 'denial'], [2]],
    [
      ['--app', '0xAAAAAA'],
      [1, 4],
    ],
    [['--app', 'aa', '--device', '22'], [4]],
    [['--release', 'd'], []],
    [
      ['--since', '1787184001', '--until', '1787184004'],
      [1, 2],
    ],
    [
      ['--limit', '2'],
      [2, 4],
    ],
    [['--limit', '0'], []],
  ])('filters by %j', async (args, expected) => {
    expect(await list(...args)).toEqual(expected)
  })

  test('prints a line for each decision, and says that nothing is verified', async () => {
    const { text } = await assent('log', 'list', await made(...entries), '--limit', '2')

    expect(text.split('\n')).toEqual([
      expect.stringMatching(
        /^ +2 {2}2026-08-20T00:00:02Z {2}denied {4}denial {7}app 0xbbbbbbbbbbbb {2}.* {2}Why$/,
      ),
      expect.stringMatching(/ {2}released {2}release /),
      '2 of 5 entries, 2 older ones are not shown (--limit). Not verified: assent log verify.',
    ])
  })

  test('takes wrong members as absent', async () => {
    const folder = await made(
      line(0, { kind: 'release', boot: 5, at: 1e300, quote: {} }),
      line(1, { kind: '__proto__', boot: null, at: 9e15 }),
    )
    const { text, exitCode } = await assent('log', 'list', folder, '--kind', 'all')

    expect(exitCode).toBe(0)
    expect(text.split('\n')).toHaveLength(3)
  })

  test.each([['not JSON'], ['[]'], ['null']])('is incomplete with the line %s', async (other) => {
    const folder = await made(...entries, other)
    const { text, exitCode } = await assent('log', 'list', folder)

    expect(exitCode).toBe(2)
    expect(text).toContain('4 of 5 entries')
    expect(text).toContain('INPUT_INVALID 1 of 8 lines are no JSON objects')
  })

  test('does not call an empty file a log', async () => {
    const folder = await newFolder()
    await writeFile(join(folder, '00000000.log'), '')

    expect(await assent('log', 'list', folder)).toMatchObject({ exitCode: 2 })
  })

  test('tells wrong input', async () => {
    const failure = async (...args: string[]) => {
      const { error, exitCode } = await json('list', ...args)
      return [error.code, exitCode]
    }
    const folder = await made(...entries)

    expect(await failure(await newFolder())).toEqual(['FILE_UNREADABLE', 2])
    expect(await failure(join(folder, 'gone'))).toEqual(['FILE_UNREADABLE', 2])
    expect(await failure(folder, '--app', 'xyz')).toEqual(['USAGE_INVALID', 2])
    expect(await failure(folder, '--since', 'yesterday')).toEqual(['USAGE_INVALID', 2])
    expect(await failure('https://127.0.0.1:1')).toEqual(['KMS_UNREACHABLE', 3])
  })
})
