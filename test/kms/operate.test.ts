/** docs/operate-kms.md, step 5, as an operator follows it: its commands are read from the page and run as they stand. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { fetchAppKeys, verifyFetchedKeys } from '../../src/kms/client.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
import { verifyLog } from '../../src/log-verify/verify.ts'
import { serveAgent } from '../../src/tee/simulator/agent/agent.ts'
import { createMachine, type Machine } from './process-fixture.ts'

const root = join(import.meta.dirname, '../..')
/** Each node has an address of its own, as the page gives each a name. */
const addresses = { 'kms-1': '127.0.53.1', 'kms-2': '127.0.53.2' }
const names = Object.entries(addresses).flatMap(([name, address]) => [
  [name, address],
  [`${name}.example.org`, address],
])

let machine: Machine
let folder: string
let agents: { close(): Promise<void> }[]
let devices: Record<string, string>
const children: ChildProcess[] = []

beforeAll(async () => {
  machine = await createMachine()
  folder = await mkdtemp(join(tmpdir(), 'kms-operate-'))
  // where the page's names lead, for the nodes and for curl
  await writeFile(
    join(folder, 'names.mjs'),
    `import dns from 'node:dns'
     import { syncBuiltinESMExports } from 'node:module'
     const names = new Map(${JSON.stringify(names)})
     const { lookup } = dns
     dns.lookup = (name, ...rest) => lookup(names.get(name) ?? name, ...rest)
     syncBuiltinESMExports()`,
  )
  await import(join(folder, 'names.mjs'))
  const ports = names.flatMap(([name, address]) =>
    [8000, 8001].map((port) => `resolve = "${name}:${port}:${address}"`),
  )
  await writeFile(join(folder, '.curlrc'), `silent\n${ports.join('\n')}\n`)
  const hosts = await Promise.all(
    ['kms-1', 'kms-2', 'kms-3', 'stranger'].map(async (name) => {
      const platform = machine.simulator.createPlatform({ name })
      const cvm = platform.createCvm({ image: machine.image, compose: `{"name":"${name}"}` })
      cvm.advance('ready', {
        keyProvider: { name: 'local-sgx', id: new Uint8Array(32).fill(1) },
        keys: { k256Key: new Uint8Array(32).fill(5), k256Signature: new Uint8Array(65) },
      })
      await mkdir(join(folder, name))
      const agent = await serveAgent(cvm, join(folder, name, 'agent.sock'))
      return { name, agent, device: toHex(platform.deviceId) }
    }),
  )
  agents = hosts.map(({ agent }) => agent)
  devices = Object.fromEntries(hosts.map(({ name, device }) => [name, device]))
}, 60_000)

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const agent of agents) await agent.close()
  await machine.stop()
})

/** The settings that the repository ships, for this node, with what only this machine can know. */
async function configure(name: keyof typeof addresses, at: string): Promise<string> {
  const example = await readFile(join(root, 'deploy/kms/kms.example.json'), 'utf8')
  const other = name === 'kms-1' ? 'kms-2' : 'kms-1'
  // the page: the same file with its own names, and the other among its witnesses
  const swapped =
    name === 'kms-1'
      ? example
      : example.replaceAll('kms-1', '?').replaceAll('kms-2', 'kms-1').replaceAll('?', 'kms-2')
  const settings = JSON.parse(swapped)
  const { witnesses } = settings.releaseLog
  expect(witnesses.nodes[0].node).toBe(other)
  for (const witness of witnesses.nodes) witness.device = devices[witness.node]
  const { domain, releaseLog, ...ofMachine } = machine.settings as Record<string, unknown>
  const place = join(folder, at)
  const config = {
    ...settings,
    ...ofMachine,
    agentSocket: join(place, 'agent.sock'),
    keysFolder: join(place, 'keys'),
    releaseLog: { ...settings.releaseLog, folder: join(place, 'log') },
    host: addresses[name],
    port: 8000,
    onboardHost: addresses[name],
    workers: 1,
  }
  const path = join(place, 'kms.json')
  await writeFile(path, JSON.stringify(config))
  return path
}

/** `assent kms start` as the container runs it, on the machine of that name or on another one. */
async function start(name: keyof typeof addresses, at: string = name) {
  const config = await configure(name, at)
  const args = ['--import', join(folder, 'names.mjs'), join(root, 'bin/assent.js')]
  const child = spawn(process.execPath, [...args, 'kms', 'start', '--config', config])
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk
    })
  }
  await expect.poll(() => output, { timeout: 20_000 }).toContain('waiting for bootstrap')
  return {
    serves: () => expect.poll(() => output, { timeout: 20_000 }).toContain('KMS serves'),
    stop: async () => {
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

/** The shell commands of the page that talk to this node, one after the other. */
async function commandsFor(name: string): Promise<string[]> {
  const page = await readFile(join(root, 'docs/operate-kms.md'), 'utf8')
  const step = page.slice(page.indexOf('## 5. First boot'), page.indexOf('## 6. '))
  const blocks = [...step.matchAll(/```sh\n([^`]+)```/g)].map(([, block]) => block ?? '')
  const lines = blocks.flatMap((block) => block.replaceAll('\\\n', ' ').trim().split('\n'))
  expect(lines.every((line) => line.startsWith('curl '))).toBe(true)
  return lines.filter((line) => line.startsWith(`curl 'http://${name}:8001/`))
}

async function shell(command: string): Promise<Record<string, string>> {
  const env = { ...process.env, CURL_HOME: folder, HOME: folder }
  const { stdout } = await promisify(execFile)('sh', ['-c', command], { env, cwd: folder })
  return stdout === '' ? {} : JSON.parse(stdout)
}

async function runPage(name: string) {
  const answers: Record<string, Record<string, string>> = {}
  for (const command of await commandsFor(name)) {
    const method = /Onboard\.(\w+)/.exec(command)?.[1] ?? ''
    answers[method] = await shell(command)
  }
  return answers
}

const keysFrom = (name: keyof typeof addresses) => {
  const app = machine.boot('app')
  return fetchAppKeys({ url: `https://${name}.example.org:8000` }, app.source, app.vmConfig).catch(
    (error) => error.facts?.code ?? error.code,
  )
}

test('docs/operate-kms.md starts the first node, and the second node from it, as written', async () => {
  const first = await start('kms-1')
  const made = await runPage('kms-1')
  await first.serves()
  expect(Object.keys(made)).toEqual(['GetAttestationInfo', 'Bootstrap', 'Finish'])
  expect(await keysFrom('kms-1')).toBe('KMS_LOG_UNWITNESSED')

  // the right settings, approved by the chain, on a machine that they do not name
  const stranger = await start('kms-2', 'stranger')
  expect((await runPage('kms-2')).Onboard?.error).toContain('Too few witnesses')
  await stranger.stop()

  const second = await start('kms-2')
  const joined = await runPage('kms-2')
  await second.serves()
  expect(Object.keys(joined)).toEqual(['GetAttestationInfo', 'Onboard', 'Finish'])
  const rootKey = made.Bootstrap?.k256_pubkey ?? ''
  expect(joined.Onboard?.k256_pubkey).toBe(rootKey)

  for (const name of ['kms-1', 'kms-2'] as const) {
    await expect.poll(() => keysFrom(name), { timeout: 20_000 }).toHaveProperty('k256Key')
    const keys = await keysFrom(name)
    verifyFetchedKeys(machine.boot('app').appId, keys, fromHex(rootKey, 'root', 33))
  }
  await second.stop()
  await first.stop()
  const log = await readFile(join(folder, 'kms-1/log/00000000.log'))
  const report = verifyLog([{ name: '00000000.log', content: log }], {
    rootKey,
    acceptUnproven: true,
  })
  expect(report).toMatchObject({ holds: true, node: 'kms-1', kinds: { handover: 1 } })
  const entries = log
    .toString()
    .split('\n')
    .filter((line) => line.startsWith('{"seq"'))
  const kinds = entries.map((line) => JSON.parse(line).kind)
  expect(kinds.indexOf('handover')).toBeLessThan(kinds.indexOf('release'))
  const seen = JSON.parse(await readFile(join(folder, 'kms-2/log/seen.json'), 'utf8'))
  expect(seen).toMatchObject([{ node: 'kms-1' }])
}, 120_000)
