/** `assent simulate beacon` as a process, followed by the light client of a KMS. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createPublicClient, http } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

import { connectBeaconEndpoint } from '../../src/chain/consensus/beacon-endpoint.ts'
import { executionOf } from '../../src/chain/consensus/execution.ts'
import { createLightClient, type LightClient } from '../../src/chain/consensus/light-client.ts'
import { type Network, parseNetwork } from '../../src/chain/consensus/network.ts'
import { createExecutionHistory } from '../../src/chain/consensus/simulator/execution-history.ts'
import { volatileStoreFolder } from '../../src/chain/consensus/store-folder.ts'
import { fromHex, to0x } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { type Anvil, findAnvil, startAnvil } from '../anvil.ts'
import { startCommand, stopCommands } from './start-command.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests of simulate beacon are SKIPPED. ***\n')

let folder: string
let anvil: Anvil

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-beacon-'))
  if (!absent) anvil = await startAnvil({ mining: 1 })
})
afterEach(stopCommands)
afterAll(async () => {
  await anvil?.stop()
  await rm(folder, { recursive: true })
})

const start = (port = '0') =>
  startCommand(
    ...['simulate', 'beacon', join(folder, 'beacon'), '--port', port],
    ...['--slot', '1s', '--rpc-url', anvil.url],
  )

function connect(network: Network, url: string): LightClient {
  return createLightClient({
    network,
    endpoints: [connectBeaconEndpoint({ url, name: 'simulated', timeoutMs: 5_000 })],
    folder: volatileStoreFolder(),
    clock: systemClock,
  })
}

describe.skipIf(absent)('assent simulate beacon', { timeout: 60_000 }, () => {
  test('lets a light client follow the chain, also after a restart', async () => {
    const { line, stop } = await start()
    const network = parseNetwork(JSON.parse(await readFile(line.network, 'utf8')))
    const client = connect(network, line.url)
    const chain = createPublicClient({ transport: http(anvil.url) })
    const followUntil = (slot: number) =>
      vi.waitFor(
        async () => {
          const { store } = await client.advance()
          expect(store.finalized.slot).toBeGreaterThan(slot)
          return store.finalized
        },
        { timeout: 20_000, interval: 300 },
      )
    expect(network).toMatchObject({ chainId: 31337, secondsPerSlot: 1 })

    await client.begin(fromHex(line.trustedBlockRoot, 'root', 32))
    const first = await followUntil(line.finalizedSlot)
    const execution = executionOf(network, first)
    const hash = to0x(execution?.blockHash ?? new Uint8Array())
    expect((await chain.getBlock({ blockHash: hash })).hash).toBe(hash)
    // the first slots after the start have blocks of their own
    const later = await followUntil(line.finalizedSlot + 16)
    expect(executionOf(network, later)?.blockHash).not.toEqual(execution?.blockHash)

    expect(await stop()).toBe(0)
    await expect(client.advance()).rejects.toMatchObject({ code: 'CONSENSUS_UNREACHABLE' })
    const again = await start(new URL(line.url).port)
    expect(again.line.network).toBe(line.network)
    await followUntil(later.slot)
  })

  test('answers as the beacon API, with the root that an operator asks for', async () => {
    const { line } = await start()
    const get = async (path: string) => {
      const response = await fetch(`${line.url}/eth/v1/${path}`)
      // biome-ignore lint/suspicious/noExplicitAny: tests look at single members of the answer
      const body: any = await response.json().catch(() => undefined)
      return { status: response.status, body }
    }

    const finalized = await get('beacon/headers/finalized')
    const { root } = finalized.body.data
    expect(root).toBe(line.trustedBlockRoot)
    expect((await get(`beacon/light_client/bootstrap/${root}`)).status).toBe(200)
    expect((await get('config/fork_schedule')).body.data).toHaveLength(2)
    expect((await get(`beacon/light_client/bootstrap/0x${'00'.repeat(32)}`)).status).toBe(404)
    expect((await get('beacon/light_client/bootstrap/none')).status).toBe(404)
    expect((await get('beacon/light_client/updates?start_period=-1&count=x')).body).toEqual([])
    expect((await get('node/version')).status).toBe(404)
  })

  test('refuses the folder of another chain', async () => {
    const other = await startAnvil({ args: ['--chain-id', '5'] })
    const started = startCommand(
      ...['simulate', 'beacon', join(folder, 'beacon'), '--port', '0', '--rpc-url', other.url],
    )

    await expect(started).rejects.toThrow(/ended with 2/)
    await other.stop()
  })
})

test('a slot has the newest block before it, and keeps it', () => {
  const blockOf = (number: bigint) => ({
    hash: new Uint8Array(32),
    number,
    stateRoot: new Uint8Array(32),
  })
  const history = createExecutionHistory(blockOf(1n))
  history.add(10, blockOf(2n))
  history.add(12, blockOf(3n))
  history.add(12, blockOf(4n))
  history.add(11, blockOf(5n))

  const numbers = [0, 9, 10, 11, 12, 500].map((slot) => history.at(slot).number)
  expect(numbers).toEqual([1n, 1n, 2n, 2n, 3n, 3n])
})
