/** `simulate agent` and `simulate pccs` as processes, asked by the clients that services use. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { writeSimulatedHost } from '../../src/commands/simulate/host-folder.ts'
import { runBootstrap } from '../../src/kms/main.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
import { readEvaluationNumbers } from '../../src/quote/collateral/evaluation-numbers.ts'
import { fetchCollateral, fetchEvaluationNumbers } from '../../src/quote/collateral/pccs.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { createAgentClient } from '../../src/tee/agent.ts'
import { createMachine, type Machine } from '../kms/process-fixture.ts'
import { assent } from './run-command.ts'
import { startCommand, stopCommands } from './start-command.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-simulate-'))
})
afterEach(stopCommands)
afterAll(() => rm(folder, { recursive: true }))

const inFolder = (name: string) => join(folder, name)
const host = () => inFolder('host')

describe('assent simulate agent', () => {
  test('serves both guest APIs on a socket of this user, and removes the socket at the end', async () => {
    const socket = inFolder('agent.sock')
    const { line, stop } = await startCommand('simulate', 'agent', host(), '--socket', socket)
    const agent = createAgentClient({ socket })
    const reportData = new Uint8Array(64).fill(7)

    const { quote } = await agent.attest(reportData)
    const info = await agent.info()
    const key = await agent.getKey({ path: 'seal', purpose: 'test' })

    expect(line.address).toBe(socket)
    expect(parseQuote(quote).report.reportData).toEqual(reportData)
    expect(`0x${toHex(info.composeHash)}`).toBe(line.composeHash)
    expect(`0x${toHex(info.mrAggregated)}`).toBe(line.mrAggregated)
    expect(key.key).toHaveLength(32)
    expect((await stat(socket)).mode & 0o077).toBe(0)
    expect(await stop()).toBe(0)
    await expect(stat(socket)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('has the same keys after a restart, and other keys for other software', async () => {
    const keyOf = async (...args: string[]) => {
      const socket = inFolder('keys.sock')
      const { line, stop } = await startCommand(
        'simulate',
        'agent',
        host(),
        '--socket',
        socket,
        ...args,
      )
      const { key } = await createAgentClient({ socket }).getKey({ path: 'seal', purpose: '' })
      await stop()
      return { key: toHex(key), deviceId: line.deviceId, image: line.osImageHash }
    }
    await writeFile(inFolder('other.json'), '{"name":"other"}')

    const first = await keyOf()

    expect(await keyOf()).toEqual(first)
    const other = await keyOf('--compose', inFolder('other.json'))
    expect(other).toMatchObject({ deviceId: first.deviceId, image: first.image })
    expect(other.key).not.toBe(first.key)
    const image = await keyOf('--image', 'other-image')
    expect(image.image).not.toBe(first.image)
    expect(image.key).not.toBe(first.key)
  })

  test('serves v1 only in release 0.6, over TCP', async () => {
    const versionOf = async (release: string) => {
      const { line, stop } = await startCommand(
        ...['simulate', 'agent', host(), '--port', '0', '--dstack-version', release],
      )
      const v1 = await fetch(`${line.address}/v1/Version`)
      const v0 = (await (await fetch(`${line.address}/Version`)).json()) as { version: string }
      await stop()
      return { v1: v1.status, v0: v0.version.slice(0, 3) }
    }

    expect(await versionOf('0.6')).toEqual({ v1: 200, v0: '0.6' })
    expect(await versionOf('0.5')).toEqual({ v1: 404, v0: '0.5' })
  })

  describe('with a KMS', () => {
    let kms: Machine
    let url: string

    beforeAll(async () => {
      kms = await createMachine()
      const configFile = await kms.configure(await kms.newFolder())
      await runBootstrap({ configFile, env: {} })
      url = (await kms.run(configFile)).url
      // a host of the simulator whose root the KMS trusts
      const { simulator } = kms
      await writeSimulatedHost(inFolder('fleet'), {
        seed: toHex(simulator.pki.seed),
        at: simulator.at,
      })
    }, 60_000)
    afterAll(() => kms.stop())

    test('gets the keys of the app and serves them', async () => {
      await kms.chain.setBehaviour('allow')
      const { line, stop } = await startCommand(
        ...['simulate', 'agent', inFolder('fleet'), '--port', '0', '--kms', url],
      )
      const answer = await fetch(`${line.address}/GetKey`, {
        method: 'POST',
        body: JSON.stringify({ path: '', purpose: '' }),
      })
      const { signature_chain: chain } = (await answer.json()) as { signature_chain: string[] }
      const tls = await fetch(`${line.address}/GetTlsKey`, { method: 'POST', body: '{}' })

      expect(line.keyProvider.name).toBe('kms')
      expect(fromHex(chain[1] ?? '', 'signature').some((byte) => byte !== 0)).toBe(true)
      expect(tls.status).toBe(200)
      await stop()
    })

    test('ends with the reason of the KMS if it gets none', async () => {
      await kms.chain.setBehaviour('deny')

      const refused = await assent(
        ...['simulate', 'agent', inFolder('fleet'), '--port', '0', '--kms', url],
      )

      expect(refused.exitCode).toBe(1)
      expect(refused.text).toContain('Device not allowed')
    })

    test('accepts no other KMS than the one that the manifest names', async () => {
      await kms.chain.setBehaviour('allow')
      const compose = inFolder('pinned.json')
      await writeFile(compose, JSON.stringify({ key_provider_id: '3059'.padEnd(182, '0') }))

      const refused = await assent(
        ...['simulate', 'agent', inFolder('fleet'), '--port', '0'],
        ...['--kms', url, '--compose', compose],
      )

      expect(refused.exitCode).toBe(1)
      expect(refused.text).toContain('KMS_PEER_UNTRUSTED')
    })

    test('calls a KMS that does not answer an outage', async () => {
      const refused = await assent(
        ...['simulate', 'agent', inFolder('fleet'), '--port', '0', '--kms', 'https://127.0.0.1:1'],
      )

      expect(refused).toMatchObject({ exitCode: 3 })
      expect(refused.text).toContain('KMS_UNREACHABLE')
    })
  })

  test.each([
    ['neither a socket nor a port', [], 'USAGE_INVALID'],
    ['both', ['--port', '0', '--socket', 'x.sock'], 'USAGE_INVALID'],
    ['a port that is none', ['--port', '65536'], 'USAGE_INVALID'],
    ['an app id that is none', ['--port', '0', '--app-id', '0x12'], 'USAGE_INVALID'],
    ['a KMS that is no URL', ['--port', '0', '--kms', 'kms.example'], 'USAGE_INVALID'],
    ['a missing manifest', ['--port', '0', '--compose', 'missing.json'], 'FILE_UNREADABLE'],
    ['a socket in a missing folder', ['--socket', '/missing/a.sock'], 'ADDRESS_UNUSABLE'],
    ['another release', ['--port', '0', '--release', '0.4'], 'USAGE_INVALID'],
  ])('refuses %s', async (_, args, code) => {
    const refused = await assent('simulate', 'agent', host(), ...args)

    expect(refused.exitCode).toBe(2)
    expect(refused.text).toContain(code)
  })

  test('refuses a socket that exists, and leaves it', async () => {
    const socket = inFolder('taken.sock')
    const { stop } = await startCommand('simulate', 'agent', host(), '--socket', socket)

    const refused = await assent('simulate', 'agent', host(), '--socket', socket)

    expect(refused.exitCode).toBe(2)
    expect(refused.text).toContain('ADDRESS_IN_USE')
    await createAgentClient({ socket }).info()
    await stop()
  })

  test('does not print the secret of a damaged folder', async () => {
    const damaged = inFolder('damaged')
    await startCommand('simulate', 'agent', damaged, '--port', '0')
    const file = join(damaged, 'simulator.json')
    const { seed } = JSON.parse(await readFile(file, 'utf8'))
    await writeFile(file, JSON.stringify({ seed: `${seed}00`, at: 1 }))

    const refused = await assent('simulate', 'agent', damaged, '--port', '0')

    expect(refused.exitCode).toBe(2)
    expect(refused.text).toContain('INPUT_INVALID')
    expect(refused.text).not.toContain(seed)
  })
})

describe('assent simulate pccs', () => {
  test('serves collateral with which quotes of the host verify, in both sets', async () => {
    const socket = inFolder('quoted.sock')
    const agent = await startCommand('simulate', 'agent', host(), '--socket', socket)
    const { quote } = await createAgentClient({ socket }).attest(new Uint8Array(64))
    const { line, stop } = await startCommand('simulate', 'pccs', host(), '--port', '0')
    await assent('simulate', 'host', host())
    const root = new Uint8Array(await readFile(join(host(), 'root.der')))
    const family = { fmspc: line.fmspc, ca: 'platform' } as const

    const numbers = []
    for (const update of ['standard', 'early'] as const) {
      const collateral = await fetchCollateral(family, update, { urls: [line.url] })
      const verdict = verifyQuote(quote, collateral, { at: line.at, root })
      expect(verdict).toMatchObject({ verdict: 'verified', status: 'UpToDate' })
      numbers.push(verdict.verdict === 'verified' && verdict.tcbEvaluationNumbers.tcbInfo)
    }
    const list = readEvaluationNumbers(await fetchEvaluationNumbers({ urls: [line.url] }), root)

    expect(numbers).toEqual(list.numbers.map(({ number }) => number))
    expect(await stop()).toBe(0)
    await agent.stop()
  })

  test('serves documents as of another time', async () => {
    const at = Date.parse('2026-03-01T00:00:00Z') / 1000
    const { line, stop } = await startCommand(
      ...['simulate', 'pccs', host(), '--port', '0', '--at', '2026-03-01T00:00:00Z'],
    )
    const family = { fmspc: line.fmspc, ca: 'platform' } as const
    const { tcb_info } = await fetchCollateral(family, 'standard', { urls: [line.url] })
    await stop()

    expect(line.at).toBe(at)
    expect(JSON.parse(tcb_info).issueDate).toBe('2026-02-28T00:00:00Z')
  })

  test('answers 404 about other families and 400 to questions that it cannot read', async () => {
    const { line, stop } = await startCommand('simulate', 'pccs', host(), '--port', '0')
    const statusOf = async (path: string) => (await fetch(`${line.url}${path}`)).status

    expect(await statusOf('/tdx/certification/v4/tcb?fmspc=00906ed50000')).toBe(404)
    expect(await statusOf('/tdx/certification/v4/tcb?fmspc=short')).toBe(400)
    expect(await statusOf('/tdx/certification/v4/qe/identity?update=late')).toBe(400)
    expect(await statusOf('/sgx/certification/v4/pckcrl?ca=other')).toBe(400)
    await stop()
  })

  test('refuses a port in use and a time that is none', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    const { port } = taken.address() as { port: number }

    const inUse = await assent('simulate', 'pccs', host(), '--port', String(port))
    const noTime = await assent('simulate', 'pccs', host(), '--port', '0', '--at', 'yesterday')

    taken.close()
    expect(inUse.exitCode).toBe(2)
    expect(inUse.text).toContain('ADDRESS_IN_USE')
    expect(noTime.exitCode).toBe(2)
    expect(noTime.text).toContain('USAGE_INVALID')
  })
})
