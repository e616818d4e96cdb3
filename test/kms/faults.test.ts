/** Killed, without disk, without endpoint, with a wrong clock: no key to the wrong party, no lost root, no secret told. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { trustSingleEndpoint } from '../../src/chain/boot/ask-contracts.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { fetchAppKeys } from '../../src/kms/client.ts'
import { openKeyStore } from '../../src/kms/keys/key-store.ts'
import { runBootstrap, runCreateLog } from '../../src/kms/main.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { verifyLog } from '../../src/log-verify/verify.ts'
import { createAgentClient } from '../../src/tee/agent.ts'
import { type Crash, type Fault, runUntil } from './crash.ts'
import { at, createDeployment } from './fixture.ts'
import { askForKeys, mint } from './http-fixture.ts'
import { createMachine, type Machine, type Started } from './process-fixture.ts'

let machine: Machine

beforeAll(async () => {
  machine = await createMachine()
}, 60_000)
afterAll(() => machine.stop())
afterEach(() => machine.chain.setDown(false))

const withLog = (folder: string) => ({
  releaseLog: {
    folder: join(folder, 'log'),
    node: 'kms-1',
    witnesses: 'insecure-none',
    entries: 'private',
  },
})

async function newNode(changed: Record<string, unknown> = {}) {
  const folder = await machine.newFolder()
  return { folder, configFile: await machine.configure(folder, { ...withLog(folder), ...changed }) }
}

async function loadKeys(folder: string) {
  const agent = createAgentClient({ socket: machine.settings.agentSocket })
  const sealingKey = async () =>
    (await agent.getKey({ path: 'assent/kms/root-keys', purpose: 'seal' })).key
  return openKeyStore(join(folder, 'keys'), { kind: 'sealed', sealingKey }).load()
}

async function logFiles(folder: string) {
  const names = (await readdir(join(folder, 'log'))).filter((name) => name.endsWith('.log')).sort()
  const read = async (name: string) => ({
    name,
    content: await readFile(join(folder, 'log', name)),
  })
  return Promise.all(names.map(read))
}

async function releasesIn(folder: string): Promise<string[]> {
  const lines = (await logFiles(folder)).flatMap(({ content }) => content.toString().split('\n'))
  return lines
    .filter((line) => line.includes('"kind":"release"'))
    .map((line) => JSON.parse(line).boot.appId)
}

describe('KMS bootstrap with faults', () => {
  const begin = async (configFile: string) => {
    await runBootstrap({ configFile, env: {} })
    await runCreateLog({ configFile, env: {} })
  }
  /** What an operator does after any failure: the same again. */
  const again = async (configFile: string) => {
    const done = ['KMS_KEYS_EXIST', 'KMS_LOG_EXISTS']
    for (const step of [runBootstrap, runCreateLog]) {
      await step({ configFile, env: {} }).catch((error: unknown) => {
        if (!isAssentError(error) || !done.includes(error.code)) throw error
      })
    }
  }
  const rootFile = (folder: string) =>
    readFile(join(folder, 'keys', 'root-keys.bin'), 'hex').catch(() => undefined)

  const faults: Fault[] = ['stop-before', 'stop-after', 'torn', 'full']
  test.each(faults)(
    'leaves complete keys or none after one disk fault (%s) at each of its writes',
    async (kind) => {
      let steps = 0
      for (; ; steps++) {
        const { folder, configFile } = await newNode()
        const crash: Crash = { kind, at: steps }
        const ended = await runUntil(crash, () => begin(configFile))
        if (ended === 'ended') break
        const before = await rootFile(folder)
        if (typeof ended === 'object')
          expect(isAssentError(ended.failed), String(ended.failed)).toBe(true)
        await again(configFile)

        const what = `${kind} at ${steps}`
        if (before !== undefined) expect(await rootFile(folder), what).toBe(before)
        expect(await loadKeys(folder), what).toBeDefined()
        // what was written aside of the keys is as secret as they are
        const left = (await readdir(join(folder, 'keys'))).filter(
          (name) => !name.startsWith('log-'),
        )
        expect(left.sort(), what).toEqual(['bootstrap-info.json', 'root-keys.bin'])
        const [file] = await logFiles(folder)
        expect(file?.name, what).toBe('00000000.log')
      }
      expect(steps).toBeGreaterThan(12)
    },
    60_000,
  )
})

describe('a serving KMS node with faults', () => {
  let folder: string
  let configFile: string
  let node: Started
  let rootKey: string

  beforeAll(async () => {
    const made = await newNode({ logLevel: 'trace' })
    folder = made.folder
    configFile = made.configFile
    rootKey = toHex((await runBootstrap({ configFile, env: {} })).k256Pubkey)
    await runCreateLog({ configFile, env: {} })
    node = await machine.run(configFile)
  }, 60_000)

  const getKeys = (name: string) => {
    const cvm = machine.boot(name)
    return fetchAppKeys({ url: node.url }, cvm.source, cvm.vmConfig)
  }

  test('shows no secret in logs, errors, files, arguments or variables', async () => {
    const keys = [await getKeys('secret-1'), await getKeys('secret-2')]
    await machine.chain.setBehaviour('deny')
    await getKeys('secret-3').catch(() => {})
    await machine.chain.setBehaviour('revert')
    await getKeys('secret-4').catch(() => {})
    machine.chain.setDown(true)
    await getKeys('secret-5').catch(() => {})
    machine.chain.setDown(false)
    await machine.chain.setBehaviour('allow')
    // the answer may be here before the line about it
    await expect.poll(node.output, { timeout: 20_000 }).toContain('"outcome":"outage"')
    const root = await loadKeys(folder)
    const agent = createAgentClient({ socket: machine.settings.agentSocket })
    const sealing = (await agent.getKey({ path: 'assent/kms/root-keys', purpose: 'seal' })).key

    const pid = node.child.pid as number
    const written = [
      node.output(),
      ...(await logFiles(folder)).map(({ content }) => content.toString('latin1')),
      await readFile(configFile, 'latin1'),
      await readFile(join(folder, 'keys', 'root-keys.bin'), 'latin1'),
      await readFile(join(folder, 'keys', 'bootstrap-info.json'), 'latin1'),
      await readFile(`/proc/${pid}/cmdline`, 'latin1'),
      await readFile(`/proc/${pid}/environ`, 'latin1'),
    ].join('\n')
    expect(written).toContain('"outcome":"denied"')
    expect(written).toContain('"outcome":"outage"')
    const secrets = [
      ...[root?.ca, root?.k256, root?.tempCa, sealing],
      ...keys.flatMap(({ diskCryptKey, envCryptKey, k256Key }) => [
        ...[diskCryptKey, envCryptKey, k256Key],
      ]),
    ]
    expect(secrets).toHaveLength(10)
    for (const secret of secrets) {
      const bytes = Buffer.from(secret as Uint8Array)
      for (const form of formsOf(bytes)) expect(written.includes(form)).toBe(false)
    }
  }, 30_000)

  test('releases nothing while its endpoint fails, and recovers by itself', async () => {
    machine.chain.setDown(true)
    const refused = await getKeys('outage').catch((error: unknown) => error)
    machine.chain.setDown(false)

    expect(refused).toMatchObject({ facts: { code: 'CHAIN_UNREACHABLE' } })
    await getKeys('outage')
  }, 30_000)

  test('has every released key in its log after a kill during many requests', async () => {
    const received: string[] = []
    for (let round = 0; round < 2; round++) {
      const asking = Array.from({ length: 16 }, async (_, index) => {
        const cvm = machine.boot(`killed-${round}-${index}`)
        const got = await fetchAppKeys({ url: node.url }, cvm.source, cvm.vmConfig).catch(() => {})
        if (got) received.push(toHex(cvm.appId))
      })
      // at least one is through, others are under way
      await Promise.race(asking)
      await node.stop('SIGKILL')
      await Promise.all(asking)
      node = await machine.run(configFile)

      expect(verifyLog(await logFiles(folder), { rootKey, acceptUnproven: true }).problems).toEqual(
        [],
      )
      const released = await releasesIn(folder)
      expect(received.filter((appId) => !released.includes(appId))).toEqual([])
    }
    expect(received).not.toEqual([])
    await getKeys('after')
  }, 90_000)
})

test('a KMS releases nothing that has expired when the clock of the machine is set back or forward', async () => {
  const deployment = await createDeployment()
  let now = at
  const clock = () => now
  const kms = await deployment.start({
    rules: { ...deployment.rules, clock },
    chain: trustSingleEndpoint({ ...deployment.chain, clock }),
  })
  const cvm = deployment.boot()
  await deployment.setComposeHash(cvm.composeHash)
  const ask = async () => {
    const identity = await mint(deployment.keys, {
      attestation: (reportData) => cvm.attestation(reportData),
    })
    return askForKeys(kms, identity)
  }
  const year = 365 * 86_400

  expect(await ask()).toMatchObject({ status: 200 })
  for (const jump of [year, -year, 2 * year, -20 * year]) {
    now = at + jump
    expect((await ask()).status, `${jump} seconds`).toBe(400)
  }
  now = at
  expect(await ask()).toMatchObject({ status: 200 })
  await deployment.close()
}, 60_000)

/** How a secret could be written: hex, base64, its raw bytes, a list of numbers. */
function formsOf(bytes: Buffer): string[] {
  const base64 = bytes.toString('base64').replace(/=+$/, '')
  return [
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    base64,
    bytes.toString('base64url').replace(/=+$/, ''),
    bytes.toString('latin1'),
    [...bytes].join(','),
    BigInt(`0x${bytes.toString('hex')}`).toString(),
  ]
}
