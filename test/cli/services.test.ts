/** Services as whole processes: started by the command line, healthy, stopped by a signal. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { type Anvil, anvilKeys, findAnvil, startAnvil } from '../anvil.ts'

const absent = findAnvil() === undefined
if (absent)
  console.warn('\n*** ANVIL ABSENT: the tests of services as processes are SKIPPED. ***\n')

const program = join(import.meta.dirname, '../../bin/assent.js')
const nobody = `0x${'11'.repeat(20)}`

describe.skipIf(absent)('services as processes', () => {
  let anvil: Anvil
  let folder: string
  const children: ChildProcess[] = []

  beforeAll(async () => {
    anvil = await startAnvil()
    folder = await mkdtemp(join(tmpdir(), 'assent-'))
    await writeFile(join(folder, 'collateral.json'), JSON.stringify(createSimulator().collateral()))
  })
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
  })
  afterAll(async () => {
    await anvil.stop()
    await rm(folder, { recursive: true })
  })

  async function run(command: string, settings: object): Promise<ChildProcess> {
    const config = join(folder, `${command}.json`)
    await writeFile(config, JSON.stringify(settings))
    const child = spawn(process.execPath, [program, command, 'run', '--config', config])
    children.push(child)
    return child
  }

  /** The address in the first log line that has one. */
  async function addressOf(child: ChildProcess): Promise<string> {
    if (child.stdout === null) throw new Error('no output')
    for await (const line of createInterface(child.stdout)) {
      const { url } = JSON.parse(line) as { url?: string }
      if (url !== undefined) return url
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

  const webhook = () => ({
    chainView: { insecureSingleEndpoint: anvil.url },
    chainId: 31337,
    kmsContract: nobody,
    finality: { confirmations: 0 },
    maxBlockAgeSeconds: 3600,
    port: 0,
  })
  const relayer = () => ({
    rpcUrls: [anvil.url],
    chainId: 31337,
    finality: 0,
    port: 0,
    operators: [{ name: 'tester', tokenSha256: '00'.repeat(32) }],
    privateKey: anvilKeys[0],
    allowInsecureKey: true,
    dataFolder: join(folder, 'relayer'),
    collateralFile: join(folder, 'collateral.json'),
    trustedRoot: 'intel',
  })

  test('the webhook serves, distinguishes an outage from a denial, and stops', async () => {
    const child = await run('auth', webhook())
    const url = await addressOf(child)

    // no contract at that address: nothing can be decided
    const health = await fetch(`${url}/health`)
    expect([health.status, await health.text()]).toEqual([
      503,
      expect.stringContaining('CONTRACT_MISSING: '),
    ])
    expect((await fetch(url)).status).toBeGreaterThanOrEqual(500)
    expect(await stop(child)).toBe(0)
  })

  test('the relayer serves and stops', async () => {
    const child = await run('relayer', relayer())
    const url = await addressOf(child)

    expect((await fetch(`${url}/health`)).status).toBe(200)
    expect((await fetch(`${url}/v1/quotes`, { method: 'POST', body: '{}' })).status).toBe(401)
    expect(await stop(child)).toBe(0)
  })

  test.each([
    ['auth', { ...webhookWithout('chainId') }],
    ['relayer', { rpcUrls: ['http://127.0.0.1:1'] }],
    ['kms', {}],
  ])('%s does not start with missing settings', async (command, settings) => {
    const child = await run(command, settings)
    let errors = ''
    child.stderr?.on('data', (chunk) => {
      errors += chunk
    })
    const [code] = await once(child, 'close')

    expect(code).toBe(2)
    expect(errors).toContain('CONFIG_INVALID')
  })
})

function webhookWithout(name: string): Record<string, unknown> {
  const settings: Record<string, unknown> = {
    chainView: { insecureSingleEndpoint: 'http://127.0.0.1:1' },
    chainId: 1,
    kmsContract: nobody,
    finality: 'finalized',
    maxBlockAgeSeconds: 3600,
  }
  delete settings[name]
  return settings
}
