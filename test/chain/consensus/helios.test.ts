/** Helios, another light client, on the recorded data of mainnet: it must name the same final block, and refuse the same. */
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

import {
  type RawMessage,
  readBootstrap,
  readFinalityUpdate,
  readUpdate,
} from '../../../src/chain/consensus/messages.ts'
import { timeOfSlot } from '../../../src/chain/consensus/network.ts'
import { mainnet } from '../../../src/chain/consensus/networks.ts'
import { beginStore, takeUpdate } from '../../../src/chain/consensus/store.ts'
import { to0x } from '../../../src/lib/bytes.ts'
import { describeRecorded, readVectorJson } from '../../vectors.ts'

interface Recorded {
  readonly version: string
  readonly data: Record<string, unknown>
}

interface Messages {
  readonly bootstrap: Recorded
  readonly updates: Recorded[]
  readonly finality: Recorded
}

const now = timeOfSlot(mainnet, 7_109_432)

function read(): Messages {
  const one = <T>(name: string) => readVectorJson<T>(`light-client/recorded/${name}.json`)
  return {
    bootstrap: one('bootstrap'),
    updates: one('updates'),
    finality: one('finality'),
  }
}

/** The final execution block by our light client. @throws CONSENSUS_* */
function ours({ bootstrap, updates, finality }: Messages): string {
  const begun = readBootstrap(mainnet, rawOf(bootstrap))
  let store = beginStore(mainnet, begun.header.root, begun, now)
  for (const each of updates) {
    store = takeUpdate(mainnet, store, readUpdate(mainnet, rawOf(each)), now).store
  }
  const last = readFinalityUpdate(mainnet, rawOf(finality))
  const { execution } = takeUpdate(mainnet, store, last, now).store.finalized
  return to0x(execution?.blockHash ?? new Uint8Array())
}

/** The same by Helios, from a real HTTP server. */
async function helios(messages: Messages): Promise<{ hash?: string; refused?: string }> {
  const { bootstrap, updates, finality } = messages
  const root = to0x(readBootstrap(mainnet, rawOf(read().bootstrap)).header.root)
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    const slot = /\/blocks\/(\d+)$/.exec(path)?.[1]
    const send = (body: unknown) => response.end(JSON.stringify(body))
    response.setHeader('content-type', 'application/json')
    if (path.includes('/bootstrap/')) send(bootstrap)
    else if (path.includes('/updates')) send(updates)
    else if (path.includes('/finality_update')) send(finality)
    else if (slot !== undefined) send(readVectorJson(`light-client/recorded/blocks/${slot}.json`))
    else response.writeHead(404).end()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    const script = new URL('helios-process.ts', import.meta.url).pathname
    const ran = await promisify(execFile)(process.execPath, [script, url, root, `${now}`], {
      timeout: 60_000,
    })
    return JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '') as { hash?: string }
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

function rawOf({ version, data }: Recorded): RawMessage {
  return { fork: version, data: { json: data } }
}

describeRecorded('Helios on recorded data of mainnet', () => {
  test('names the same final block', async () => {
    const messages = read()
    expect(await helios(messages)).toEqual({ hash: ours(messages) })
  }, 90_000)

  test.each<[string, (messages: Messages) => void]>([
    ['another signature', ({ finality }) => changeBits(finality)],
    [
      'another finalized header',
      ({ finality }) => {
        const { beacon } = finality.data.finalized_header as { beacon: Record<string, string> }
        beacon.slot = '7109312'
      },
    ],
    [
      'another committee',
      ({ bootstrap }) => {
        const { pubkeys } = bootstrap.data.current_sync_committee as { pubkeys: string[] }
        pubkeys.reverse()
      },
    ],
  ])(
    'refuses %s, as we do',
    async (_, change) => {
      const messages = read()
      change(messages)
      expect(() => ours(messages)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^CONSENSUS_/) }),
      )
      expect(await helios(messages)).toEqual({ refused: expect.any(String) })
    },
    90_000,
  )
})

/** One member less than those who signed. */
function changeBits({ data }: Recorded): void {
  const aggregate = data.sync_aggregate as { sync_committee_bits: string }
  const bits = Buffer.from(aggregate.sync_committee_bits.slice(2), 'hex')
  const at = bits.findIndex((byte) => byte > 0)
  bits[at] = (bits[at] as number) & ((bits[at] as number) - 1)
  aggregate.sync_committee_bits = to0x(bits)
}
