import { createPublicKey, verify, X509Certificate } from 'node:crypto'
import { createRequire } from 'node:module'

import { expect, test } from 'vitest'

import { createSimulator, type Simulator } from '../../src/tee/simulator/simulator.ts'

const { QuoteVerifier } = createRequire(import.meta.url)('@phala/dcap-qvl') as {
  QuoteVerifier: {
    newWithRootCa(root: Uint8Array): {
      verify(
        quote: Uint8Array,
        collateral: unknown,
        at: number,
      ): { status: string; advisory_ids: string[] }
    }
  }
}

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const seed = new Uint8Array(32).fill(7)

const outsideVerdict = (simulator: Simulator, quote: Uint8Array, collateral: unknown) =>
  QuoteVerifier.newWithRootCa(Buffer.from(simulator.rootCertificate)).verify(
    Buffer.from(quote),
    collateral,
    simulator.at,
  )

test('the simulator issues quotes that an outside verifier accepts under the simulated root', () => {
  const simulator = createSimulator({ at })
  const platform = simulator.createPlatform()

  const verdict = outsideVerdict(simulator, platform.quote(), simulator.collateral())

  expect(verdict.status).toBe('UpToDate')
  expect(verdict.advisory_ids).toEqual([])
})

test.each([
  { version: 4, bodyType: 2 },
  { version: 5, bodyType: 2 },
  { version: 5, bodyType: 3 },
] as const)(
  'the simulator builds version $version with body type $bodyType like other implementations',
  (shape) => {
    const simulator = createSimulator({ at })

    const quote = simulator.createPlatform().quote({ ...shape, padding: 70 })

    expect(outsideVerdict(simulator, quote, simulator.collateral()).status).toBe('UpToDate')
  },
)

test('the simulator issues quotes of processor-CA platforms', () => {
  const simulator = createSimulator({ at })
  const platform = simulator.createPlatform({ ca: 'processor' })

  const verdict = outsideVerdict(
    simulator,
    platform.quote(),
    simulator.collateral({ ca: 'processor' }),
  )

  expect(verdict.status).toBe('UpToDate')
})

test('a simulated quote is refused under the root of another simulator', () => {
  const simulator = createSimulator({ at })
  const other = createSimulator({ at })

  expect(() =>
    outsideVerdict(other, simulator.createPlatform().quote(), simulator.collateral()),
  ).toThrow()
})

test('the simulator issues certificates that node:crypto parses and verifies link by link', () => {
  const simulator = createSimulator({ at })
  const [pck, ca, root] = simulator
    .createPlatform()
    .pckChain.map((der) => new X509Certificate(der)) as [
    X509Certificate,
    X509Certificate,
    X509Certificate,
  ]

  expect(pck.checkIssued(ca) && pck.verify(ca.publicKey)).toBe(true)
  expect(ca.checkIssued(root) && ca.verify(root.publicKey)).toBe(true)
  expect(root.checkIssued(root) && root.verify(root.publicKey)).toBe(true)
  expect([pck.ca, ca.ca, root.ca]).toEqual([false, true, true])
})

test("the simulator uses Intel's name only in the common names that verification requires", () => {
  const simulator = createSimulator({ at })
  const certificates = simulator.createPlatform().pckChain

  for (const der of certificates) {
    const certificate = new X509Certificate(der)
    expect(certificate.subject).toContain('O=Assent Simulation')
    expect(certificate.issuer).toContain('O=Assent Simulation')
    expect(Buffer.from(der).includes('Intel Corporation')).toBe(false)
    expect(Buffer.from(der).includes('intel.com')).toBe(false)
  }
})

test('the simulator keeps the sizes and offsets of a real platform certificate', () => {
  const { pck } = createSimulator({ at, seed }).createPlatform()
  const sgxExtension = Buffer.from(pck).indexOf(Buffer.from('06092a864886f84d010d01', 'hex'))

  // spec of real leaves: 1,267 to 1,270 bytes, extension at 613 or 614
  expect(pck.length).toBeGreaterThanOrEqual(1267)
  expect(pck.length).toBeLessThanOrEqual(1270)
  expect([613, 614]).toContain(sgxExtension)
})

test('the simulator signs TCB info and QE identity over exactly the bytes that it returns', () => {
  const simulator = createSimulator({ at })
  const collateral = simulator.collateral()
  const key = new X509Certificate(simulator.pki.tcbSigning.certificate).publicKey

  const holds = (text: string, signature: string) =>
    verify(
      'sha256',
      Buffer.from(text),
      { key, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'hex'),
    )

  expect(holds(collateral.tcb_info, collateral.tcb_info_signature)).toBe(true)
  expect(holds(collateral.qe_identity, collateral.qe_identity_signature)).toBe(true)
  expect(holds(`${collateral.tcb_info} `, collateral.tcb_info_signature)).toBe(false)
  expect(JSON.stringify(JSON.parse(collateral.tcb_info))).toBe(collateral.tcb_info)
})

test('the simulator repeats every byte from the same seed and none from another', () => {
  const make = (bytes: Uint8Array) => {
    const simulator = createSimulator({ at, seed: bytes })
    return {
      quote: simulator.createPlatform().quote(),
      collateral: simulator.collateral({ ca: 'processor' }),
      root: simulator.rootCertificate,
    }
  }

  expect(make(seed)).toEqual(make(seed))
  expect(make(seed).root).not.toEqual(make(new Uint8Array(32).fill(8)).root)
})

test('the simulator gives each platform of a simulator its own identity and keys', () => {
  const simulator = createSimulator({ at })
  const [first, second] = ['a', 'b'].map((name) => simulator.createPlatform({ name }))

  expect(first?.deviceId).not.toEqual(second?.deviceId)
  expect(first?.pck).not.toEqual(second?.pck)
  expect(first?.attestationKey.publicKey).not.toEqual(second?.attestationKey.publicKey)
  expect(
    createPublicKey(
      new X509Certificate(first?.pck ?? '').publicKey.export({ type: 'spki', format: 'pem' }),
    ).asymmetricKeyDetails?.namedCurve,
  ).toBe('prime256v1')
})
