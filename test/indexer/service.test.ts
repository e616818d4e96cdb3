/** The indexer as a process: it follows the chain, serves the API, stops, and continues where it was. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import type { Abi } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { heartbeatAbi } from '../../src/chain/abi.ts'
import { parseDeployment } from '../../src/chain/record/deployments.ts'
import { replayDeployment } from '../../src/indexer/replay.ts'
import type { Hex } from '../../src/lib/bytes.ts'
import { findAnvil } from '../anvil.ts'
import { createRandomHistory, type RandomHistory } from './random-history.ts'
import { recordOf } from './record.ts'
import { takeTour } from './tour.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('NOT TESTED: there is no anvil')

const program = join(import.meta.dirname, '../../bin/assent.js')

interface Page {
  readonly at: { readonly block: number; readonly time: number }
  readonly items: readonly Readonly<Record<string, unknown>>[]
  readonly next: string | null
}

describe.skipIf(absent)('assent indexer run', () => {
  let history: RandomHistory
  let folder: string
  const children: ChildProcess[] = []

  beforeAll(async () => {
    history = await createRandomHistory(7)
    await takeTour(history)
    for (let block = 0; block < 10; block++) await history.block(5)
    folder = await mkdtemp(join(tmpdir(), 'assent-indexer-'))
    await writeFile(join(folder, 'record.json'), JSON.stringify(recordOf(history.addresses)))
  }, 120_000)
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })
  afterAll(async () => {
    await history?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function start(settings: object = {}): Promise<{ child: ChildProcess; url: string }> {
    const config = join(folder, 'indexer.json')
    const all = {
      chainId: 31337,
      rpcUrls: [history.url],
      deploymentFile: join(folder, 'record.json'),
      dataFolder: join(folder, 'data'),
      finality: 8,
      pollSeconds: 0.1,
      requestsPerMinute: 100_000,
      port: 0,
      ...settings,
    }
    await writeFile(config, JSON.stringify(all))
    const child = spawn(process.execPath, [program, 'indexer', 'run', '--config', config])
    children.push(child)
    for await (const line of createInterface(child.stdout)) {
      const { url } = JSON.parse(line) as { url?: string }
      if (url !== undefined) return { child, url }
    }
    throw new Error(`ended with ${child.exitCode} before it served`)
  }

  async function stop(child: ChildProcess): Promise<unknown> {
    child.stdout?.resume()
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    const [code] = await ended
    return code
  }

  const read = async (url: string, path: string) => (await (await fetch(url + path)).json()) as Page
  const healthOf = async (url: string) => (await fetch(`${url}/health`)).status

  test('serves lists, pages and history, and continues after a stop', {
    timeout: 240_000,
  }, async () => {
    const first = await start()
    await expect.poll(() => healthOf(first.url), { interval: 500, timeout: 90_000 }).toBe(200)
    const { url } = first
    const head = Number(await history.client.getBlockNumber())

    const all = await read(url, '/v1/approvals?limit=200')
    const paged: unknown[] = []
    for (let after = ''; ; ) {
      const page = await read(url, `/v1/approvals?limit=3${after}`)
      expect(page.items.length).toBeLessThanOrEqual(3)
      paged.push(...page.items)
      if (page.next === null) break
      after = `&after=${encodeURIComponent(page.next)}`
    }
    expect(paged).toEqual(all.items)
    expect(all.at.block).toBe(head)

    const { kmsAuth } = history.addresses
    const devices = await read(url, `/v1/approvals?registry=${kmsAuth}&kind=2`)
    expect(devices.items.length).toBeGreaterThan(0)
    expect(devices.items.every(({ kind }) => kind === 2)).toBe(true)
    const [approval = {}] = devices.items
    const one = await fetch(`${url}/v1/approvals/${approval.id}`)
    expect(((await one.json()) as { item: unknown }).item).toEqual(approval)
    const life = await read(url, `/v1/events?contract=${kmsAuth}&subject=${approval.subject}`)
    expect(life.items[0]).toMatchObject({ name: 'ApprovalGiven', kind: 2 })

    const votes = await read(url, '/v1/votes?limit=200')
    expect(votes.items.map(({ reason }) => reason)).toContain('why\u0000not')

    expect(await stop(first.child)).toBe(0)
    const [account] = history.accounts
    const root = `0x${'be'.repeat(32)}`
    await history.send(account as Hex, history.addresses.heartbeat, heartbeatAbi as Abi, 'beat', [
      root,
    ])
    const second = await start()
    await expect.poll(() => healthOf(second.url), { interval: 500, timeout: 90_000 }).toBe(200)
    const beats = await read(second.url, '/v1/heartbeats')
    expect(beats.items).toContainEqual(expect.objectContaining({ id: account, root }))
    expect((await read(second.url, '/v1/approvals?limit=200')).items).toEqual(all.items)
  })

  test('refuses what it does not serve, and describes what it does', {
    timeout: 60_000,
  }, async () => {
    const { url } = await start()
    const statusOf = async (path: string, init?: RequestInit) =>
      (await fetch(url + path, init)).status

    expect(await statusOf('/v1/approvals?limit=201')).toBe(400)
    expect(await statusOf('/v1/approvals?limit=x')).toBe(400)
    expect(await statusOf(`/v1/apps?after=${'a'.repeat(201)}`)).toBe(400)
    expect(await statusOf('/v1/events')).toBe(400)
    expect(await statusOf('/v1/events?contract=0x00&after=1')).toBe(400)
    expect(await statusOf('/v1/apps/0x00')).toBe(404)
    expect(await statusOf('/v1/nothing')).toBe(404)
    expect(await statusOf('/v1/approvals', { method: 'POST', body: 'x' })).toBe(400)
    expect((await read(url, '/v1/approvals?kind=none')).items).toEqual([])

    const allowed = (await fetch(`${url}/v1/status`)).headers.get('access-control-allow-origin')
    expect(allowed).toBe('*')
    const document = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: object }
    expect(Object.keys(document.paths)).toContain('/v1/approvals/{id}')
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('assent_indexer_block_number')
  })

  test('does not start without a deployment record', { timeout: 120_000 }, async () => {
    await expect(start({ deploymentFile: join(folder, 'missing.json') })).rejects.toThrow('ended')
  })

  test('is not ready while no endpoint answers', { timeout: 120_000 }, async () => {
    await expect(start({ rpcUrls: ['http://127.0.0.1:1'] })).rejects.toThrow('ended')
  })

  test('a replay shows storage that does not follow from events', {
    timeout: 120_000,
  }, async () => {
    const record = parseDeployment(recordOf(history.addresses))
    expect((await replayDeployment(history.client, record)).differences).toEqual([])
    // the slot of `gatewayAppId`: docs/contracts.md, "Storage"
    const slot = `0x${(9).toString(16).padStart(64, '0')}`
    const word = `0x${'61'.repeat(1)}${'00'.repeat(30)}02`
    await history.rpc('anvil_setStorageAt', history.addresses.kmsAuth, slot, word)

    const { differences } = await replayDeployment(history.client, record)

    expect(differences).toMatchObject([{ table: 'contracts', fact: 'gatewayAppId', found: 'a' }])
  })
})
