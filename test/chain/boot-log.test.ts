import { beforeAll, describe, expect, test } from 'vitest'

import { bootLogAbi } from '../../src/chain/abi.ts'
import { type Hex, to0x } from '../../src/lib/bytes.ts'
import {
  parseEventLog,
  replayRtmr3,
  type TdxEvent,
} from '../../src/quote/measurements/event-log.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { syntheticRoot } from '../synthetic.ts'
import { describeRecorded, readVectorJson } from '../vectors.ts'
import { createVerifierChain, type VerifierChain } from './verifier/verifier-chain.ts'

let chain: VerifierChain
let address: Hex

beforeAll(async () => {
  chain = await createVerifierChain(syntheticRoot)
  address = await chain.bootLog()
})

async function replay(events: readonly { name: string; payload: Hex; version: number }[]) {
  const [rtmr, boot] = await chain.clients.publicClient.readContract({
    address,
    abi: bootLogAbi,
    functionName: 'replay',
    args: [events],
  })
  return { rtmr: `${rtmr.hi}${rtmr.lo.slice(2)}`, boot }
}

function runtime(events: readonly TdxEvent[]) {
  return events
    .filter(({ imr }) => imr === 3)
    .map(({ event, payload, version }) => ({ name: event, payload: to0x(payload), version }))
}

function log(
  events: readonly { name: string; payload: Uint8Array; version?: 1 | 2 }[],
): TdxEvent[] {
  return parseEventLog(
    events.map(({ name, payload, version }) => ({
      imr: 3,
      event_type: 0x0800_0001,
      digest: '',
      event: name,
      event_payload: Buffer.from(payload).toString('hex'),
      ...(version === 2 ? { version } : {}),
    })),
  )
}

describe('BootLog', () => {
  // SHA-384 takes blocks of 128 bytes, of which 17 are padding: lengths on both sides of each border
  test.each([0, 1, 90, 91, 92, 93, 94, 95, 96, 97, 98, 107, 108, 109, 219, 220, 221, 222, 400])(
    'hashes a payload of %i bytes as node:crypto does',
    async (length) => {
      const payload = Uint8Array.from({ length }, (_, i) => (i * 131 + length) & 0xff)
      const events = log([
        { name: 'one', payload },
        { name: 'two', payload, version: 2 },
      ])

      expect((await replay(runtime(events))).rtmr).toBe(to0x(replayRtmr3(events)))
    },
  )

  test('uses the first event of a name, and no event after system-ready', async () => {
    const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill)
    const events = log([
      { name: 'system-preparing', payload: bytes(0, 0) },
      { name: 'app-id', payload: bytes(20, 1) },
      { name: 'compose-hash', payload: bytes(32, 2) },
      { name: 'compose-hash', payload: bytes(32, 3) },
      { name: 'boot-mr-done', payload: bytes(0, 0) },
      { name: 'system-ready', payload: bytes(0, 0) },
      { name: 'instance-id', payload: bytes(20, 4) },
    ])
    const { rtmr, boot } = await replay(runtime(events))

    expect(rtmr).toBe(to0x(replayRtmr3(events)))
    expect(boot.appId).toBe(to0x(bytes(20, 1)))
    expect(boot.composeHash).toBe(to0x(bytes(32, 2)))
    expect(boot.instanceId).toBe(to0x(bytes(20, 0)))
    expect(boot.isReady).toBe(true)
  })

  test('refuses identities of another length', async () => {
    await expect(replay([{ name: 'compose-hash', payload: '0x00', version: 1 }])).rejects.toThrow(
      /EventMalformed/,
    )
    await expect(replay([{ name: 'app-id', payload: '0x', version: 3 }])).rejects.toThrow(
      /EventMalformed/,
    )
  })
})

describeRecorded('BootLog on recorded logs', () => {
  test('replays a real boot to the RTMR3 of its quote', async () => {
    const recorded = readVectorJson<{ quote: string; event_log: unknown }>(
      'dstack/verifier/tdx-lite-getquote.json',
    )
    const quote = parseQuote(new Uint8Array(Buffer.from(recorded.quote, 'hex')))
    const { rtmr, boot } = await replay(runtime(parseEventLog(recorded.event_log)))

    expect(rtmr).toBe(to0x(quote.report.rtmrs[3]))
    expect(boot.composeHash).not.toBe(`0x${'00'.repeat(32)}`)
    expect(Buffer.from(boot.keyProvider.slice(2), 'hex').toString()).toMatch(/^\{"name":"kms"/)
  })
})
