/** What a peer sent may reach an error or a log line; how long they are is ours to say. */
import { Writable } from 'node:stream'

import { expect, test } from 'vitest'
import { z } from 'zod'

import { AssentError } from '../../src/errors/index.ts'
import { describeIssues, namesOfIssues } from '../../src/lib/config.ts'
import { createLog } from '../../src/lib/log.ts'
import { parseEventLog } from '../../src/quote/measurements/event-log.ts'

const long = 'é'.repeat(1_000_000)

test('an error keeps a short message and small facts unchanged', () => {
  const facts = {
    found: 'a',
    list: [1, 2n, null, undefined, true],
    inner: { bytes: new Uint8Array(3) },
  }
  const error = new AssentError('INPUT_INVALID', 'A sentence.', { facts })

  expect([error.message, error.facts]).toEqual(['A sentence.', facts])
})

test.each([
  ['a long message', () => new AssentError('INPUT_INVALID', long)],
  ['a long text', () => errorWith({ found: long })],
  ['many long texts', () => errorWith({ found: Array.from({ length: 1_000 }, () => long) })],
  [
    'many members',
    () => errorWith(Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`m${i}`, i]))),
  ],
  ['a member with a long name', () => errorWith({ [long]: 1 })],
  ['lists in lists', () => errorWith({ found: nest(100_000, (value) => [value]) })],
  ['objects in objects', () => errorWith({ found: nest(100_000, (a) => ({ a })) })],
  ['many bytes', () => errorWith({ found: new Uint8Array(1_000_000) })],
])('an error with %s is cut', (_name, make) => {
  expect(JSON.stringify(make()).length).toBeLessThan(32_000)
})

test('a cut text states how much is missing and is valid Unicode', () => {
  const error = new AssentError('INPUT_INVALID', '😀'.repeat(5_000))

  expect(error.message).toMatch(/^😀+… \(\d+ more characters\)$/u)
  expect(error.message.isWellFormed()).toBe(true)
})

test('of many zod issues, the first five are described briefly', () => {
  const schema = z.strictObject({ list: z.array(z.int()) })
  const unknown = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`unknown${i}`, 1]))
  const { error } = schema.safeParse({ list: Array(10_000).fill('x'), ...unknown })
  if (error === undefined) throw new Error('nothing is wrong')

  expect(describeIssues(error)).toMatch(/^list\.0: .*; list\.1: .*; and 9996 more$/)
  expect(describeIssues(error).length).toBeLessThan(1_500)
  expect(namesOfIssues(error)).toEqual(['list.0', 'list.1', 'list.2', 'list.3', 'list.4'])
  const keyed = z.record(z.string(), z.int()).safeParse({ [long]: 'x' }).error
  expect(describeIssues(keyed as z.ZodError).length).toBeLessThan(300)
})

test('an event log is refused at its first wrong event', () => {
  for (const bad of ['0', '{}', '{"imr":0,"unknown":1}']) {
    const text = `[${Array(4_096).fill(bad).join(',')}]`
    const refused = () => parseEventLog(text)
    expect(refused).toThrow(/^Event log: event 0: .{1,900}$/)
    expect(refused).toThrow(expect.objectContaining({ code: 'EVENT_LOG_MALFORMED' }))
  }
  expect(() => parseEventLog(`[${Array(4_097).fill('0').join(',')}]`)).toThrow(/more than 4096/)
})

test('a log line has a bounded size for any content', () => {
  const lines: string[] = []
  const destination = new Writable({
    write: (line, _encoding, done) => {
      lines.push(String(line))
      done()
    },
  })
  const log = createLog({ service: 'test', level: 'info', destination })
  log.error(
    { err: new AssentError('UNEXPECTED', long, { cause: new Error(long), facts: { long } }) },
    'a',
  )
  log.error({ err: new Error(long) }, 'b')
  log.info({ text: long, list: Array(10_000).fill(long), deep: nest(100_000, (a) => ({ a })) }, 'c')

  expect(lines).toHaveLength(3)
  for (const line of lines) expect(line.length).toBeLessThan(64_000)
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['a', 'b', 'c'])
})

function errorWith(facts: Record<string, unknown>): AssentError {
  return new AssentError('INPUT_INVALID', 'A sentence.', { facts })
}

function nest(depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 0
  for (let level = 0; level < depth; level++) value = wrap(value)
  return value
}

test('a log line shows control characters and bidi marks of a peer as escapes', () => {
  const lines: string[] = []
  const destination = { write: (line: string) => lines.push(line) }
  const log = createLog({ service: 'test', level: 'info', destination })
  const hostile = 'a\u001b[2J\u009b8m\u202e\u2028b\n'
  log.warn({ hostile, err: new Error(hostile) }, hostile)

  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/^[\x20-\x7e]+\n$/)
  expect(JSON.parse(lines[0] as string)).toMatchObject({ hostile, msg: hostile })
})
