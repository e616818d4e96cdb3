/** Nodes that watch each other: what a node cannot know of itself. */
import { cp, readFile, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { p256 } from '@noble/curves/nist.js'
import { describe, expect, test } from 'vitest'

import { issueRootCa, keyToPem, toPem } from '../../../src/kms/certificates/certificate.ts'
import { kmsConfigSchema } from '../../../src/kms/config.ts'
import type { Entry, LoggedBoot } from '../../../src/kms/log/entry.ts'
import { deriveLogKey } from '../../../src/kms/log/key.ts'
import { createReleaseLog } from '../../../src/kms/log/log.ts'
import {
  type NodeLogOptions,
  openNodeLog,
  type RunningNodeLog,
} from '../../../src/kms/log/node-log.ts'
import { createWitnessClient } from '../../../src/kms/log/peer.ts'
import type { WitnessClient } from '../../../src/kms/log/witness.ts'
import { writeAnswer } from '../../../src/kms/log/witness-response.ts'
import type { LogLocation } from '../../../src/kms/log/writer.ts'
import { serveLog } from '../../../src/kms/workers/log.ts'
import { createLog } from '../../../src/lib/log.ts'
import { denial, failingDisk, newLocation, rootKey } from './log-fixture.ts'

const logger = createLog({ service: 'kms', level: 'silent' })

type Settings = Exclude<NodeLogOptions['witnesses'], 'insecure-none'>

/** Nodes that reach each other by name; what a name means may change. */
class Fleet {
  readonly nodes = new Map<string, RunningNodeLog>()
  now = 1_000

  async start(
    location: LogLocation,
    name: string,
    others: readonly string[],
    changed: Partial<Settings> = {},
    connect = (url: string) => this.peer(url),
  ): Promise<RunningNodeLog> {
    const watch = { urls: others, atLeast: 1, everySeconds: 3600, maxAgeSeconds: 60 }
    const opened = await openNodeLog({
      location,
      witnesses: { ...watch, ...changed },
      logger,
      uptime: () => this.now,
      turnMs: 400,
      connect,
    })
    this.nodes.set(name, opened)
    await opened.askWitnesses()
    return opened
  }

  peer(url: string): WitnessClient {
    const node = () => {
      const found = this.nodes.get(url)
      if (found === undefined) throw new Error('down')
      return found
    }
    return {
      url,
      head: async (nonce) => node().answer(nonce),
      digests: async (from) => node().digests(from),
    }
  }
}

async function location(node: string): Promise<LogLocation> {
  const made = await newLocation({ key: deriveLogKey(rootKey, node) })
  await createReleaseLog(made)
  return made
}

const codeOf = (node: RunningNodeLog) => {
  try {
    node.requireReleasable()
    return 'sound'
  } catch (error) {
    return (error as { code: string }).code
  }
}

/** Two nodes that have seen each other, and what the first one’s disk was like before its last entries. */
async function pair() {
  const fleet = new Fleet()
  const [one, two] = [await location('one'), await location('two')]
  let first = await fleet.start(one, 'one', ['two'])
  const second = await fleet.start(two, 'two', ['one'])
  await first.append(denial(1))
  await second.askWitnesses()
  await first.close()
  const before = await copyOf(one)
  first = await fleet.start(one, 'one', ['two'])
  return { fleet, first, second, one, two, before }
}

async function copyOf(from: LogLocation): Promise<LogLocation> {
  const copy = await newLocation({ key: from.key })
  await cp(from.folder, copy.folder, { recursive: true })
  await cp(from.headFile, copy.headFile)
  return copy
}

describe('witnesses: a watched node', () => {
  test('serves after the first answer of a witness, and while answers are fresh', async () => {
    const { fleet, first, second } = await pair()
    expect([codeOf(first), codeOf(second)]).toEqual(['sound', 'sound'])

    fleet.nodes.delete('two')
    fleet.now += 61
    await first.askWitnesses()
    expect(codeOf(first)).toBe('KMS_LOG_UNWITNESSED')
    fleet.nodes.set('two', second)
    await first.askWitnesses()
    expect(codeOf(first)).toBe('sound')
  })

  test('serves nothing before the first answer', async () => {
    const lonely = await new Fleet().start(await location('one'), 'one', ['two'])

    expect(codeOf(lonely)).toBe('KMS_LOG_UNWITNESSED')
  })

  test('is found to be rolled back, unless its witness was rolled back too', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    await first.close()
    const back = await fleet.start(before, 'one', ['two'])

    expect(codeOf(back)).toBe('KMS_LOG_ROLLED_BACK')
    await back.close()
    await expect(fleet.start(before, 'one', ['two'])).rejects.toMatchObject({
      code: 'KMS_LOG_HALTED',
    })
  })

  test('is found to be new if its log was created again', async () => {
    const { fleet, first } = await pair()
    await first.close()

    expect(codeOf(await fleet.start(await location('one'), 'one', ['two']))).toBe(
      'KMS_LOG_ROLLED_BACK',
    )
  })

  test('is found to be rolled back even if it has more entries now', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    await first.close()
    const lonely = await new Fleet().start(before, 'one', ['nobody'])
    for (let index = 0; index < 20; index++) await lonely.append(denial(100 + index))
    await lonely.close()

    expect(codeOf(await fleet.start(before, 'one', ['two']))).toBe('KMS_LOG_FORKED')
  })

  test('is found to be forked if a copy runs at the same time', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    const copy = await fleet.start(before, 'copy', ['nobody'])
    for (let index = 0; index < 20; index++) await copy.append(denial(100 + index))
    fleet.nodes.set('one', copy)
    await second.askWitnesses()
    expect(second.status().peerFaults).toBe(1)
    fleet.nodes.set('one', first)
    await first.askWitnesses()

    expect(codeOf(first)).toBe('sound')
    const again = await fleet.start(await copyOf(before), 'copy', ['two'])
    expect(codeOf(again)).toMatch(/^KMS_LOG_(ROLLED_BACK|FORKED)$/)
  })

  test('is found to be forked if it asks its own copy', async () => {
    const { fleet, first, before } = await pair()
    await first.append(denial(2))
    const copy = await fleet.start(before, 'copy', ['nobody'])
    await copy.append(denial(3))
    await copy.close()
    fleet.nodes.delete('copy')
    const met = await fleet.start(before, 'copy', ['one'])

    expect(codeOf(met)).toMatch(/^KMS_LOG_(ROLLED_BACK|FORKED)$/)
  })

  test('can ask itself without a finding', async () => {
    const { fleet, one, first } = await pair()
    await first.close()
    const self = await fleet.start(one, 'one', ['one', 'two'])

    expect(codeOf(self)).toBe('sound')
  })
})

describe('witnesses: a lying witness', () => {
  test.each([
    ['says nothing sensible', () => 'hello'],
    ['replays an old answer', (real: string, old: string) => old || real],
    ['changes the body', (real: string) => real.replace('\\"entries\\":', '\\"entries\\":1')],
  ])('that %s does not count', async (_, lie) => {
    const fleet = new Fleet()
    const [one, two] = [await location('one'), await location('two')]
    const honest = await fleet.start(two, 'two', [])
    const old = await honest.answer('00'.repeat(16))
    const node = await openNodeLog({
      location: one,
      witnesses: { urls: ['two'], atLeast: 1, everySeconds: 3600, maxAgeSeconds: 60 },
      logger,
      uptime: () => 0,
      connect: (url) => ({
        url,
        head: async (nonce) => lie(await honest.answer(nonce), old),
        digests: async (from) => honest.digests(from),
      }),
    })
    await node.askWitnesses()

    expect(codeOf(node)).toBe('KMS_LOG_UNWITNESSED')
  })

  test('of another root does not count and cannot stop this node', async () => {
    const fleet = new Fleet()
    const foreign = await newLocation({ key: deriveLogKey(new Uint8Array(32).fill(9), 'two') })
    await createReleaseLog(foreign)
    await fleet.start(foreign, 'two', [])

    expect(codeOf(await fleet.start(await location('one'), 'one', ['two']))).toBe(
      'KMS_LOG_UNWITNESSED',
    )
  })

  test('that claims a longer log without a signature is ignored', async () => {
    const { fleet, first, two, second } = await pair()
    await second.close()
    const path = join(two.folder, 'seen.json')
    const seen = JSON.parse(await readFile(path, 'utf8'))
    seen[0].head.entries += 100
    await writeFile(path, JSON.stringify(seen))
    await fleet.start(two, 'two', [])
    await first.askWitnesses()

    expect(codeOf(first)).toBe('sound')
  })
})

describe('witnesses are counted by signing key', () => {
  async function trio() {
    const fleet = new Fleet()
    const two = await fleet.start(await location('two'), 'two', [])
    const three = await fleet.start(await location('three'), 'three', [])
    return { fleet, two, three }
  }

  test('two replicas count twice, one of them under two addresses once', async () => {
    const { fleet, two, three } = await trio()
    const one = await location('one')
    const node = await fleet.start(one, 'one', ['two', 'three'], { atLeast: 2 })
    expect(codeOf(node)).toBe('sound')
    await node.close()

    fleet.nodes.set('three', two)
    const misled = await fleet.start(one, 'one', ['two', 'three'], { atLeast: 2 })
    expect(codeOf(misled)).toBe('KMS_LOG_UNWITNESSED')
    fleet.nodes.set('three', three)
    await misled.askWitnesses()
    expect(codeOf(misled)).toBe('sound')
  })

  test('a named witness counts under its own name only', async () => {
    const { fleet, two } = await trio()
    const nodes = [{ url: 'three', node: 'three' }]
    fleet.nodes.set('three', two)
    const node = await fleet.start(await location('one'), 'one', [], { nodes })

    expect(codeOf(node)).toBe('KMS_LOG_UNWITNESSED')
    expect(node.status().peerFaults).toBe(0)
  })

  test('a signed longer log is accepted from any node', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    await first.close()
    fleet.nodes.set('three', second)
    const nodes = [{ url: 'three', node: 'three' }]
    const back = await fleet.start(before, 'one', [], { nodes })

    expect(codeOf(back)).toBe('KMS_LOG_ROLLED_BACK')
  })

  test('a witness that was rolled back does not count', async () => {
    const { fleet, first, second, one, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    expect(codeOf(second)).toBe('sound')
    await first.close()
    const back = await openNodeLog({ location: before, witnesses: 'insecure-none', logger })
    fleet.nodes.set('one', back)
    await second.askWitnesses()

    expect(second.status().peerFaults).toBe(1)
    expect(codeOf(second)).toBe('KMS_LOG_UNWITNESSED')
    await back.close()
    await fleet.start(one, 'one', ['two'])
    await second.askWitnesses()
    expect(codeOf(second)).toBe('sound')
  })

  test('an answer with a key that the root did not sign does not count', async () => {
    const { fleet, two } = await trio()
    const liar = deriveLogKey(new Uint8Array(32).fill(9), 'two')
    const { rootKey: ours } = deriveLogKey(rootKey, 'two').identity
    const posing = { ...liar, identity: { ...liar.identity, rootKey: ours } }
    const head = posing.seal({ entries: 0, chain: new Uint8Array(32), at: 1 })
    const peer = {
      ...fleet.peer('two'),
      head: async (nonce: string) => writeAnswer(posing, nonce, { head, seen: [] }),
    }
    const node = await fleet.start(await location('one'), 'one', ['two'], {}, () => peer)

    expect(codeOf(node)).toBe('KMS_LOG_UNWITNESSED')
    await two.close()
  })

  test('a head that its log did not seal does not count', async () => {
    const fleet = new Fleet()
    const key = deriveLogKey(rootKey, 'two')
    const sealed = key.seal({ entries: 0, chain: new Uint8Array(32), at: 1 })
    const peer = {
      ...fleet.peer('two'),
      head: async (nonce: string) =>
        writeAnswer(key, nonce, { head: { ...sealed, at: 2 }, seen: [] }),
    }
    const node = await fleet.start(await location('one'), 'one', ['two'], {}, () => peer)

    expect(codeOf(node)).toBe('KMS_LOG_UNWITNESSED')
  })
})

describe('witnesses: a slow witness', () => {
  test('that never answers delays no other witness', async () => {
    const fleet = new Fleet()
    await fleet.start(await location('two'), 'two', [])
    let asked = 0
    const stuck: WitnessClient = {
      url: 'stuck',
      head: () =>
        new Promise(() => {
          asked++
        }),
      digests: () => new Promise(() => {}),
    }
    const connect = (url: string) => (url === 'stuck' ? stuck : fleet.peer(url))
    const node = await fleet.start(await location('one'), 'one', ['stuck', 'two'], {}, connect)
    for (let round = 0; round < 4; round++) {
      fleet.now += 50
      await node.askWitnesses()
      expect(codeOf(node)).toBe('sound')
    }

    expect(asked).toBe(5)
  })

  test('is not asked again during its question, unlike the others', async () => {
    const fleet = new Fleet()
    const two = await fleet.start(await location('two'), 'two', [])
    const asked = { stuck: 0, two: 0 }
    const connect = (url: string): WitnessClient => ({
      url,
      head: (nonce) => {
        asked[url as 'two']++
        return url === 'two' ? two.answer(nonce) : new Promise(() => {})
      },
      digests: (from) => two.digests(from),
    })
    const watch = { urls: ['stuck', 'two'], atLeast: 1, everySeconds: 3600, maxAgeSeconds: 60 }
    const node = await openNodeLog({
      location: await location('one'),
      witnesses: watch,
      logger,
      uptime: () => fleet.now,
      connect,
      turnMs: 60_000,
    })
    const askAgain = () => {
      void node.askWitnesses()
      return asked.two
    }
    await expect.poll(askAgain, { timeout: 5_000 }).toBeGreaterThan(5)

    expect(asked.stuck).toBe(1)
    expect(codeOf(node)).toBe('sound')
  })

  test.each([
    [
      'drips',
      (response: ServerResponse) => {
        setInterval(() => response.write(' '), 20).unref()
      },
      /took too long|did not answer/,
    ],
    [
      'never ends its answer',
      (response: ServerResponse) => void response.write('{'),
      /did not answer/,
    ],
    [
      'says too much',
      (response: ServerResponse) => void response.end(Buffer.alloc(2 ** 20, 'a')),
      /did not answer/,
    ],
  ])('over HTTPS is cut off if it %s', async (_, behave, message) => {
    const { server, url } = await listen((response) => behave(response))
    const began = performance.now()
    const peer = createWitnessClient(url, 300)

    await expect(peer.head('00'.repeat(16))).rejects.toMatchObject({
      code: 'KMS_UNREACHABLE',
      message: expect.stringMatching(message),
    })
    await expect(peer.digests(0)).rejects.toMatchObject({ code: 'KMS_UNREACHABLE' })
    expect(performance.now() - began).toBeLessThan(3_000)
    server.closeAllConnections()
    server.close()
  })

  test('with many entries is followed over several rounds', async () => {
    const fleet = new Fleet()
    const two = await fleet.start(await location('two'), 'two', [])
    let pages = 0
    const connect = (url: string): WitnessClient => ({
      url,
      head: (nonce) => two.answer(nonce),
      digests: async (from) => {
        pages++
        await new Promise((resolve) => setTimeout(resolve, 30))
        return (await two.digests(from)).slice(0, 32)
      },
    })
    const node = await fleet.start(await location('one'), 'one', ['two'], {}, connect)
    for (let index = 0; index < 40; index++) await two.append(denial(index))
    fleet.now += 61
    await node.askWitnesses()
    expect(codeOf(node)).toBe('KMS_LOG_UNWITNESSED')
    for (let round = 0; round < 8 && codeOf(node) !== 'sound'; round++) await node.askWitnesses()

    expect(codeOf(node)).toBe('sound')
    expect(node.status().peerFaults).toBe(0)
    expect(pages).toBeLessThan(60)
  })
})

describe('witnesses: after a rollback was detected', () => {
  test('no process appends anything', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    await first.close()
    const back = await fleet.start(before, 'one', ['two'])
    const worker = serveLog(back)
    const { entries } = back.status()
    for (const entry of [release, handover('aa'), denial(3)]) {
      await expect(back.append(entry)).rejects.toMatchObject({ code: 'KMS_LOG_ROLLED_BACK' })
      await expect(
        (worker.append as (_: unknown) => Promise<unknown>)({ entry }),
      ).rejects.toMatchObject({
        code: 'KMS_LOG_ROLLED_BACK',
      })
    }

    expect(back.status()).toMatchObject({ entries, halted: true })
  })

  test('waiting entries are not acknowledged', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    await first.close()
    let release: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const disk = failingDisk(async (operation, path) => {
      if (operation === 'sync' && path.endsWith('.log')) await gate
    })
    const back = await fleet.start({ ...before, disk }, 'one', ['nobody'])
    const waiting = [back.append(denial(8)), back.append(denial(9))].map((one) =>
      one.then(
        () => 'written',
        (error) => error.code,
      ),
    )
    fleet.nodes.set('nobody', second)
    await back.askWitnesses()
    release()

    expect(await Promise.all(waiting)).toEqual(['KMS_LOG_ROLLED_BACK', 'KMS_LOG_ROLLED_BACK'])
  })
})

describe('witnesses: before enough of them exist', () => {
  const nodes = [
    { url: 'two', node: 'two', device: 'aa' },
    { url: 'three', node: 'three' },
  ]

  test('root keys are sent only to the host of a named witness', async () => {
    const fleet = new Fleet()
    const node = await fleet.start(await location('one'), 'one', [], { nodes })
    expect(node.status()).toMatchObject({ expectedDevices: ['aa'], witnessed: false })
    await node.append(handover('aa'))

    for (const entry of [handover('bb'), release, certificate]) {
      await expect(node.append(entry)).rejects.toMatchObject({ code: 'KMS_LOG_UNWITNESSED' })
    }
    expect(() => node.requireReleasable({ device: 'aa' })).not.toThrow()
    expect(() => node.requireReleasable({ device: 'bb' })).toThrow()
    expect(() => node.requireReleasable('caller-unknown')).not.toThrow()
    expect(node.status().entries).toBe(1)
  })

  test('root keys are not sent again after that witness answered', async () => {
    const fleet = new Fleet()
    const two = await fleet.start(await location('two'), 'two', [])
    const node = await fleet.start(await location('one'), 'one', [], { nodes })
    expect(codeOf(node)).toBe('sound')
    await two.close()
    fleet.nodes.delete('two')
    fleet.now += 61

    await expect(node.append(handover('aa'))).rejects.toMatchObject({ code: 'KMS_LOG_UNWITNESSED' })
    expect(() => node.requireReleasable('caller-unknown')).toThrow()
    await node.close()
  })

  test('a node that was rolled back to its start sends root keys to no other host', async () => {
    const fleet = new Fleet()
    const one = await location('one')
    const beginning = await copyOf(one)
    await fleet.start(await location('two'), 'two', [])
    const node = await fleet.start(one, 'one', [], { nodes })
    await node.append(release)
    await node.close()
    fleet.nodes.delete('two')
    const back = await fleet.start(beginning, 'one', [], { nodes })

    await expect(back.append(handover('bb'))).rejects.toMatchObject({ code: 'KMS_LOG_UNWITNESSED' })
    await expect(back.append(release)).rejects.toMatchObject({ code: 'KMS_LOG_UNWITNESSED' })
  })

  test('root keys are not sent after a rollback was found', async () => {
    const { fleet, first, second, before } = await pair()
    await first.append(denial(2))
    await second.askWitnesses()
    await first.close()
    const back = await fleet.start(before, 'one', ['two'], {
      nodes: nodes.slice(0, 1).map((each) => ({ ...each, node: 'four' })),
    })

    await expect(back.append(handover('aa'))).rejects.toMatchObject({ code: 'KMS_LOG_ROLLED_BACK' })
  })
})

describe('witnesses: settings', () => {
  const log = { folder: '/log', node: 'one', entries: 'private' }
  const named = { url: 'https://two:8000', node: 'two' }
  const issuesOf = (witnesses: unknown) => {
    const parsed = kmsConfigSchema.shape.releaseLog.safeParse({ ...log, witnesses })
    return parsed.success ? [] : [JSON.stringify(parsed.error.issues)]
  }

  test.each([
    { nodes: [named], atLeast: 1 },
    { nodes: [{ ...named, device: 'ab'.repeat(32) }], urls: ['https://three:8000'], atLeast: 2 },
    { nodes: [{ ...named, device: `0x${'ab'.repeat(32)}` }], atLeast: 1 },
    { urls: ['https://two:8000'], atLeast: 1 },
  ])('%j', (witnesses) => {
    expect(issuesOf(witnesses)).toEqual([])
  })

  test.each([
    [{ atLeast: 1 }, 'larger than the number of witnesses'],
    [{ nodes: [named], atLeast: 2 }, 'larger than the number of witnesses'],
    [{ nodes: [named, { ...named, url: 'https://other' }], atLeast: 1 }, 'has a node twice'],
    [{ nodes: [{ ...named, node: 'one' }], atLeast: 1 }, 'includes this node itself'],
    [{ nodes: [{ ...named, device: 'ab' }], atLeast: 1 }, 'device id'],
  ])('refuses %j', (witnesses, why) => {
    expect(issuesOf(witnesses).join()).toContain(why)
  })
})

const subject = {
  quote: '',
  boot: { deviceId: 'bb' } as LoggedBoot,
  block: { number: '1', hash: '0x', timestamp: 1 },
  proof: null,
}
const release: Entry = { kind: 'release', method: 'GetAppKey', ...subject, epochs: null }
const certificate: Entry = { kind: 'certificate', method: 'SignCert', ...subject, certificate: '' }
const handover = (deviceId: string): Entry => ({
  kind: 'handover',
  method: 'GetKmsKey',
  ...subject,
  boot: { ...subject.boot, deviceId },
})

/** A server with a certificate of its own that does as it likes. */
async function listen(behave: (response: ServerResponse) => void) {
  const key = p256.utils.randomSecretKey()
  const certificate = await issueRootCa(key)
  const server = createServer({ key: keyToPem(key), cert: toPem(certificate) }, (_, response) => {
    response.on('error', () => {})
    behave(response)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return { server, url: `https://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
