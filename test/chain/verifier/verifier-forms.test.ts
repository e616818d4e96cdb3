import { encodeFunctionData, type Hex, parseEventLogs, stringToHex } from 'viem'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { quoteVerifierAbi } from '../../../src/chain/abi.ts'
import { sendCall } from '../../../src/chain/call.ts'
import { contractQuoteFields } from '../../../src/chain/verifier/verdicts.ts'
import { fromHex, to0x, utf8ToBytes } from '../../../src/lib/bytes.ts'
import { type Collateral, parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import {
  encodeOfSameKey,
  encodeWithKnownKey,
  encodeWithKnownPck,
  encodeWithLeaf,
} from '../../../src/quote/compact.ts'
import { parseQuote } from '../../../src/quote/parse.ts'
import type { CollateralOptions } from '../../../src/tee/simulator/collateral.ts'
import { editDer, tlv, toPemChain } from '../../../src/tee/simulator/der.ts'
import { deriveKey } from '../../../src/tee/simulator/key.ts'
import {
  createPckCa,
  createTcbSigning,
  deriveSerial,
  issuePck,
} from '../../../src/tee/simulator/pki.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import { createVerifierChain, statuses, type VerifierChain, verdicts } from './verifier-chain.ts'

const day = 86_400
/** 2026-01-15 */
const at = 1_768_478_400
const simulator = createSimulator({ seed: new Uint8Array(32).fill(7), at })
const platform = simulator.createPlatform({ name: 'one' })
const raw = platform.quote({ version: 4 })

let chain: VerifierChain

beforeAll(async () => {
  chain = await createVerifierChain(simulator.rootCertificate)
})

beforeEach(async () => {
  await chain.reset()
  await chain.goTo(at)
  await chain.put(collateral())
})

function collateral(options?: CollateralOptions): Collateral {
  return parseCollateral(simulator.collateral(options))
}

async function register(
  quote: Uint8Array,
  functionName: 'register' | 'registerVerdict' = 'register',
): Promise<Uint8Array> {
  const data = encodeFunctionData({ abi: quoteVerifierAbi, functionName, args: [to0x(quote)] })
  const receipt = await sendCall(chain.clients, { to: chain.verifier, data, summary: functionName })
  const [written] = parseEventLogs({
    abi: quoteVerifierAbi,
    eventName: 'RecordWritten',
    logs: receipt.logs,
  })
  return fromHex(written?.args.record as Hex, 'record', 20)
}

/** Every form of one quote, each with records made now. */
async function formsOf(bytes: Uint8Array): Promise<Record<string, Uint8Array>> {
  const quote = parseQuote(bytes)
  const record = await register(bytes)
  return {
    raw: bytes,
    leaf: encodeWithLeaf(quote),
    'known PCK': encodeWithKnownPck(quote, record),
    'known key': encodeWithKnownKey(quote, record),
    'cached verdict': encodeWithKnownKey(quote, await register(bytes, 'registerVerdict')),
  }
}

/** The result of all forms; fails unless it is the same. */
async function outcomeOf(forms: Record<string, Uint8Array>): Promise<string> {
  const outcomes = new Map<string, string>()
  for (const [name, form] of Object.entries(forms)) {
    const report = await chain.verify(form)
    const status = report.status === 0 ? '' : ` ${statuses[report.status]}`
    outcomes.set(name, `${verdicts[report.verdict]}${status}`)
  }
  expect(new Set(outcomes.values()).size, JSON.stringify([...outcomes])).toBe(1)
  return outcomes.get('raw') as string
}

const worse = (text: string) => text.replaceAll('"tcbStatus":"UpToDate"', '"tcbStatus":"OutOfDate"')

describe('the compact forms', () => {
  test.each([
    [4, 2],
    [5, 2],
    [5, 3],
    [5, 4],
  ] as const)(
    'of a v%i quote with body type %i prove the same as the raw quote',
    async (version, bodyType) => {
      const bytes = platform.quote({ version, bodyType })
      const expected = await chain.verify(bytes)

      expect(verdicts[expected.verdict]).toBe('Verified')
      expect(expected.deviceId).toBe(to0x(platform.deviceId))
      for (const form of Object.values(await formsOf(bytes))) {
        expect(await chain.verify(form)).toEqual(expected)
      }
    },
  )

  test('are rejected with a changed bit and malformed if shortened', async () => {
    const { raw: _, ...forms } = await formsOf(raw)
    for (const form of Object.values(forms)) {
      const changed = Uint8Array.from(form)
      changed[changed.length - 1] = (changed.at(-1) as number) ^ 1

      expect(verdicts[(await chain.verify(changed)).verdict]).toBe('QuoteSignature')
      await expect(chain.verify(form.subarray(0, form.length - 1))).rejects.toMatchObject({
        facts: { error: 'QuoteMalformed' },
      })
    }
  })

  test('refer to records of this contract and this key only', async () => {
    const quote = parseQuote(raw)
    const other = parseQuote(simulator.createPlatform({ name: 'two' }).quote({ version: 4 }))
    const record = await register(raw)
    const verdict = async (form: Uint8Array) => verdicts[(await chain.verify(form)).verdict]

    expect(await verdict(encodeWithKnownKey(other, record))).toBe('RecordUnknown')
    expect(await verdict(encodeWithKnownPck(other, record))).toBe('QeReportSignature')
    expect(await verdict(encodeWithKnownKey(quote, new Uint8Array(20)))).toBe('RecordUnknown')
    const strange = fromHex(chain.verifier, 'address', 20)
    expect(await verdict(encodeWithKnownPck(quote, strange))).toBe('RecordUnknown')
  })

  test('with a leaf alone need a stored CA that signed it', async () => {
    const { pki } = simulator
    const ca = pki.pckCa('platform')
    const verdictOf = async (issuer: Parameters<typeof issuePck>[0]) => {
      const serial = deriveSerial(pki.seed, 'another leaf')
      const leaf = issuePck(issuer, { sgx: platform.sgx, key: platform.pckKey, serial })
      const pckChain = [leaf.certificate, ca.certificate, pki.root.certificate]
      const form = encodeWithLeaf(parseQuote(platform.quote({ version: 4, pckChain })))
      return verdicts[(await chain.verify(form)).verdict]
    }
    const named = (name: object) => ({ ...ca, name: { ...ca.name, ...name } })

    expect(await verdictOf(ca)).toBe('Verified')
    expect(await verdictOf({ ...ca, key: deriveKey(pki.seed, 'stranger') })).toBe('LeafSignature')
    expect(await verdictOf(named({ organization: 'Another Authority' }))).toBe('LeafIssuer')
    expect(await verdictOf(named({ commonName: 'Another CA' }))).toBe('LeafIssuer')
    const processor = named({ commonName: 'Intel SGX PCK Processor CA' })
    expect(await verdictOf(processor)).toBe('ChainUnknown')
  })

  test('of several quotes of one host are verified separately', async () => {
    const quotes = [1, 2, 3].map((fill) =>
      parseQuote(platform.quote({ version: 4, td: { reportData: new Uint8Array(64).fill(fill) } })),
    )
    const others = quotes.map(encodeOfSameKey)
    const last = others[2] as Uint8Array
    last[last.length - 1] = (last.at(-1) as number) ^ 1
    const reports = await chain.clients.publicClient.readContract({
      address: chain.verifier,
      abi: quoteVerifierAbi,
      functionName: 'verifyBatch',
      args: [to0x(raw), others.map(to0x)],
    })

    expect(reports.map(({ verdict }) => verdicts[verdict])).toEqual([
      'Verified',
      'Verified',
      'Verified',
      'QuoteSignature',
    ])
    expect(reports[1]?.quoteId).not.toBe(reports[2]?.quoteId)
  })

  test.each([4, 5] as const)(
    'in a batch after a v%i quote give the same as each alone',
    async (version) => {
      const head = platform.quote({ version, ...(version === 5 ? { bodyType: 3 } : {}) })
      const octets = (length: number, ...start: number[]) => {
        const bytes = new Uint8Array(length)
        bytes.set(start)
        return bytes
      }
      const quotes = [
        platform.quote({ version: 4, td: { reportData: octets(64, 1) } }),
        platform.quote({ version: 5, bodyType: 2 }),
        platform.quote({ version: 5, bodyType: 3 }),
        platform.quote({ version: 5, bodyType: 4 }),
        // another module, another TCB, or another of one of the two
        ...[4, 5].flatMap((version) =>
          [
            { teeTcbSvn: octets(16, 11, 1, 3) },
            { teeTcbSvn: octets(16, 4, 0, 4) },
            { teeTcbSvn: octets(16, 5, 3, 4) },
            { teeTcbSvn: octets(16) },
            { teeTcbSvn2: octets(16, 4, 0, 4) },
            { mrSignerSeam: octets(48, 1) },
            { seamAttributes: octets(8, 1) },
          ]
            .filter((td) => version === 5 || !('teeTcbSvn2' in td))
            .map((td) =>
              platform.quote(version === 5 ? { version, bodyType: 3, td } : { version: 4, td }),
            ),
        ),
      ]
      const reports = await chain.clients.publicClient.readContract({
        address: chain.verifier,
        abi: quoteVerifierAbi,
        functionName: 'verifyBatch',
        args: [to0x(head), quotes.map((quote) => to0x(encodeOfSameKey(parseQuote(quote))))],
      })
      const alone = []
      for (const quote of [head, ...quotes]) alone.push(await chain.verify(quote))

      expect(reports).toEqual(alone)
      const found = new Set(reports.map(({ verdict }) => verdicts[verdict]))
      for (const verdict of ['Verified', 'TcbUnsupported', 'ModuleSigner', 'ModuleAttributes']) {
        expect(found).toContain(verdict)
      }
    },
  )
})

describe('a stored record does not outlive its collateral:', () => {
  test('a later CRL revokes in every form, and one without the entry accepts again', async () => {
    const forms = await formsOf(raw)
    const crl = (thisUpdate: number, revoked: Uint8Array[]) =>
      collateral({ pckCrl: { thisUpdate, nextUpdate: at + 30 * day, revoked } })
    await chain.uploadCrl(crl(at + 1, [platform.pckSerial]))

    expect(await outcomeOf(forms)).toBe('LeafRevoked')

    await chain.uploadCrl(crl(at + 2, []))
    expect(await outcomeOf(forms)).toBe('Verified UpToDate')
  })

  test('a TCB info with a worse status counts in every form', async () => {
    const forms = await formsOf(raw)
    await chain.uploadTcbInfo(collateral({ tcbInfo: { issuedAt: at + 1, edit: worse } }))

    expect(await outcomeOf(forms)).toBe('Verified OutOfDate')
  })

  test('a QE identity with a worse status counts in every form', async () => {
    const forms = await formsOf(raw)
    await chain.uploadQeIdentity(collateral({ qeIdentity: { issuedAt: at + 1, edit: worse } }))

    expect(await outcomeOf(forms)).toBe('Verified OutOfDate')
  })

  test('a QE identity for another signer rejects every form', async () => {
    const forms = await formsOf(raw)
    const edit = (text: string) => text.replace(/"mrsigner":"../, '"mrsigner":"00')
    await chain.uploadQeIdentity(collateral({ qeIdentity: { issuedAt: at + 1, edit } }))

    expect(await outcomeOf(forms)).toBe('QeSigner')
  })

  test('expired collateral rejects every form', async () => {
    const forms = await formsOf(raw)
    const { expiresAt } = await chain.verify(raw)
    await chain.goTo(Number(expiresAt))
    expect(await outcomeOf(forms)).toBe('Verified UpToDate')

    await chain.goTo(Number(expiresAt) + 1)
    expect(await outcomeOf(forms)).toMatch(/Expired|NotInForce/)
  })

  test('a revoked CA rejects every form', async () => {
    const forms = await formsOf(raw)
    const ca = parseQuote(raw).pckChain[1] as Uint8Array
    const { serial } = (
      await import('../../../src/quote/certificates/certificate.ts')
    ).parseCertificate(ca, 'CA')
    const revoked = [fromHex(serial.length % 2 === 0 ? serial : `0${serial}`, 'serial')]
    await chain.uploadRootCrl(
      collateral({ rootCrl: { thisUpdate: at + 1, nextUpdate: at + 30 * day, revoked } }),
    )

    expect(await outcomeOf(forms)).toBe('CaRevoked')
  })
})

describe('a stored record is evaluated again', () => {
  const { pki } = simulator
  const revokedAt = (serial: Uint8Array) => ({
    rootCrl: { thisUpdate: at, nextUpdate: at + 30 * day, revoked: [serial] },
  })

  test('when the signer of all documents is revoked', async () => {
    const forms = await formsOf(raw)
    await chain.uploadRootCrl(collateral(revokedAt(pki.tcbSigning.serial)))

    expect(await outcomeOf(forms)).toBe('TcbSigningRevoked')
  })

  test('when the signer of the QE identity alone is revoked', async () => {
    const forms = await formsOf(raw)
    const next = createTcbSigning(pki.seed, pki.root, {
      serial: deriveSerial(pki.seed, 'next signer'),
      notBefore: at - day,
      // of several certificates of one key the one that lasts longest counts for a document
      notAfter: at + 20 * 365 * day,
    })
    const later = collateral({
      tcbInfo: { issuedAt: at + 1 },
      tcbInfoChain: [next.certificate, pki.root.certificate],
    })
    await chain.uploadTcbSigning(later)
    await chain.uploadTcbInfo(later)
    await chain.uploadRootCrl(collateral(revokedAt(pki.tcbSigning.serial)))
    expect(await outcomeOf(forms)).toBe('TcbSigningRevoked')

    // nothing else was revoked
    await chain.uploadQeIdentity(collateral({ qeIdentity: { issuedAt: at + 2 } }))
    expect(await outcomeOf(forms)).toBe('Verified UpToDate')
  })

  test('when the CA got a second certificate, with the same result', async () => {
    const forms = await formsOf(raw)
    const ca = createPckCa(pki.seed, pki.root, 'platform', {
      serial: deriveSerial(pki.seed, 'next CA'),
      notBefore: at - day,
    })
    await chain.uploadPckCa(collateral({ pckCrlChain: [ca.certificate, pki.root.certificate] }))

    expect(await outcomeOf(forms)).toBe('Verified UpToDate')
  })

  test('when the QE identity has advisories, which records do not contain', async () => {
    const advised = (text: string) =>
      worse(text).replace('"OutOfDate"', '"OutOfDate","advisoryIDs":["INTEL-SA-00001"]')
    await chain.uploadQeIdentity(collateral({ qeIdentity: { issuedAt: at + 1, edit: advised } }))
    const forms = await formsOf(raw)

    expect(await outcomeOf(forms)).toBe('Verified OutOfDate')
    for (const form of Object.values(forms)) {
      const { advisories } = await chain.verify(form)
      expect(advisories).toEqual([stringToHex('INTEL-SA-00001', { size: 32 })])
    }
  })

  test('when its QE identity expired and an equal one follows', async () => {
    await chain.uploadQeIdentity(
      collateral({ qeIdentity: { issuedAt: at + 1, validFor: 5 * day } }),
    )
    const forms = await formsOf(raw)
    await chain.goTo(at + 6 * day)
    expect(await outcomeOf(forms)).toBe('QeIdentityExpired')

    await chain.uploadQeIdentity(collateral({ qeIdentity: { issuedAt: at + 4 * day } }))
    expect(await outcomeOf(forms)).toBe('Verified UpToDate')
  })

  test('for another evaluation number', async () => {
    for (const form of Object.values(await formsOf(raw))) {
      const report = await chain.clients.publicClient.readContract({
        address: chain.verifier,
        abi: quoteVerifierAbi,
        functionName: 'verifyUnder',
        args: [to0x(form), 20],
      })
      expect(`${verdicts[report.verdict]} ${report.tcbEvaluationNumber}`).toBe('Verified 20')
    }
  })

  test.each([
    [
      'another TCB',
      { teeTcbSvn: Uint8Array.of(4, 1, 4, ...new Uint8Array(13)) },
      'Verified OutOfDate',
    ],
    ['another signer of the module', { mrSignerSeam: new Uint8Array(48).fill(1) }, 'ModuleSigner'],
  ])('when the same key quotes a TD with %s', async (_words, td, expected) => {
    const record = await register(raw, 'registerVerdict')
    const other = platform.quote({ version: 4, td })
    expect(
      await outcomeOf({
        raw: other,
        'cached verdict': encodeWithKnownKey(parseQuote(other), record),
      }),
    ).toBe(expected)
  })
})

describe('a malformed or rejected quote', () => {
  /** Whatever place in the quote the contract names. */
  const malformed = (field: (typeof contractQuoteFields)[number]) => ({
    facts: {
      error: 'QuoteMalformed',
      values: [String(contractQuoteFields.indexOf(field)), expect.any(String)],
    },
  })

  test('has bytes after its end or a leaf longer than the data', async () => {
    const { raw: _, ...forms } = await formsOf(raw)
    for (const form of Object.values(forms)) {
      await expect(chain.verify(Uint8Array.of(...form, 0))).rejects.toMatchObject(
        malformed('Length'),
      )
    }
    const leaf = Uint8Array.from(forms.leaf as Uint8Array)
    leaf.set([0xff, 0xff], 1)
    await expect(chain.verify(leaf)).rejects.toMatchObject(malformed('LeafSize'))
  })

  test.each([4, 5] as const)('has a v%i header with another key type', async (version) => {
    const quote = platform.quote({ version, header: { attestationKeyType: 3 } })
    await expect(chain.verify(quote)).rejects.toMatchObject(malformed('KeyType'))
  })

  test('has a leaf without the right to sign, or other bytes than a line feed after it', async () => {
    const signs = (unusedBits: number, bits: number) => (tbs: Uint8Array) =>
      editDer(tbs, [7, 0, 3, 2], () => tlv(0x04, tlv(0x03, Uint8Array.of(unusedBits, bits))))
    const idle = simulator.createPlatform({ pck: { edits: { signed: signs(6, 0x40) } } })
    expect(verdicts[(await chain.verify(idle.quote())).verdict]).toBe('LeafExtension')

    const odd = toPemChain(platform.pckChain).replace(
      'CERTIFICATE-----\n-----BEGIN',
      'CERTIFICATE----- -----BEGIN',
    )
    const quote = platform.quote({ certificationData: utf8ToBytes(odd) })
    expect(verdicts[(await chain.verify(quote)).verdict]).toBe('ChainUnknown')
  })

  test('gets no record', async () => {
    const bad = platform.quote({
      version: 4,
      editSignature: (signature) => signature.with(5, (signature[5] as number) ^ 1),
    })
    for (const functionName of ['register', 'registerVerdict'] as const) {
      await expect(register(bad, functionName)).rejects.toMatchObject({
        facts: { error: 'NotVerified' },
      })
    }
    const reports = await chain.clients.publicClient.readContract({
      address: chain.verifier,
      abi: quoteVerifierAbi,
      functionName: 'verifyBatch',
      args: [to0x(bad), [to0x(encodeOfSameKey(parseQuote(raw)))]],
    })
    expect(reports.map(({ verdict }) => verdicts[verdict])).toEqual([
      'QuoteSignature',
      'QuoteSignature',
    ])
  })
})

describe('the collateral store', () => {
  test('refuses documents that are not newer or from the future', async () => {
    await expect(chain.uploadTcbInfo(collateral())).rejects.toMatchObject({
      facts: { error: 'CollateralNotNewer' },
    })
    await expect(
      chain.uploadTcbInfo(collateral({ tcbInfo: { issuedAt: at + day } })),
    ).rejects.toMatchObject({ facts: { error: 'CollateralDates' } })
    await expect(
      chain.uploadCrl(collateral({ pckCrl: { thisUpdate: at - 5 * day, nextUpdate: at + day } })),
    ).rejects.toMatchObject({ facts: { error: 'CollateralNotNewer' } })
  })

  test.each([
    ['a truncated document', (text: string) => text.slice(0, -1)],
    ['white space', (text: string) => text.replace(',"pceId"', ', "pceId"')],
    [
      'a duplicate key',
      (text: string) => text.replace('"pceId"', '"fmspc":"000000000000","pceId"'),
    ],
    ['an escape', (text: string) => text.replace('"UpToDate"', '"Up\\\\u0054oDate"')],
    ['bytes after the end', (text: string) => `${text} `],
    ['a number with a leading zero', (text: string) => text.replace('"pcesvn":', '"pcesvn":0')],
    [
      'a date that is none',
      (text: string) => text.replace(/"tcbDate":"\d{4}-\d\d-\d\d/, '"tcbDate":"2025-02-30'),
    ],
  ])('refuses %s although it is signed', async (_, edit) => {
    await expect(
      chain.uploadTcbInfo(collateral({ tcbInfo: { issuedAt: at + 1, edit } })),
    ).rejects.toMatchObject({ facts: { error: 'JsonMalformed' } })
  })

  test('accepts fields in another order, and unknown fields', async () => {
    const edit = (text: string) =>
      text.replace(/("fmspc":"[^"]*"),("pceId":"[^"]*")/, '$2,"new":[{}],$1')
    await chain.uploadTcbInfo(collateral({ tcbInfo: { issuedAt: at + 1, edit } }))

    expect(verdicts[(await chain.verify(raw)).verdict]).toBe('Verified')
  })

  test('keeps records valid when only dates change', async () => {
    const before = await chain.freshness()
    await chain.uploadCrl(collateral({ pckCrl: { thisUpdate: at + 1, nextUpdate: at + 40 * day } }))
    await chain.uploadTcbInfo(collateral({ tcbInfo: { issuedAt: at + 1 } }))
    await chain.uploadQeIdentity(collateral({ qeIdentity: { issuedAt: at + 1 } }))
    const after = await chain.freshness()

    expect([after.setEpoch, after.tcbEpoch]).toEqual([before.setEpoch, before.tcbEpoch])
    expect(after.platformCrlUntil).toBe(at + 40 * day)
  })

  test('finds the first and the last of 1,000 revocations', async () => {
    const serials: Uint8Array[] = Array.from({ length: 1000 }, (_, i) =>
      Uint8Array.from({ length: 20 }, (_unused, j) =>
        j === 0 ? 1 + (i % 120) : (i * 7919 + j * 31) & 0xff,
      ),
    )
    const place = [0, 999]
    for (const [round, index] of place.entries()) {
      const revoked = serials.with(index, platform.pckSerial)
      await chain.uploadCrl(
        collateral({ pckCrl: { thisUpdate: at + 1 + round, nextUpdate: at + 30 * day, revoked } }),
      )
      expect(verdicts[(await chain.verify(raw)).verdict]).toBe('LeafRevoked')
    }
    await chain.uploadCrl(
      collateral({ pckCrl: { thisUpdate: at + 3, nextUpdate: at + 30 * day, revoked: serials } }),
    )
    expect(verdicts[(await chain.verify(raw)).verdict]).toBe('Verified')
  })
})

describe('a chain without the precompile', () => {
  test.each(['cancun', 'prague', 'osaka'])(
    'verifies with the Solidity implementation at %s',
    async (hardfork) => {
      const slow = await createVerifierChain(simulator.rootCertificate, 'P256Solidity', hardfork)
      await slow.goTo(at)
      await slow.put(collateral())
      const bad = platform.quote({
        version: 4,
        editSignature: (signature) => signature.with(5, (signature[5] as number) ^ 1),
      })

      expect(verdicts[(await slow.verify(raw)).verdict]).toBe('Verified')
      expect(verdicts[(await slow.verify(bad)).verdict]).toBe('QuoteSignature')
    },
  )

  test('is refused when it is older than the contracts’ opcodes, before anything is deployed', async () => {
    await expect(
      createVerifierChain(simulator.rootCertificate, 'P256Solidity', 'shanghai'),
    ).rejects.toMatchObject({ code: 'CHAIN_TOO_OLD' })
  })

  test('refuses a deployment with a contract that does not verify P-256', async () => {
    await expect(
      createVerifierChain(simulator.rootCertificate, 'AcceptingVerifier'),
    ).rejects.toMatchObject({
      facts: { error: 'P256Unusable' },
    })
  })
})
