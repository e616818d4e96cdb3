/** Every recorded document of Intel, and every body type. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { parseCertificate } from '../../src/quote/certificates/certificate.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { parseQeIdentity } from '../../src/quote/collateral/qe-identity.ts'
import { parseTcbInfo } from '../../src/quote/collateral/tcb-info.ts'
import { type BodyType, parseQuote } from '../../src/quote/parse.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { describeRecorded, readVector, readVectorText, vectorsFolder } from '../vectors.ts'

describeRecorded("Intel's sample documents", () => {
  const { key } = parseCertificate(
    readVector('dcap/certs/tcb_signing_2025-2032.der'),
    'TCB signing',
  )
  const files = readdirSync(join(vectorsFolder as string, 'dcap/collateral'))

  /** The signed text, exactly as served, between the envelope's parts. */
  function open(file: string, name: string): string {
    const body = readVectorText(`dcap/collateral/${file}`)
    const match = new RegExp(`^\\{"${name}":(.*),"signature":"([0-9a-f]{128})"\\}$`, 's').exec(
      body.trim(),
    )
    if (match === null) throw new Error(`${file} has another envelope.`)
    const [, text, signature] = match as unknown as [string, string, string]
    expect(key.verifies(Buffer.from(text), Buffer.from(signature, 'hex')), file).toBe(true)
    return text
  }

  const tcbInfos = files.filter((file) => file.startsWith('tcbinfo_tdx_'))
  const identities = files.filter((file) => file.startsWith('qeid_td_'))

  test.each(tcbInfos)('are parsed: %s', (file) => {
    const info = parseTcbInfo(open(file, 'tcbInfo'))

    expect(info.tcbEvaluationNumber).toBe(Number(/_eval(\d+)_/.exec(file)?.[1]))
    expect(Buffer.from(info.fmspc).toString('hex')).toBe(/tdx_([0-9a-f]{12})_/.exec(file)?.[1])
    expect(info.nextUpdate - info.issueDate).toBe(30 * 86_400)
    expect(info.levels.length).toBeGreaterThan(0)
  })

  test.each(identities)('have the expected verdict: %s', (file) => {
    const identity = parseQeIdentity(open(file, 'enclaveIdentity'))

    expect(identity.tcbEvaluationNumber).toBe(Number(/_eval(\d+)_/.exec(file)?.[1]))
    expect(identity.isvProdId).toBe(2)
    expect(identity.miscSelectMask).toBe(0xffff_ffff)
  })

  test('are refused if the inner certification data of a quote is not a certificate chain', () => {
    const sample = readVector('dcap/extra/intel_sample_tdx/quote.dat')

    expect(() => parseQuote(sample)).toThrowError(
      expect.objectContaining({ code: 'QUOTE_PEM_MALFORMED' }),
    )
  })
})

describe('every version and body type', () => {
  const at = Date.UTC(2026, 7, 20) / 1000
  const simulator = createSimulator({ at, seed: new Uint8Array(32).fill(5) })
  const collateral = parseCollateral(simulator.collateral())
  const platform = simulator.createPlatform()

  test.each<[4 | 5, BodyType, number]>([
    [4, 2, 632],
    [5, 2, 638],
    [5, 3, 702],
    [5, 4, 939],
  ])('version %d with body type %d verifies', (version, bodyType, signedLength) => {
    const ex = Uint8Array.from({ length: 237 }, (_, index) => index)
    const quote = platform.quote({
      version,
      bodyType,
      td: bodyType === 4 ? { ex } : {},
    })
    const verdict = verifyQuote(quote, collateral, { at, root: simulator.rootCertificate })

    expect(verdict).toMatchObject({ verdict: 'verified', status: 'UpToDate' })
    if (verdict.verdict !== 'verified') return
    const { signedBytes, report } = verdict.quote
    expect(signedBytes).toHaveLength(signedLength)
    expect(report.teeTcbSvn2 !== undefined).toBe(bodyType !== 2)
    expect(verdict.current !== undefined).toBe(bodyType !== 2)
    if (bodyType !== 4) return
    expect(report.extension?.vmId).toBe(0)
    expect(report.extension?.tdId).toEqual(ex.subarray(1, 33))
    expect(report.extension?.currentServiceTdAttributes).toEqual(ex.subarray(229))
  })
})
