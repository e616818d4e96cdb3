import { describe, expect, test } from 'vitest'

import { concatBytes, fromHex, toHex } from '../../src/lib/bytes.ts'
import {
  decodeTdxMeasurement,
  encodeTdxMeasurement,
} from '../../src/quote/measurements/measurement-document.ts'
import { foldDigests, measureBoot } from '../../src/quote/measurements/os-image.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { describeRecorded, readVectorJson } from '../vectors.ts'

interface RecordedQuote {
  quote: string
  event_log: string
  vm_config: string
}

interface RecordedEvent {
  imr: number
  digest: string
  event: string
}

describeRecorded('an image that dstack released', () => {
  const load = () => {
    const recorded = readVectorJson<RecordedQuote>('dstack/verifier/tdx-lite-getquote.json')
    const { tdx_measurement, memory_size } = JSON.parse(recorded.vm_config) as {
      tdx_measurement: { measurement: string }
      memory_size: number
    }
    const events = JSON.parse(recorded.event_log) as RecordedEvent[]
    const digest = (name: string) =>
      fromHex(events.find((event) => event.event === name)?.digest ?? '', name, 48)
    return {
      document: new Uint8Array(Buffer.from(tdx_measurement.measurement, 'base64')),
      report: parseQuote(fromHex(recorded.quote, 'quote')).report,
      memorySize: BigInt(memory_size),
      acpi: {
        loader: digest('acpi-loader'),
        rsdp: digest('acpi-rsdp'),
        tables: digest('acpi-tables'),
      },
    }
  }

  test('has the registers computed from its measurement document', () => {
    const { document, report, memorySize, acpi } = load()

    // QEMU 8.2.2 measures in two passes
    const boot = measureBoot(decodeTdxMeasurement(document), { memorySize, twoPass: true }, acpi)

    expect(toHex(boot.mrTd)).toBe(toHex(report.mrTd))
    expect(toHex(foldDigests(boot.rtmr0))).toBe(toHex(report.rtmrs[0]))
    expect(toHex(foldDigests(boot.rtmr1))).toBe(toHex(report.rtmrs[1]))
    expect(toHex(foldDigests(boot.rtmr2))).toBe(toHex(report.rtmrs[2]))
  })

  test('has a measurement document that is encoded to the same bytes', () => {
    const { document } = load()

    expect(encodeTdxMeasurement(decodeTdxMeasurement(document))).toEqual(document)
  })

  test('gives the recorded RTMR0 for a large machine', () => {
    const { document, acpi } = load()
    const large = readVectorJson<{ event_log: string | RecordedEvent[] }>(
      'dstack/verifier/quote-report.json',
    ).event_log
    const events = (typeof large === 'string' ? JSON.parse(large) : large) as RecordedEvent[]

    const boot = measureBoot(
      decodeTdxMeasurement(document),
      { memorySize: 64n << 30n, twoPass: true },
      acpi,
    )

    expect(toHex(boot.rtmr0[0] ?? new Uint8Array())).toBe(events[0]?.digest)
  })
})

describe('a measurement document', () => {
  const document = createImage().measurementDocument

  test('is refused at every shorter length and with a trailing byte', () => {
    for (let length = 0; length < document.length; length++) {
      expect(() => decodeTdxMeasurement(document.slice(0, length))).toThrow(
        expect.objectContaining({ code: 'OS_IMAGE_MEASUREMENT_MALFORMED' }),
      )
    }
    expect(() => decodeTdxMeasurement(concatBytes(document, Uint8Array.of(0)))).toThrow(
      expect.objectContaining({ code: 'OS_IMAGE_MEASUREMENT_MALFORMED' }),
    )
  })

  test.each([
    ['another version', '6776657273696f6e03', '6776657273696f6e04'],
    ['a number that is not minimal', '6776657273696f6e03', '6776657273696f6e1803'],
    ['an unknown member', '6474647666', '6474647667'],
    ['another firmware layout', '69707265323032353035', '69707265323032353036'],
  ])('is refused with %s', (_, from, to) => {
    const changed = toHex(document).replace(from, to)

    expect(changed).not.toBe(toHex(document))
    expect(() => decodeTdxMeasurement(fromHex(changed, 'document'))).toThrow(
      expect.objectContaining({ code: 'OS_IMAGE_MEASUREMENT_MALFORMED' }),
    )
  })
})

describe('the memory map of a measurement document', () => {
  const digest = new Uint8Array(48)
  const acpi = { loader: digest, rsdp: digest, tables: digest }
  const measure = (tdHob: string, memorySize = 2n ** 31n) =>
    measureBoot(
      { ...createImage().measurement, tdHob: fromHex(tdHob, 'witness') },
      { memorySize, twoPass: false },
      acpi,
    )

  test.each([
    ['nothing', ''],
    ['a number that is cut off', '80100904000609020b021090'],
    ['a number in a longer form than needed', '80100984000006'],
    ['a number beyond any memory', `${'ff'.repeat(9)}01`],
    ['fewer ranges than it says', '80100904000609020b02'],
    ['more ranges than it says', '80100904000609020b0210102010'],
    ['a count that no memory holds', '801009ffffffffffff7f'],
    ['an address beyond physical memory', '80ffffffffff0f0900'],
    ['ranges that overlap', '8010090200060102'],
    ['ranges out of order', '8010090209020006'],
    ['an empty range', '801009010000'],
  ])('is refused with %s', (_, witness) => {
    expect(() => measure(witness)).toThrow(
      expect.objectContaining({ code: 'OS_IMAGE_MEASUREMENT_MALFORMED' }),
    )
  })

  test('is refused if the machine has less memory', () => {
    expect(() => measure('80100904000609020b021010', 4096n)).toThrow(
      expect.objectContaining({ code: 'OS_IMAGE_MEASUREMENT_MALFORMED' }),
    )
  })
})
