import { describe, expect, test } from 'vitest'

import { isAssentError } from '../../src/errors/index.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { parseQuote } from '../../src/quote/parse.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { describeRecorded, readVector, readVectorJson } from '../vectors.ts'
import type { RecordedQuote } from './recorded.ts'

describe('a quote whose sizes are smaller than its fields', () => {
  const raw = createSimulator().createPlatform({ name: 'one' }).quote({ version: 4 })
  /** Header and TD report; then the authentication data with its size in front. */
  const authDataAt = 48 + 584 + 4

  /** The field in which the bytes end. */
  function endsIn(bytes: Uint8Array): unknown {
    try {
      parseQuote(bytes)
    } catch (error) {
      if (isAssentError(error, 'QUOTE_TRUNCATED')) return error.facts.field
      throw error
    }
    return 'nothing'
  }

  test.each([
    ['signature', 63],
    ['attestationKey', 64],
    ['attestationKey', 127],
  ])('ends in %s after %i bytes of authentication data', (field, length) => {
    const cut = raw.slice(0, authDataAt + length)
    new DataView(cut.buffer).setUint32(authDataAt - 4, length, true)

    expect(endsIn(cut)).toBe(field)
  })

  test('ends in the authentication data of the quoting enclave', () => {
    const longer = raw.slice()
    const qeAuthSizeAt = authDataAt + 128 + 6 + 384 + 64
    new DataView(longer.buffer).setUint16(qeAuthSizeAt, 0xffff, true)

    expect(endsIn(longer)).toBe('qeAuthData')
  })
})

describeRecorded('parseQuote with recorded quotes', () => {
  const recorded = readVectorJson<RecordedQuote[]>('dcap/vectors.json')

  test.each(recorded.map((entry) => [entry.id, entry] as const))('reads %s', (_, entry) => {
    const quote = parseQuote(readVector(`dcap/${entry.file}`))
    const { report, qeReport } = quote

    expect({
      version: quote.version,
      bodyType: quote.bodyType,
      bytes: quote.length,
      teeTcbSvn: toHex(report.teeTcbSvn),
      teeTcbSvn2: report.teeTcbSvn2 ? toHex(report.teeTcbSvn2) : null,
      mrServiceTd: report.mrServiceTd ? toHex(report.mrServiceTd) : null,
      tdAttributes: toHex(report.tdAttributes),
      xfam: toHex(report.xfam),
      seamAttributes: toHex(report.seamAttributes),
      mrSeam: toHex(report.mrSeam),
      mrSignerSeam: toHex(report.mrSignerSeam),
      mrTd: toHex(report.mrTd),
      mrConfigId: toHex(report.mrConfigId),
      mrOwner: toHex(report.mrOwner),
      mrOwnerConfig: toHex(report.mrOwnerConfig),
      rtmr: report.rtmrs.map(toHex),
      reportData: toHex(report.reportData),
      headerQeSvn: quote.header.qeSvn,
      headerPceSvn: quote.header.pceSvn,
      userData: toHex(quote.header.userData),
      qeAuthDataLen: quote.qeAuthData.length,
    }).toEqual({
      version: entry.version,
      bodyType: entry.bodyType,
      bytes: entry.bytes,
      teeTcbSvn: entry.teeTcbSvn,
      teeTcbSvn2: entry.teeTcbSvn2,
      mrServiceTd: entry.mrServiceTd,
      tdAttributes: entry.tdAttributes,
      xfam: entry.xfam,
      seamAttributes: entry.seamAttributes,
      mrSeam: entry.mrSeam,
      mrSignerSeam: entry.mrSignerSeam,
      mrTd: entry.mrTd,
      mrConfigId: entry.mrConfigId,
      mrOwner: entry.mrOwner,
      mrOwnerConfig: entry.mrOwnerConfig,
      rtmr: entry.rtmr,
      reportData: entry.reportData,
      headerQeSvn: entry.headerQeSvn,
      headerPceSvn: entry.headerPceSvn,
      userData: entry.userData,
      qeAuthDataLen: entry.qeAuthDataLen,
    })
    expect(toHex(qeReport.mrSigner)).toBe(entry.qeReport.mrsigner)
    expect(qeReport.isvProdId).toBe(entry.qeReport.isvprodid)
    expect(qeReport.isvSvn).toBe(entry.qeReport.isvsvn)
    expect(toHex(qeReport.attributes)).toBe(entry.qeReport.attributes)
    expect(quote.pckChain).toHaveLength(3)
    expect(quote.pckChain[0]).toHaveLength(entry.pck.derLen)
  })

  test('refuses a quote that is cut at any length', () => {
    const bytes = readVector('dcap/quotes/dcap-qvl-tdx-quote.bin')
    for (let length = 0; length < bytes.length; length++) {
      let thrown: unknown
      try {
        parseQuote(bytes.subarray(0, length))
      } catch (error) {
        thrown = error
      }
      expect(isAssentError(thrown), `cut at ${length}: ${String(thrown)}`).toBe(true)
    }
  })
})
