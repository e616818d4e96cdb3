/** Several processes that serve one node: one log, one identity, and no key when any of them ends. */
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

import { fetchAppKeys, verifyFetchedKeys } from '../../src/kms/client.ts'
import { runBootstrap, runCreateLog } from '../../src/kms/main.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { verifyLog } from '../../src/log-verify/verify.ts'
import { createMachine, type Machine, type Started } from './process-fixture.ts'

const workers = 2
let machine: Machine
let folder: string
let node: Started
let rootKey: string

beforeAll(async () => {
  machine = await createMachine()
  folder = await machine.newFolder()
  const configFile = await machine.configure(folder, {
    workers,
    releaseLog: {
      folder: join(folder, 'log'),
      node: 'kms-1',
      witnesses: 'insecure-none',
      entries: 'public',
    },
  })
  const { k256Pubkey } = await runBootstrap({ configFile, env: {} })
  rootKey = toHex(k256Pubkey)
  await runCreateLog({ configFile, env: {} })
  node = await machine.runPool(configFile)
}, 60_000)

afterAll(() => machine.stop())
afterEach(() => machine.chain.setBehaviour('allow'))

const getKeys = (name: string) => {
  const cvm = machine.boot(name)
  return fetchAppKeys({ url: node.url }, cvm.source, cvm.vmConfig)
}

test('KMS workers serve with one identity and write one hash chain', async () => {
  const released = await Promise.all(Array.from({ length: 12 }, (_, i) => getKeys(`app-${i}`)))
  const cvm = machine.boot('app-0')
  await machine.chain.setBehaviour('deny')
  await expect(fetchAppKeys({ url: node.url }, cvm.source, cvm.vmConfig)).rejects.toMatchObject({
    facts: { code: 'KMS_BOOT_DENIED' },
  })

  const roots = new Set(released.map(({ rootCertificate }) => toHex(rootCertificate)))
  expect(roots.size).toBe(1)
  verifyFetchedKeys(cvm.appId, released[0] as (typeof released)[0], Buffer.from(rootKey, 'hex'))
  const kinds = (await entries()).map(({ kind }) => kind)
  expect(kinds.filter((kind) => kind === 'release')).toHaveLength(12)
  expect(kinds.filter((kind) => kind === 'denial')).toHaveLength(1)
  expect(verifyLog(await files(), { rootKey, acceptUnproven: true }).holds).toBe(true)
})

test('KMS workers return the log and the metrics of all workers', async () => {
  const segment = await get('/log/segments/0')
  const metrics = await get('/metrics')
  const head = JSON.parse(JSON.parse(await get(`/log/head?nonce=${'0'.repeat(32)}`)).body)

  expect(segment.split('\n').filter((line) => line.includes('"kind":"release"'))).toHaveLength(12)
  expect(metrics).toContain('assent_kms_requests_total{method="GetAppKey",outcome="ok"} 12')
  expect(metrics).toContain(`assent_kms_workers ${workers}`)
  const height = `assent_kms_log_entries ${head.head.entries}`
  await expect.poll(() => get('/metrics'), { timeout: 10_000 }).toContain(height)
  expect(await get('/log/segments/1')).toContain('not found')
})

test('KMS workers export every metric that dashboard and alerts use', async () => {
  const shown = await get('/metrics')
  const names = new Set([...shown.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name))
  for (const file of ['grafana-dashboard.json', 'alerts.yaml']) {
    const text = await readFile(join(import.meta.dirname, '../../deploy/kms', file), 'utf8')
    const used = new Set(text.match(/\b(?:assent_kms|dstack_kms)_[a-z0-9_]+/g))
    expect(used.size).toBeGreaterThan(10)
    const absent = [...used].filter((name) => !names.has(name.replace(/_bucket$/, '')))
    expect(absent, file).toEqual([])
  }
})

test('KMS workers: a killed worker is restarted, and the others continue', async () => {
  const [first] = await childrenOf(node.child.pid as number)
  process.kill(first as number, 'SIGKILL')
  await expect.poll(() => node.output(), { timeout: 10_000 }).toContain('a worker ended')
  const during = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => getKeys(`late-${i}`)))

  expect(during.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0)
  await expect
    .poll(() => get('/metrics'), { timeout: 20_000 })
    .toContain(`assent_kms_workers ${workers}`)
  await getKeys('after')
  expect(verifyLog(await files(), { rootKey, acceptUnproven: true }).holds).toBe(true)
}, 60_000)

test('KMS workers end when the worker with the log ends, and leave a valid log', async () => {
  const parent = node.child.pid as number
  await expect.poll(() => childrenOf(parent), { timeout: 10_000 }).toHaveLength(workers)
  const pids = await childrenOf(parent)
  await node.stop('SIGKILL')

  await expect.poll(() => pids.filter(isRunning), { timeout: 10_000 }).toEqual([])
  await expect(getKeys('orphan')).rejects.toMatchObject({ code: 'KMS_UNREACHABLE' })
  node = await machine.runPool(join(folder, 'config.json'))
  await getKeys('again')
  expect(await node.stop()).toBe(0)
  expect((await entries()).at(-1)?.kind).toBe('closed')
  expect(verifyLog(await files(), { rootKey, acceptUnproven: true }).holds).toBe(true)
}, 60_000)

async function files() {
  const names = (await readdir(join(folder, 'log'))).filter((name) => name.endsWith('.log')).sort()
  return Promise.all(
    names.map(async (name) => ({
      name,
      content: await readFile(join(folder, 'log', name)),
    })),
  )
}

async function entries(): Promise<{ kind?: string }[]> {
  const lines = (await files()).flatMap(({ content }) => content.toString().split('\n'))
  return lines
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind !== undefined)
}

function get(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const url = new URL(path, node.url)
    request(url, { rejectUnauthorized: false, agent: false }, (answer) => {
      let text = ''
      answer.on('data', (chunk: Buffer) => {
        text += chunk
      })
      answer.on('end', () => resolve(text))
    })
      .on('error', reject)
      .end()
  })
}

/** Processes that run and were started by `pid`; the kernel's own list of children may miss some while it changes. */
async function childrenOf(pid: number): Promise<number[]> {
  const all = (await readdir('/proc')).map(Number).filter(Number.isInteger)
  return all.filter((each) => isRunning(each) && parentOf(each) === pid)
}

function parentOf(pid: number): number | undefined {
  // the name in brackets may hold spaces: the state and the parent follow the last bracket
  const fields = readStat(pid)?.split(') ').at(-1)?.split(' ')
  return fields?.[1] === undefined ? undefined : Number(fields[1])
}

/** False for a process that ended, also where nobody collects it. */
function isRunning(pid: number): boolean {
  const stat = readStat(pid)
  return stat !== undefined && !stat.includes(') Z ')
}

function readStat(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    // it ended after it was listed
    return undefined
  }
}
