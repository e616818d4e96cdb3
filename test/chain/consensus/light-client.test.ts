import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, describe, expect, test } from 'vitest'

import { messagesOf } from '../../../src/chain/consensus/finality-proof.ts'
import { createLightClient, type LightClient } from '../../../src/chain/consensus/light-client.ts'
import { asAnswer, type BeaconView } from '../../../src/chain/consensus/simulator/beacon-api.ts'
import { createBeaconChain } from '../../../src/chain/consensus/simulator/beacon-chain.ts'
import { openStoreFolder } from '../../../src/chain/consensus/store-folder.ts'
import { AssentError, isAssentError } from '../../../src/errors/index.ts'
import { type BeaconServer, type Behaviour, sendJson, serveBeacon } from './beacon-server.ts'
import { smallNetwork } from './networks.ts'

const chain = createBeaconChain({ network: smallNetwork })
const stranger = createBeaconChain({ network: smallNetwork, seed: 2 })
const sealKey = new Uint8Array(32).fill(9)

const servers: BeaconServer[] = []
const folders: string[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'assent-light-'))
  folders.push(folder)
  return folder
}

async function serve(
  view: BeaconView,
  behave?: Behaviour,
  timeoutMs?: number,
): Promise<BeaconServer> {
  const server = await serveBeacon(view, behave, timeoutMs)
  servers.push(server)
  return server
}

interface Setting {
  readonly client: LightClient
  /** Sets the clock. */
  readonly at: (slot: number) => void
  readonly folder: string
}

function follow(some: readonly BeaconServer[], slot: number, folder = newFolder()): Setting {
  let now = chain.time(slot)
  const client = createLightClient({
    network: smallNetwork,
    endpoints: some.map(({ endpoint }) => endpoint),
    folder: openStoreFolder({ folder, network: smallNetwork, key: sealKey }),
    clock: () => now,
    graceMs: 200,
  })
  const at = (later: number) => {
    now = chain.time(later)
  }
  return { client, at, folder }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'done'
  } catch (error) {
    if (isAssentError(error)) return error.code
    throw error
  }
}

describe('a light client', () => {
  test('begins at a trusted block and follows the chain through its periods and forks', async () => {
    const server = await serve({ chain, head: 90 })
    const { client, at } = follow([server], 91)
    await client.begin(chain.root(72))
    expect((await client.advance()).store.finalized.slot).toBe(72)
    for (const [head, finalized] of [
      [100, 80],
      [150, 128],
      // eleven periods later
      [700, 680],
    ] as const) {
      server.view.head = head
      at(head + 1)
      const { store, faults } = await client.advance()
      expect(faults).toEqual([])
      expect(store.finalized.slot).toBe(finalized)
      expect(store.optimistic.slot).toBe(head)
    }
  })

  test('keeps its store when no message is newer', async () => {
    const server = await serve({ chain, head: 100 })
    const { client } = follow([server], 101)
    await client.begin(chain.root(72))
    const { store } = await client.advance()
    expect((await client.advance()).store).toBe(store)
    // calls at the same time share the questions
    const before = server.requests.length
    await Promise.all([client.advance(), client.advance(), client.advance()])
    expect(server.requests.length - before).toBe(2)
  })

  test('does not begin without a bootstrap, a second time, or from an old block', async () => {
    const server = await serve({ chain, head: 100 })
    const { client, at } = follow([server], 101)
    expect(await codeOf(client.advance())).toBe('CONSENSUS_STORE_MISSING')
    expect(await codeOf(client.begin(stranger.root(72)))).toBe('CONSENSUS_UNREACHABLE')
    at(72 + 8 * smallNetwork.weakSubjectivityEpochs + 8)
    expect(await codeOf(client.begin(chain.root(72)))).toBe('CONSENSUS_HEADER_TOO_OLD')
    at(101)
    await client.begin(chain.root(72))
    expect(await codeOf(client.begin(chain.root(72)))).toBe('CONSENSUS_STORE_EXISTS')
  })

  test('does not continue after a pause longer than the weak subjectivity period', async () => {
    const server = await serve({ chain, head: 100 })
    const { client, at } = follow([server], 101)
    await client.begin(chain.root(72))
    server.view.head = 1_000
    at(1_001)
    expect(await codeOf(client.advance())).toBe('CONSENSUS_HEADER_TOO_OLD')
  })

  test('refuses a clock that is behind its newest header', async () => {
    const server = await serve({ chain, head: 100 })
    const { client, at } = follow([server], 101)
    await client.begin(chain.root(72))
    at(60)
    expect(await codeOf(client.advance())).toBe('CONSENSUS_SLOT_INVALID')
  })

  test('reports announced forks', async () => {
    const server = await serve({ chain, head: 100 })
    const lying = await serve({ chain, head: 100 }, (_request, response) =>
      sendJson(response, { data: 'nothing' }),
    )
    const { client } = follow([server, lying], 101)
    const announced = await client.announcedForks()
    expect(announced.map(({ version, epoch }) => ({ version, epoch }))).toEqual(
      smallNetwork.forks.map(({ version, epoch }) => ({ version, epoch })),
    )
  })
})

/** What one API of three does while the others are honest. */
const behaviours: readonly [string, string | undefined, Behaviour][] = [
  ['is closed', 'CHAIN_UNREACHABLE', (request) => void request.socket.destroy()],
  ['hangs', undefined, () => {}],
  [
    'hangs in the middle of a body',
    undefined,
    (_request, response) => void response.writeHead(200).write('{"version":'),
  ],
  [
    'floods',
    'CHAIN_ANSWER_INVALID',
    (_request, response) => {
      response.writeHead(200)
      const chunk = 'x'.repeat(65_536)
      const flood = () => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once('drain', flood)
      }
      flood()
    },
  ],
  [
    'nests',
    'CHAIN_ANSWER_INVALID',
    (_request, response) => void response.writeHead(200).end('['.repeat(100_000)),
  ],
  [
    'sends to another place',
    'CHAIN_UNREACHABLE',
    (_request, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  ],
  ['fails', 'CHAIN_UNREACHABLE', (_request, response) => void response.writeHead(500).end()],
  [
    'answers no JSON',
    'CHAIN_ANSWER_INVALID',
    (_request, response) => void response.writeHead(200).end('<html>'),
  ],
  [
    'answers an empty object',
    'CHAIN_ANSWER_INVALID',
    (_request, response) => sendJson(response, {}),
  ],
  [
    'answers messages without members',
    'CONSENSUS_MESSAGE_INVALID',
    (_request, response) => {
      const empty = { version: 'capella', data: {} }
      sendJson(response, _request.url?.includes('updates?') ? [empty] : empty)
    },
  ],
  [
    'names a fork of the future',
    'CONSENSUS_FORK_UNKNOWN',
    (request, response) => {
      const { data } = asAnswer(chain.update(150)) as { data: object }
      const message = { version: 'heze', data }
      sendJson(response, request.url?.includes('updates?') ? [message] : message)
    },
  ],
  [
    'shows another chain',
    'CONSENSUS_SIGNATURE_INVALID',
    (request, response) => {
      const { url = '' } = request
      if (url.includes('finality')) sendJson(response, asAnswer(stranger.finalityUpdate(150)))
      else if (url.includes('optimistic')) {
        sendJson(response, asAnswer(stranger.optimisticUpdate(150)))
      } else sendJson(response, [asAnswer(stranger.update(92))])
    },
  ],
  [
    'repeats an old update',
    'CONSENSUS_ANSWER_STALE',
    (request, response) => {
      const { url = '' } = request
      if (url.includes('finality')) sendJson(response, asAnswer(chain.finalityUpdate(80)))
      else if (url.includes('optimistic')) {
        sendJson(response, asAnswer(chain.optimisticUpdate(80)))
      } else sendJson(response, [])
    },
  ],
  [
    'shows what was signed by too few',
    undefined,
    (request, response) => {
      const { url = '' } = request
      const few = { signers: 21 }
      if (url.includes('finality')) sendJson(response, asAnswer(chain.finalityUpdate(150, few)))
      else if (url.includes('optimistic')) {
        sendJson(response, asAnswer(chain.optimisticUpdate(150, few)))
      } else sendJson(response, [asAnswer(chain.update(110, few))])
    },
  ],
]

describe('one beacon API of three', () => {
  test.each(behaviours)('changes nothing if it %s', async (_, code, behave) => {
    const view = { chain, head: 92 }
    const some = [await serve(view), await serve(view, behave, 4_000), await serve(view)]
    const { client, at } = follow(some, 93)
    await client.begin(chain.root(72))
    // the liar can show newer slots than the others
    view.head = 148
    at(151)
    const { store, faults } = await client.advance()
    expect(store.finalized.slot).toBe(128)
    expect(store.optimistic.slot).toBeGreaterThanOrEqual(148)
    if (code === undefined) return
    const lying = some[1]?.endpoint.name
    expect(faults.map(({ endpoint }) => endpoint)).toContain(lying)
    expect(new Set(faults.map((each) => each.code))).toContain(code)
    expect(faults.every(({ endpoint }) => endpoint === lying)).toBe(true)
  })

  test('is enough if only this one is honest', async () => {
    const view = { chain, head: 92 }
    const lies: Behaviour = (_request, response) => sendJson(response, [])
    const some = [await serve(view, lies), await serve(view), await serve(view, lies)]
    const { client, at } = follow(some, 93)
    await client.begin(chain.root(72))
    view.head = 150
    at(151)
    expect((await client.advance()).store.finalized.slot).toBe(128)
  })
})

test('a slow honest beacon API is heard among quick ones that repeat old headers', async () => {
  const honest = { chain, head: 90 }
  const old = { chain, head: 90 }
  const slow: Behaviour = (_request, _response, answer) => void setTimeout(answer, 600)
  const some = [await serve(honest, slow), await serve(old), await serve(old)]
  const { client, at } = follow(some, 91)
  await client.begin(chain.root(72))
  honest.head = 148
  at(151)
  const { store, faults } = await client.advance()

  expect(store.finalized.slot).toBe(128)
  expect(faults).toHaveLength(2)
  expect(faults).toMatchObject(
    some.slice(1).map(({ endpoint }) => ({
      endpoint: endpoint.name,
      code: 'CONSENSUS_ANSWER_STALE',
    })),
  )
})

test('a beacon API that never answers is waited for once', { timeout: 60_000 }, async () => {
  const view = { chain, head: 92 }
  const some = [await serve(view), await serve(view, () => {}, 3_000)]
  const { client } = follow(some, 93)
  await client.begin(chain.root(72))
  await client.advance()
  const began = performance.now()
  await client.advance()
  expect(performance.now() - began).toBeLessThan(2_500)
})

test('an outage of all beacon APIs is an outage error and changes nothing', async () => {
  const server = await serve({ chain, head: 100 })
  const { client, folder } = follow([server], 101)
  await client.begin(chain.root(72))
  const { store } = await client.advance()
  const before = readdirSync(folder)
  await server.close()
  const failed = await client.advance().catch((error: unknown) => error)
  expect(failed).toBeInstanceOf(AssentError)
  expect((failed as AssentError).code).toBe('CONSENSUS_UNREACHABLE')
  expect((failed as AssentError).facts.found).toHaveLength(2)
  expect((failed as AssentError).message).toContain(
    `${server.endpoint.name}: CHAIN_UNREACHABLE ${server.endpoint.name} did not answer`,
  )
  expect(readdirSync(folder)).toEqual(before)
  expect(store.finalized.slot).toBe(80)
})

describe('the light-client store on disk', () => {
  const namesIn = (folder: string, start = 'store-') =>
    readdirSync(folder).filter((name) => name.startsWith(start))
  const filesOf = (folder: string, start?: string) =>
    namesIn(folder, start).map((name) => join(folder, name))

  async function written(): Promise<Setting> {
    const setting = follow([await serve({ chain, head: 100 })], 101)
    await setting.client.begin(chain.root(72))
    await setting.client.advance()
    return setting
  }

  test('is one record and survives a restart', async () => {
    const { folder } = await written()
    expect(filesOf(folder)).toHaveLength(1)
    const restarted = follow([await serve({ chain, head: 150 })], 151, folder)
    const { store } = await restarted.client.advance()
    expect(store.finalized.slot).toBe(128)
    expect(namesIn(folder)).toEqual([expect.stringMatching(/^store-00000000000000000128-/)])
  })

  test('keeps the messages that prove the header, also after a restart', async () => {
    const { folder, client } = await written()
    const { store } = await client.advance()
    expect(namesIn(folder, 'committee-')).toHaveLength(2)
    const options = { folder, network: smallNetwork, key: sealKey }
    expect((await openStoreFolder(options).read()).proof).toEqual(store.proof)
    expect(messagesOf(store.proof)).toHaveLength(3)
  })

  test('goes on without messages that were lost or changed', async () => {
    const { folder } = await written()
    const options = { folder, network: smallNetwork, key: sealKey }
    const { proof } = await openStoreFolder(options).read()
    const [bootstrap, update] = proof.committees.map(([name]) =>
      join(folder, `committee-${name.slice(2)}.bin`),
    ) as [string, string]
    writeFileSync(bootstrap, 'something else')
    const cut = await openStoreFolder(options).read()
    expect(cut.proof).toEqual({ ...proof, committees: proof.committees.slice(1) })
    rmSync(update)
    expect((await openStoreFolder(options).read()).proof.committees).toEqual([])
    const restarted = follow([await serve({ chain, head: 150 })], 151, folder)
    await restarted.client.advance()
    const { store } = await restarted.client.advance()
    expect(store.finalized.slot).toBe(128)
    expect(store.proof.committees).toHaveLength(1)
  })

  test('deletes messages that no store uses any more', async () => {
    const { folder } = await written()
    for (let index = 0; index < 80; index++) {
      const name = index.toString(16).padStart(64, '0')
      writeFileSync(join(folder, `committee-${name}.bin`), 'left over')
    }
    await follow([await serve({ chain, head: 150 })], 151, folder).client.advance()
    const options = { folder, network: smallNetwork, key: sealKey }
    const { proof } = await openStoreFolder(options).read()
    expect(namesIn(folder, 'committee-')).toHaveLength(proof.committees.length)
  })

  test('never goes back to an older state in a running process', async () => {
    const { client, at, folder } = await written()
    const [path] = filesOf(folder) as [string]
    const old = readFileSync(path)
    const server = await serve({ chain, head: 150 })
    const ahead = follow([server], 151, folder)
    await ahead.client.advance()
    // another process went on: this one goes on from there
    at(151)
    expect(await codeOf(client.advance())).toBe('done')
    for (const newer of filesOf(folder)) rmSync(newer)
    writeFileSync(path, old)
    expect(await codeOf(ahead.client.advance())).toBe('CONSENSUS_STORE_INVALID')
  })

  test('is not replaced by an older store', async () => {
    const { folder } = await written()
    const options = { folder, network: smallNetwork, key: sealKey }
    const old = await openStoreFolder(options).read()
    const newer = follow([await serve({ chain, head: 150 })], 151, folder)
    await newer.client.advance()
    await openStoreFolder(options).write(old)
    expect(namesIn(folder)).toEqual([expect.stringMatching(/^store-00000000000000000128-/)])
  })

  test.each<[string, (record: Record<string, unknown>) => void]>([
    [
      'a slot',
      (record) =>
        Object.assign(record, { finalized: `${record.finalized}`.replace(/^0x../, '0xff') }),
    ],
    ['a committee', (record) => Object.assign(record, { current: record.next })],
    ['a count', (record) => Object.assign(record, { currentMaxSigners: 1 })],
    ['the seal', (record) => Object.assign(record, { seal: '00'.repeat(32) })],
    ['the version', (record) => Object.assign(record, { version: 1 })],
    ['a further member', (record) => Object.assign(record, { comment: 'hello' })],
  ])('is refused after a change of %s', async (_, change) => {
    const { folder } = await written()
    const [path] = filesOf(folder) as [string]
    const record = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    change(record)
    writeFileSync(path, JSON.stringify(record))
    const options = { folder, network: smallNetwork, key: sealKey }
    expect(await codeOf(openStoreFolder(options).read())).toBe('CONSENSUS_STORE_INVALID')
  })

  test('is refused with another key, of another network, under another name, or too large', async () => {
    const { folder } = await written()
    const read = (change: object) =>
      codeOf(openStoreFolder({ folder, network: smallNetwork, key: sealKey, ...change }).read())
    expect(await read({})).toBe('done')
    expect(await read({ key: new Uint8Array(32) })).toBe('CONSENSUS_STORE_INVALID')
    expect(await read({ network: { ...smallNetwork, name: 'other' } })).toBe(
      'CONSENSUS_STORE_INVALID',
    )
    const [path] = filesOf(folder) as [string]
    writeFileSync(join(folder, 'store-00000000000000009999-1.json'), readFileSync(path))
    expect(await read({})).toBe('CONSENSUS_STORE_INVALID')
    writeFileSync(join(folder, 'store-00000000000000009999-1.json'), ' '.repeat(1_000_001))
    expect(await read({})).toBe('CONSENSUS_STORE_INVALID')
  })
})
