import { decode, encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { isAssentError } from '../../src/errors/index.ts'
import { concatBytes, equalBytes, toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import {
  type Attestation,
  decodeAttestation,
  encodeAttestation,
} from '../../src/quote/attestation.ts'
import { runtimeEventDigest, runtimeEventPreimage } from '../../src/quote/measurements/event-log.ts'
import { describeRecorded, readVector, readVectorJson } from '../vectors.ts'

interface RecordedEvent {
  imr: number
  event_type: number
  digest: string
  event: string
  event_payload: string
}

interface RecordedAttestation {
  quote: { quote: string; event_log: RecordedEvent[] }
  runtime_events: { event: string; payload: string }[]
  report_data: string
  config: string
}

const sample: Attestation = {
  quote: Uint8Array.of(1, 2, 3),
  eventLog: [
    {
      imr: 3,
      eventType: 0x08000001,
      digest: new Uint8Array(48).fill(1),
      event: 'app-id',
      payload: Uint8Array.of(4),
      version: 1,
    },
  ],
  runtimeEvents: [{ name: 'app-id', payload: Uint8Array.of(4), version: 1 }],
  reportData: new Uint8Array(64).fill(2),
  config: '{"é":1}',
}

describeRecorded('recorded attestations', () => {
  test.each([
    [
      'dstack/simulator-current/attestation.bin',
      'dstack/simulator-current/attestation.decoded.json',
    ],
    [
      'dstack/verifier/tdx-lite-attestation.bin',
      'dstack/verifier/tdx-lite-attestation.decoded.json',
    ],
  ])('%s decodes as recorded and encodes to the same bytes', (file, decoded) => {
    const bytes = readVector(file)
    const expected = readVectorJson<RecordedAttestation>(decoded)

    const attestation = decodeAttestation(bytes)

    expect(toHex(attestation.quote)).toBe(expected.quote.quote)
    expect(
      attestation.eventLog.map((event) => ({
        imr: event.imr,
        event_type: event.eventType,
        digest: toHex(event.digest),
        event: event.event,
        event_payload: toHex(event.payload),
      })),
    ).toEqual(expected.quote.event_log)
    expect(
      attestation.runtimeEvents.map(({ name, payload }) => ({
        event: name,
        payload: toHex(payload),
      })),
    ).toEqual(expected.runtime_events)
    expect(toHex(attestation.reportData)).toBe(expected.report_data)
    expect(attestation.config).toBe(expected.config)
    expect(toHex(encodeAttestation(attestation))).toBe(toHex(bytes))
  })

  test.each([
    'dstack/verifier/sev-snp-attestation.bin',
    'dstack/other-platforms/dstack-attest-nitro_attestation.bin',
  ])('%s is refused, because its platform is not supported', (file) => {
    expect(() => decodeAttestation(readVector(file))).toThrow(
      expect.objectContaining({ code: 'ATTESTATION_UNSUPPORTED' }),
    )
  })
})

describe('an attestation of version 0', () => {
  const bytes = encodeAttestation(sample)

  test('is unchanged after encoding and decoding', () => {
    expect(decodeAttestation(bytes)).toEqual(sample)
  })

  test('is refused at every shorter length', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeAttestation(bytes.slice(0, length))).toThrow(
        expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }),
      )
    }
  })

  test('is refused with trailing bytes', () => {
    expect(() => decodeAttestation(concatBytes(bytes, Uint8Array.of(0)))).toThrow(
      expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }),
    )
  })

  test.each([
    ['a length in two bytes that fits one', Uint8Array.of(0, 0, (3 << 2) | 1, 0, 1, 2, 3)],
    ['a length in four bytes that fits one', Uint8Array.of(0, 0, (3 << 2) | 2, 0, 0, 0, 1, 2, 3)],
    ['a length of big-integer form', Uint8Array.of(0, 0, 3, 3, 0, 0, 0)],
    ['a platform that does not exist', Uint8Array.of(0, 9)],
    ['an unknown version', Uint8Array.of(1, 0)],
    ['nothing', new Uint8Array()],
  ])('is refused with %s', (_, head) => {
    expect(() => decodeAttestation(concatBytes(head, bytes.slice(6)))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^ATTESTATION_/) }),
    )
  })

  test('can have lengths of every width', () => {
    for (const length of [0, 63, 64, 16_383, 16_384, 100_000]) {
      const attestation = { ...sample, quote: new Uint8Array(length).fill(7) }
      expect(decodeAttestation(encodeAttestation(attestation))).toEqual(attestation)
    }
  })

  test('is refused with text that is not UTF-8', () => {
    const broken = new Uint8Array(bytes)
    broken[broken.length - 5] = 0xff

    expect(() => decodeAttestation(broken)).toThrow(
      expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }),
    )
  })
})

describe('an attestation of version 1', () => {
  const second: Attestation = {
    ...sample,
    eventLog: sample.eventLog.map((event) => ({ ...event, version: 2 as const })),
    runtimeEvents: sample.runtimeEvents.map((event) => ({ ...event, version: 2 as const })),
  }

  test('is unchanged after encoding and decoding', () => {
    const bytes = encodeAttestation(second)

    expect(bytes[0]).toBe(0x83)
    expect(decodeAttestation(bytes)).toEqual(second)
  })

  describe('with events of version 2', () => {
    const preimage = runtimeEventPreimage('app-id', Uint8Array.of(4), 2)
    const digest = runtimeEventDigest('app-id', Uint8Array.of(4), 2)
    const [event] = sample.eventLog
    const withPreimage = { ...second, eventLog: [{ ...event, version: 2, digest, preimage }] }
    const bytes = encodeAttestation(withPreimage as Attestation)
    const written = (value: unknown) => {
      const map = decode(bytes) as { platform: { data: { event_log: Record<string, unknown>[] } } }
      Object.assign(map.platform.data.event_log[0] ?? {}, { preimage: value })
      return encode(map)
    }

    test('contains the preimage as hexadecimal text beside the digest', () => {
      const map = decode(bytes) as { platform: { data: { event_log: unknown[] } } }
      expect(map.platform.data.event_log).toEqual([
        {
          imr: 3,
          event_type: 0x08000001,
          digest,
          event: 'app-id',
          event_payload: Uint8Array.of(4),
          version: 2,
          preimage: toHex(preimage),
        },
      ])
    })

    test('is decoded with the preimage as hex in either case or as bytes', () => {
      for (const form of [
        toHex(preimage),
        toHex(preimage).toUpperCase(),
        preimage,
        [...preimage],
      ]) {
        expect(decodeAttestation(written(form))).toEqual(withPreimage)
      }
      expect(decodeAttestation(written(null)).eventLog[0]?.preimage).toBeUndefined()
      for (const wrong of ['0', '0x00', 'zz', '00 ', 7, { a: 1 }]) {
        expect(() => decodeAttestation(written(wrong))).toThrow(
          expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }),
        )
      }
    })
  })

  test('is decoded with bytes as binary or as lists of numbers', () => {
    const map = (quote: unknown) => ({
      version: 1,
      platform: { kind: 'tdx', data: { quote, event_log: [] } },
      stack: {
        kind: 'dstack',
        data: { report_data: new Uint8Array(64), runtime_events: [], config: '' },
      },
    })

    expect(decodeAttestation(encode(map([1, 255]))).quote).toEqual(Uint8Array.of(1, 255))
    expect(decodeAttestation(encode(map(Uint8Array.of(1, 255)))).quote).toEqual(
      Uint8Array.of(1, 255),
    )
    for (const wrong of [[256], [-1], [1.5], 'AQ==', null]) {
      expect(() => decodeAttestation(encode(map(wrong)))).toThrow(
        expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }),
      )
    }
  })

  test('is refused with a repeated key at any depth', () => {
    const bytes = encodeAttestation(second)
    const places = mapsOf(bytes)
    expect(places.length).toBeGreaterThan(5)
    for (const { at, firstPair } of places) {
      const doubled = concatBytes(
        bytes.subarray(0, at),
        Uint8Array.of((bytes[at] as number) + 1),
        firstPair,
        bytes.subarray(at + 1),
      )
      expect(decode(doubled), 'to its library it is the same').toEqual(decode(bytes))
      expect(() => decodeAttestation(doubled), `map at ${at}`).toThrow(
        expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }),
      )
    }
  })

  test.each([
    ['a key in a longer form', (key: Uint8Array) => concatBytes(Uint8Array.of(0xd9), key)],
    ['a key as binary', (key: Uint8Array) => concatBytes(Uint8Array.of(0xc4), key)],
  ])('is refused with %s', (_, rewrite) => {
    const bytes = encodeAttestation(second)
    const key = concatBytes(Uint8Array.of(7), utf8ToBytes('version'))

    expect(() =>
      decodeAttestation(concatBytes(bytes.subarray(0, 1), rewrite(key), bytes.subarray(9))),
    ).toThrow(expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }))
  })

  test.each([0, 63, 65])('is refused with %d bytes of report data', (length) => {
    const message = decode(encodeAttestation(second)) as {
      stack: { data: { report_data: number[] } }
    }
    message.stack.data.report_data = Array(length).fill(1)

    expect(() => decodeAttestation(encode(message))).toThrow(
      expect.objectContaining({ code: 'ATTESTATION_MALFORMED', facts: { found: length } }),
    )
  })

  test('is refused if it is cut, extended or of another platform', () => {
    const bytes = encodeAttestation(second)
    const nitro = encode({
      version: 1,
      platform: { kind: 'nitro-enclave', data: {} },
      stack: { kind: 'dstack', data: {} },
    })

    expect(() => decodeAttestation(bytes.slice(0, -1))).toThrow(
      expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }),
    )
    expect(() => decodeAttestation(concatBytes(bytes, utf8ToBytes('x')))).toThrow(
      expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }),
    )
    expect(() => decodeAttestation(nitro)).toThrow(
      expect.objectContaining({ code: 'ATTESTATION_UNSUPPORTED' }),
    )
  })
})

describe('decodeAttestation compared with a complete MessagePack decoder', () => {
  const v2 = { ...sample, runtimeEvents: sample.runtimeEvents.map(asSecond) }
  const variants = [
    v2,
    { ...v2, eventLog: [] },
    { ...v2, quote: new Uint8Array(70_000).fill(200), config: 'x'.repeat(300) },
    { ...v2, eventLog: Array.from({ length: 20 }, () => asSecond(sample.eventLog[0] as never)) },
  ].map(encodeAttestation)
  // members in another order, bytes as lists, nil for absent members
  const rewritten = variants.map((bytes) => encode(reorder(decode(bytes))))

  test('returns the same for valid attestations, with members in any order', () => {
    for (const bytes of [...variants, ...rewritten]) {
      expect(decodeAttestation(bytes)).toEqual(byLibrary(bytes))
    }
  })

  test('accepts the same mutated attestations with the same content', () => {
    let accepted = 0
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 2 })
    fc.assert(
      fc.property(
        fc.constantFrom(...variants.slice(0, 2), ...rewritten.slice(0, 2)),
        edits,
        (seed, list) => {
          const bytes = new Uint8Array(seed)
          for (const [at, value] of list) bytes[at % bytes.length] = value
          const expected = attempt(() => byLibrary(bytes))
          if (bytes[0] !== 0x83) return
          expect(attempt(() => decodeAttestation(bytes))).toEqual(expected)
          if (expected !== undefined) accepted++
        },
      ),
      { numRuns: 4000 },
    )
    expect(accepted).toBeGreaterThan(100)
  })

  test('refuses an oversized header at any position without allocating memory', () => {
    const [seed] = variants as [Uint8Array]
    const heads = [0x8f, 0x9f, 0xbf, 0xc1, 0xc6, 0xc9, 0xd8, 0xdb, 0xdd, 0xdf]
    const before = process.memoryUsage()
    for (const first of heads) {
      for (let at = 1; at < seed.length; at += 3) {
        const bomb = Uint8Array.of(first, 0x00, 0xa0, 0x00, 0x00)
        const bytes = concatBytes(seed.subarray(0, at), ...Array.from({ length: 60 }, () => bomb))
        expect(() => decodeAttestation(bytes)).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^ATTESTATION_/) }),
        )
      }
    }
    const after = process.memoryUsage()
    const grown = after.heapUsed + after.external - before.heapUsed - before.external
    expect(grown).toBeLessThan(256 * 2 ** 20)
  })

  test('needs little time for a large well-formed attestation', () => {
    const map = (quote: unknown, log: unknown) =>
      encode({
        version: 1,
        platform: { kind: 'tdx', data: { quote, event_log: log } },
        stack: {
          kind: 'dstack',
          data: { report_data: Array(64).fill(0), runtime_events: [], config: '' },
        },
      })
    const bombs = [
      map(
        [1],
        Array.from({ length: 1_000_000 }, () => ({})),
      ),
      map(
        [1],
        Array.from({ length: 1_000_000 }, () => []),
      ),
      map(
        Array.from({ length: 1_000_000 }, () => ({})),
        [],
      ),
    ]
    for (const bytes of bombs) {
      const before = process.memoryUsage().heapUsed
      expect(() => decodeAttestation(bytes)).toThrow(
        expect.objectContaining({ code: 'ATTESTATION_MALFORMED' }),
      )
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(32 * 2 ** 20)
    }
  })
})

describe('decodeAttestation with random bytes', () => {
  const seeds = [
    encodeAttestation(sample),
    encodeAttestation({
      ...sample,
      runtimeEvents: sample.runtimeEvents.map((event) => ({ ...event, version: 2 as const })),
    }),
  ]
  const mutated = fc
    .record({
      seed: fc.constantFrom(...seeds),
      edits: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      cut: fc.option(fc.nat()),
    })
    .map(({ seed, edits, cut }) => {
      const bytes = new Uint8Array(cut === null ? seed : seed.slice(0, cut % seed.length))
      for (const [at, value] of edits) bytes[at % bytes.length] = value
      return bytes
    })

  test('decodes them or throws a typed error; version 0 has one encoding', () => {
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        let attestation: Attestation
        try {
          attestation = decodeAttestation(bytes)
        } catch (error) {
          return isAssentError(error) && error.code.startsWith('ATTESTATION_')
        }
        return bytes[0] !== 0 || equalBytes(encodeAttestation(attestation), bytes)
      }),
      { numRuns: 5000 },
    )
  })
})

function asSecond<E extends { version: 1 | 2 }>(event: E): E {
  return { ...event, version: 2 }
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch {
    return undefined
  }
}

function reorder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reorder)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return value.length < 60 ? [...value] : value
  const entries = Object.entries(value).map(([name, member]) => [name, reorder(member)])
  return Object.fromEntries(entries.reverse())
}

interface WireEvent {
  imr: unknown
  event_type: unknown
  digest: unknown
  event: unknown
  event_payload: unknown
  payload: unknown
  version?: unknown
}

/** Decodes everything and compares with what it would write: the slow and trusting way, as an oracle. */
function byLibrary(bytes: Uint8Array): Attestation {
  const root = decode(bytes) as Record<string, Record<string, Record<string, unknown>>>
  if (!equalBytes(encode(root), bytes)) throw new Error('another form')
  const only = <T extends object>(
    value: unknown,
    required: string[],
    optional: string[] = [],
  ): T => {
    const keys = Object.keys(value as T)
    const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value)
    const hasAll = required.every((key) => keys.includes(key))
    if (isPlain && hasAll && keys.every((key) => [...required, ...optional].includes(key))) {
      return value as T
    }
    throw new Error('other members')
  }
  const octets = (value: unknown): Uint8Array => {
    if (value instanceof Uint8Array) return new Uint8Array(value)
    const isList = Array.isArray(value)
    if (isList && value.every((v) => Number.isInteger(v) && v >= 0 && v <= 255)) {
      return Uint8Array.from(value)
    }
    throw new Error('not bytes')
  }
  const of = <T>(kind: string, value: unknown): T => {
    if (typeof value !== kind) throw new Error(`not ${kind}`)
    return value as T
  }
  const u32 = (value: unknown) => {
    if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32)
      return value as number
    throw new Error('not a number')
  }
  const version = (value: unknown): 1 | 2 => {
    if (value === undefined || value === null || value === 1) return 1
    if (value === 2) return 2
    throw new Error('version')
  }
  const list = (value: unknown): unknown[] => {
    if (Array.isArray(value)) return value
    throw new Error('not a list')
  }
  only(root, ['version', 'platform', 'stack'])
  if ((root as Record<string, unknown>).version !== 1) throw new Error('version')
  const platform = only<Record<string, unknown>>(root.platform, ['kind', 'data'])
  const stack = only<Record<string, unknown>>(root.stack, ['kind', 'data'])
  if (platform.kind !== 'tdx' || stack.kind !== 'dstack') throw new Error('kind')
  const tdx = only<Record<string, unknown>>(platform.data, ['quote', 'event_log'])
  const guest = only<Record<string, unknown>>(stack.data, [
    'report_data',
    'runtime_events',
    'config',
  ])
  const logged = ['imr', 'event_type', 'digest', 'event', 'event_payload']
  const reportData = octets(guest.report_data)
  if (reportData.length !== 64) throw new Error('report data')
  return {
    quote: octets(tdx.quote),
    eventLog: list(tdx.event_log).map((value) => {
      const event = only<WireEvent & { preimage?: unknown }>(value, logged, ['version', 'preimage'])
      if (event.preimage !== undefined && event.preimage !== null) throw new Error('not made here')
      return {
        imr: u32(event.imr),
        eventType: u32(event.event_type),
        digest: octets(event.digest),
        event: of<string>('string', event.event),
        payload: octets(event.event_payload),
        version: version(event.version),
      }
    }),
    runtimeEvents: list(guest.runtime_events).map((value) => {
      const event = only<WireEvent>(value, ['event', 'payload'], ['version'])
      return {
        name: of<string>('string', event.event),
        payload: octets(event.payload),
        version: version(event.version),
      }
    }),
    reportData,
    config: of<string>('string', guest.config),
  }
}

/** Where the maps of a version 1 attestation begin, and the first pair of each. */
function mapsOf(bytes: Uint8Array): { at: number; firstPair: Uint8Array }[] {
  const found: { at: number; firstPair: Uint8Array }[] = []
  const walk = (value: unknown, from: number): void => {
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return
    if (Array.isArray(value)) {
      for (const item of value) walk(item, from)
      return
    }
    const [first] = Object.entries(value)
    if (first === undefined) return
    const at = Buffer.from(bytes).indexOf(encode(value), from)
    found.push({ at, firstPair: concatBytes(encode(first[0]), encode(first[1])) })
    for (const member of Object.values(value)) walk(member, at + 1)
  }
  walk(decode(bytes), 0)
  return found
}
