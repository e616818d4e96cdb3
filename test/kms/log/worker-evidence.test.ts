/** What a worker sends to the process that writes the log: large light-client messages only once. */
import { expect, test } from 'vitest'

import type { NodeLog } from '../../../src/kms/log/node-log.ts'
import type { StoredEvidence } from '../../../src/kms/log/stored-evidence.ts'
import type { Channel } from '../../../src/kms/workers/channel.ts'
import { type LogStatusMessage, remoteLog, serveLog } from '../../../src/kms/workers/log.ts'
import type { Hex } from '../../../src/lib/bytes.ts'
import { denial, named } from './log-fixture.ts'

type Sent = { readonly evidence?: StoredEvidence; readonly signatures?: readonly unknown[] }

function connect() {
  const written: (StoredEvidence | undefined)[] = []
  const sent: Sent[] = []
  const log = {
    append: async (_: unknown, evidence?: StoredEvidence) => void written.push(evidence),
  } as unknown as NodeLog
  const { append } = serveLog(log) as unknown as { append: (argument: unknown) => Promise<unknown> }
  const channel = {
    ask: (_: string, argument: Sent) => {
      sent.push(argument)
      return append(structuredClone(argument))
    },
  } as unknown as Channel
  return { worker: remoteLog(channel, '/', {} as LogStatusMessage), written, sent }
}

function evidenceOf(part: string, signed: number): StoredEvidence {
  const message = (text: number): Hex => `0x${text.toString(16).padStart(64, '0')}`
  const signatures = [[message(signed), '0x1234']] as const
  return { digest: part, json: '{}', ...named(['0x80']), part, signatures }
}

const entry = denial(1)

test('messages are sent once for all decisions at a block', async () => {
  const { worker, written, sent } = connect()
  const [first, second] = [evidenceOf('a', 1), evidenceOf('b', 1)]
  for (const evidence of [first, first, second]) await worker.append(entry, evidence)

  expect(written.map((each) => each?.signatures)).toEqual(Array(3).fill(first.signatures))
  expect(sent.filter(({ signatures }) => signatures !== undefined)).toHaveLength(1)
  expect(sent.flatMap(({ evidence }) => evidence?.signatures ?? [])).toEqual([])
  // each segment stores them once, which it knows by their identity
  expect(written[0]?.signatures).toBe(written[2]?.signatures)
})

test('messages that the writer dropped are sent again', async () => {
  const { worker, written } = connect()
  const first = evidenceOf('first', 0)
  await worker.append(entry, first)
  for (let block = 1; block < 40; block++) await worker.append(entry, evidenceOf(`${block}`, block))
  await worker.append(entry, first)

  expect(written.at(-1)).toEqual(first)
})

test('a denial without evidence, and evidence without messages, need neither', async () => {
  const { worker, written, sent } = connect()
  await worker.append(entry)
  const plain = { ...evidenceOf('a', 1), signatures: [] }
  await worker.append(entry, plain)

  expect(written).toEqual([undefined, plain])
  expect(sent.every(({ signatures }) => signatures === undefined)).toBe(true)
})
