/** What the collateral store takes, what it refuses by name, and what it then says that it holds. */
import { p256 } from '@noble/curves/nist.js'
import { encodeFunctionData, type Hex, keccak256, parseEventLogs, stringToHex } from 'viem'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { quoteVerifierAbi } from '../../../src/chain/abi.ts'
import { sendCall } from '../../../src/chain/call.ts'
import {
  collateralCalls,
  qeIdentityFamily,
  tcbInfoFamily,
} from '../../../src/chain/verifier/collateral.ts'
import { fromHex, to0x } from '../../../src/lib/bytes.ts'
import { parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import {
  type CollateralOptions,
  enclaveLevel,
  issueQeIdentity,
  type QeIdentityOptions,
} from '../../../src/tee/simulator/collateral.ts'
import { editDer, tlv, toPemChain } from '../../../src/tee/simulator/der.ts'
import { deriveKey } from '../../../src/tee/simulator/key.ts'
import {
  type AuthorityOptions,
  createPckCa,
  createRoot,
  createTcbSigning,
  deriveSerial,
  issueRevocations,
} from '../../../src/tee/simulator/pki.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import { createVerifierChain, type VerifierChain, verdicts } from './verifier-chain.ts'

const day = 86_400
/** 2026-01-15 */
const at = 1_768_478_400
const simulator = createSimulator({ seed: new Uint8Array(32).fill(13), at })
const { pki } = simulator
const platform = simulator.createPlatform({ name: 'one' })
const family = tcbInfoFamily(fromHex(simulator.fmspc, 'fmspc', 6))

let chain: VerifierChain

beforeAll(async () => {
  chain = await createVerifierChain(simulator.rootCertificate)
})

beforeEach(async () => {
  await chain.reset()
  await chain.goTo(at)
})

function collateral(options?: CollateralOptions) {
  return parseCollateral(simulator.collateral(options))
}

async function put(functionName: 'uploadIssuer' | 'uploadCrl', bytes: Hex): Promise<void> {
  const data = encodeFunctionData({ abi: quoteVerifierAbi, functionName, args: [bytes] })
  await sendCall(chain.clients, { to: chain.verifier, data, summary: functionName })
}

const uploadIssuer = (pem: string) => put('uploadIssuer', stringToHex(pem))
const uploadCrl = (der: Uint8Array) => put('uploadCrl', to0x(der))

/** A certificate, then the root. */
const under = (certificate: Uint8Array, root = pki.root.certificate) =>
  toPemChain([certificate, root])

/** Some parts of a bundle, in blocks of their own. */
async function putOnly(words: readonly string[], options?: CollateralOptions): Promise<void> {
  for (const call of collateralCalls(chain.verifier, collateral(options))) {
    if (words.includes(call.summary)) await sendCall(chain.clients, call)
  }
}

const issuers = ['store the PCK CA', 'store the TCB signing certificate']
const documents = ['store the TCB info', 'store the QE identity']

/** Whether the store says that something else is held now. */
async function uploadQeIdentity(options: QeIdentityOptions): Promise<boolean | undefined> {
  const { text, signature } = issueQeIdentity(pki.tcbSigning, options)
  const bytes = fromHex(signature, 'signature', 64)
  const data = encodeFunctionData({
    abi: quoteVerifierAbi,
    functionName: 'uploadQeIdentity',
    args: [stringToHex(text), to0x(bytes.subarray(0, 32)), to0x(bytes.subarray(32))],
  })
  const receipt = await sendCall(chain.clients, { to: chain.verifier, data, summary: 'store it' })
  const [stored] = parseEventLogs({
    abi: quoteVerifierAbi,
    eventName: 'DocumentStored',
    logs: receipt.logs,
  })
  return stored?.args.changed
}

const read = (functionName: string, ...args: unknown[]): Promise<unknown> =>
  chain.clients.publicClient.readContract({
    address: chain.verifier,
    abi: quoteVerifierAbi,
    functionName,
    args,
  } as never)

/** Replaces the value of the extension for key usage: the third of five. */
const withUsage = (unusedBits: number, bits: number) => ({
  edits: {
    signed: (tbs: Uint8Array) =>
      editDer(tbs, [7, 0, 3, 2], () => tlv(0x04, tlv(0x03, Uint8Array.of(unusedBits, bits)))),
  },
})

const refused = (error: string) => ({ facts: { error } })

describe('the root of trust', () => {
  test.each([
    ['an end entity', platform.pck],
    ['a CA that another has issued', pki.pckCa('platform').certificate],
  ])('is not %s', async (_words, certificate) => {
    await expect(createVerifierChain(certificate)).rejects.toMatchObject(refused('IssuerUnfit'))
  })

  test('must have signed itself', async () => {
    const other = createRoot(pki.seed, { signedBy: deriveKey(pki.seed, 'stranger') })
    await expect(createVerifierChain(other.certificate)).rejects.toMatchObject(
      refused('SignatureInvalid'),
    )
  })

  test('is returned by the contract and used for every signature', async () => {
    const [x, y] = (await read('rootKey')) as bigint[]
    const key = Buffer.from(pki.root.key.publicKey).toString('hex')
    expect(`${x?.toString(16).padStart(64, '0')}${y?.toString(16).padStart(64, '0')}`).toBe(key)
    expect(BigInt((await read('p256')) as Hex)).toBe(0x100n)
  })
})

describe('an issuer', () => {
  const ca = pki.pckCa('platform').certificate

  test('is accepted with zero bytes and line feeds after its chain', async () => {
    await uploadIssuer(`${under(ca)}\n\0\0`)
    const [notBefore, notAfter] = (await read('issuerValidity', 1)) as bigint[]
    expect(Number(notAfter) - Number(notBefore)).toBeGreaterThan(10 * 365 * day)
  })

  const other = { name: { commonName: 'Intel SGX PCK Platform XX' } }
  // the same x, and the other y that lies on the curve
  const [x, y] = [pki.root.key.publicKey.slice(0, 32), pki.root.key.publicKey.slice(32)]
  const minusY = p256.Point.CURVE().p - BigInt(to0x(y))
  const mirrored = Uint8Array.of(...x, ...fromHex(minusY.toString(16).padStart(64, '0'), 'y', 32))
  const one = under(ca).slice(0, under(ca).indexOf('-----END') + 25)

  test.each([
    [
      'of a name that nobody in the hierarchy has',
      under(createPckCa(pki.seed, pki.root, 'platform', other).certificate),
      'IssuerUnexpected',
    ],
    ['alone', one, 'PemMalformed'],
    ['before something that is no certificate', `${one}\n`, 'PemMalformed'],
    [
      'in the line in which the root begins',
      under(ca).replace('CERTIFICATE-----\n-----BEGIN', 'CERTIFICATE----- -----BEGIN'),
      'PemMalformed',
    ],
    ['with more behind its chain', `${under(ca)}x`, 'PemMalformed'],
    [
      'under a root with the mirrored key',
      under(ca, createRoot(pki.seed, { profile: { publicKey: mirrored } }).certificate),
      'RootUntrusted',
    ],
    [
      'under a root of another name',
      under(ca, createRoot(pki.seed, { name: { organization: 'Another Authority' } }).certificate),
      'RootUntrusted',
    ],
    [
      'under a root that another root has issued',
      under(
        ca,
        createRoot(pki.seed, {
          profile: { issuer: { ...pki.root.name, commonName: 'Another Root' } },
        }).certificate,
      ),
      'RootUntrusted',
    ],
    [
      'under a root of the future',
      under(ca, createRoot(pki.seed, { notBefore: at + day }).certificate),
      'IssuerUnfit',
    ],
    [
      'that names another issuer',
      under(
        createPckCa(
          pki.seed,
          { ...pki.root, name: { ...pki.root.name, commonName: 'Another Root' } },
          'platform',
        ).certificate,
      ),
      'RootUntrusted',
    ],
    [
      'that no root has signed',
      under(
        createPckCa(pki.seed, pki.root, 'platform', { signedBy: deriveKey(pki.seed, 'stranger') })
          .certificate,
      ),
      'SignatureInvalid',
    ],
    [
      'that may sign certificates and no lists',
      under(createPckCa(pki.seed, pki.root, 'platform', withUsage(2, 0x04)).certificate),
      'IssuerUnfit',
    ],
    [
      'that is no CA, in a name of one',
      under(
        createPckCa(pki.seed, pki.root, 'platform', {
          profile: { pathLength: undefined },
          ...withUsage(1, 0x06),
        }).certificate,
      ),
      'IssuerUnfit',
    ],
    [
      'that is a CA, in the name of the signer of documents',
      under(
        createTcbSigning(pki.seed, pki.root, { profile: { pathLength: 0 }, ...withUsage(7, 0x80) })
          .certificate,
      ),
      'IssuerUnfit',
    ],
    [
      'of the future',
      under(createPckCa(pki.seed, pki.root, 'platform', { notBefore: at + day }).certificate),
      'IssuerUnfit',
    ],
    [
      'of the past',
      under(createPckCa(pki.seed, pki.root, 'platform', { notAfter: at - day }).certificate),
      'IssuerUnfit',
    ],
  ])('is refused %s', async (_words, pem, error) => {
    await expect(uploadIssuer(pem)).rejects.toMatchObject(refused(error))
  })

  test('is replaced by a newer certificate only', async () => {
    await uploadIssuer(under(ca))
    await expect(uploadIssuer(under(ca))).rejects.toMatchObject(refused('CollateralNotNewer'))
  })

  test('for documents can have at most six serial numbers', async () => {
    const signer = (index: number) =>
      under(
        createTcbSigning(pki.seed, pki.root, {
          serial: deriveSerial(pki.seed, `signer ${index}`),
          notBefore: at - 100 * day + index,
        }).certificate,
      )
    for (let index = 0; index < 6; index++) await uploadIssuer(signer(index))
    await expect(uploadIssuer(signer(6))).rejects.toMatchObject(refused('TooManySigners'))
  })

  test('for certificates is one CA for each key', async () => {
    const again = (label: string, notBefore: number, seed = pki.seed) =>
      under(
        createPckCa(seed, pki.root, 'platform', {
          serial: deriveSerial(pki.seed, label),
          notBefore,
        }).certificate,
      )
    const numberOf = async (pem: string) =>
      ((await read('chainOf', keccak256(stringToHex(pem.trimEnd())))) as [number])[0]
    const first = again('first', at - 10 * day)
    expect(await numberOf(first)).toBe(0)
    await uploadIssuer(first)
    expect(await numberOf(first)).toBe(1)
    const second = again('second', at - 9 * day)
    await uploadIssuer(second)
    expect(await numberOf(second)).toBe(1)
    const other = again('third', at - 8 * day, new Uint8Array(32).fill(3))
    await uploadIssuer(other)
    expect(await numberOf(other)).toBe(9)

    // the same x with the other y, and the same key under another name
    const { publicKey } = pki.pckCa('platform').key
    const [left, right] = [publicKey.slice(0, 32), publicKey.slice(32)]
    const negated = p256.Point.CURVE().p - BigInt(to0x(right))
    const otherY = fromHex(negated.toString(16).padStart(64, '0'), 'y', 32)
    const differing: AuthorityOptions[] = [
      { profile: { publicKey: Uint8Array.of(...left, ...otherY) } },
      { name: { organization: 'Another Authority' } },
    ]
    for (const [index, options] of differing.entries()) {
      const serial = deriveSerial(pki.seed, `differing ${index}`)
      const { certificate } = createPckCa(pki.seed, pki.root, 'platform', { serial, ...options })
      await uploadIssuer(under(certificate))
      expect(await numberOf(under(certificate))).toBe(10 + index)
    }
  })

  test.each([
    ['before', true],
    ['after', false],
  ])(
    'is reported with the longest certificate that is not revoked, %s a shorter one',
    async (_, isFirst) => {
      const other = createPckCa(new Uint8Array(32).fill(3), pki.root, 'platform', {
        notBefore: at - 2 * day,
        notAfter: at + 100 * day,
      })
      const validity = async () => ((await read('issuerValidity', 1)) as bigint[]).map(Number)
      const both = [ca, other.certificate]
      for (const each of isFirst ? both : both.toReversed()) await uploadIssuer(under(each))
      const longest = await validity()
      expect(longest[1]).toBeGreaterThan(at + 5 * 365 * day)

      const revoke = (revoked: Uint8Array[], thisUpdate: number) =>
        uploadCrl(issueRevocations(pki.root, { thisUpdate, nextUpdate: at + 30 * day, revoked }))
      await revoke([other.serial], at - 3)
      expect(await validity()).toEqual(longest)
      await revoke([pki.pckCa('platform').serial], at - 2)
      expect(await validity()).toEqual([at - 2 * day, at + 100 * day])
      await revoke([pki.pckCa('platform').serial, other.serial], at - 1)
      expect(await validity()).toEqual([0, 0])
    },
  )

  test('for certificates can be one of at most ten CAs', async () => {
    const other = (index: number) =>
      under(createPckCa(new Uint8Array(32).fill(index), pki.root, 'platform').certificate)
    for (let index = 0; index < 9; index++) await uploadIssuer(other(index + 20))
    await uploadIssuer(under(pki.pckCa('processor').certificate))
    await expect(uploadIssuer(other(40))).rejects.toMatchObject(refused('TooManySigners'))
    // further certificates of those that are known are taken all the same
    const known = createPckCa(new Uint8Array(32).fill(20), pki.root, 'platform', {
      serial: deriveSerial(pki.seed, 'known'),
    })
    await uploadIssuer(under(known.certificate))
  })
})

describe('a CRL', () => {
  const period = { thisUpdate: at - day, nextUpdate: at + 30 * day }

  test('is refused before its issuer is known', async () => {
    await expect(uploadCrl(issueRevocations(pki.pckCa('platform'), period))).rejects.toMatchObject(
      refused('IssuerMissing'),
    )
  })

  test.each([
    ['of whom signs documents', issueRevocations(pki.tcbSigning, period), 'IssuerUnexpected'],
    [
      'of a CA with the name of ours and another organization',
      issueRevocations(
        createPckCa(pki.seed, pki.root, 'platform', {
          name: { organization: 'Another Authority' },
        }),
        period,
      ),
      'IssuerUnexpected',
    ],
    [
      'that lasts longer than four bytes can say',
      issueRevocations(pki.pckCa('platform'), { ...period, nextUpdate: 2 ** 32 }),
      'CollateralDates',
    ],
    [
      'that ends as it begins',
      issueRevocations(pki.pckCa('platform'), { ...period, nextUpdate: at - day }),
      'CollateralDates',
    ],
  ])('is refused %s', async (_words, der, error) => {
    await putOnly(issuers)
    await expect(uploadCrl(der)).rejects.toMatchObject(refused(error))
  })

  test('is stored for its issuer', async () => {
    await putOnly(issuers)
    await uploadCrl(
      issueRevocations(pki.pckCa('platform'), { ...period, revoked: [platform.pckSerial] }),
    )
    expect(await read('crl', 1)).toMatchObject({ thisUpdate: at - day, count: 1 })
    expect(await read('crl', 0)).toMatchObject({ thisUpdate: 0, count: 0 })
  })

  test('is accepted again only when it lasts longer, under a longer certificate of its issuer', async () => {
    const certified = (label: string, notAfter: number) =>
      under(
        createPckCa(pki.seed, pki.root, 'platform', {
          serial: deriveSerial(pki.seed, label),
          notAfter,
        }).certificate,
      )
    const list = issueRevocations(pki.pckCa('platform'), period)
    const until = async () => ((await read('crl', 1)) as { until: number }).until
    await uploadIssuer(certified('short', at + 10 * day))
    await uploadCrl(list)
    expect(await until()).toBe(at + 10 * day)
    await expect(uploadCrl(list)).rejects.toMatchObject(refused('CollateralNotNewer'))

    await uploadIssuer(certified('long', at + 100 * day))
    await uploadCrl(list)
    expect(await until()).toBe(period.nextUpdate)
    await expect(uploadCrl(list)).rejects.toMatchObject(refused('CollateralNotNewer'))
  })

  test('is required of the root and of the CA', async () => {
    const quote = platform.quote()
    await putOnly([...issuers, ...documents])
    expect(verdicts[(await chain.verify(quote)).verdict]).toBe('RootCrlMissing')
    await chain.uploadRootCrl(collateral())
    expect(verdicts[(await chain.verify(quote)).verdict]).toBe('PckCrlMissing')
  })
})

describe('a signed document', () => {
  test('is refused before its signer is known, and when the signer’s certificate has ended', async () => {
    await expect(chain.uploadTcbInfo(collateral())).rejects.toMatchObject(refused('IssuerMissing'))
    const short = createTcbSigning(pki.seed, pki.root, { notAfter: at + day })
    await uploadIssuer(under(short.certificate))
    await chain.goTo(at + 2 * day)
    await expect(chain.uploadTcbInfo(collateral())).rejects.toMatchObject(refused('IssuerUnfit'))
  })

  test('ends with the longest certificate of its signer’s key', async () => {
    await chain.put(collateral())
    const shorter = createTcbSigning(pki.seed, pki.root, {
      serial: deriveSerial(pki.seed, 'shorter'),
      notAfter: at + 5 * day,
    })
    await uploadIssuer(under(shorter.certificate))
    await chain.uploadTcbInfo(collateral({ tcbInfo: { issuedAt: at - 5, validFor: 20 * day } }))

    expect(await read('document', family, 20)).toMatchObject({
      signer: 0,
      until: at - 5 + 20 * day,
    })
  })

  test('with a lower evaluation number is stored beside the newest', async () => {
    const quote = platform.quote()
    await chain.put(collateral())
    expect(await read('heldNumbers', family)).toBe(1n << 20n)
    expect(await read('heldNumbers', tcbInfoFamily(new Uint8Array(6)))).toBe(0n)
    for (const evaluationNumber of [18, 22]) {
      const documents = collateral({
        evaluationNumber,
        tcbInfo: { issuedAt: at - evaluationNumber },
      })
      await chain.uploadTcbInfo(documents)
      await chain.uploadQeIdentity(documents)
    }

    expect(await read('heldNumbers', family)).toBe((1n << 18n) | (1n << 20n) | (1n << 22n))
    for (const number of [18, 20, 22]) {
      expect(await read('document', family, number)).toMatchObject({ evaluationNumber: number })
    }
    expect(await read('document', family, 19)).toMatchObject({ issuedAt: 0 })
    expect(await read('evaluationNumbersIssuedAt')).toBe(0n)

    const under = async (number: number) => {
      const report = (await read('verifyUnder', to0x(quote), number)) as Awaited<
        ReturnType<VerifierChain['verify']>
      >
      return `${verdicts[report.verdict]} ${report.tcbEvaluationNumber} ${report.qeEvaluationNumber}`
    }
    expect(await under(17)).toBe('TcbInfoMissing 0 0')
    expect(await under(18)).toBe('Verified 18 18')
    expect(await under(19)).toBe('Verified 18 18')
    expect(await under(21)).toBe('Verified 20 20')
    expect(await under(1_000)).toBe('Verified 22 22')
  })

  test('is no QE identity if none is stored', async () => {
    await putOnly([...issuers, 'store the root CRL', 'store the PCK CRL', 'store the TCB info'])
    expect(verdicts[(await chain.verify(platform.quote())).verdict]).toBe('QeIdentityMissing')
  })

  const intel = 'DC9E2A7C6F948F17474E34A7FC43ED030F7C1563F1BABDDF6340C82E0E54A8C5'
  const levels = [
    enclaveLevel(4, '2025-05-14', 'UpToDate'),
    enclaveLevel(2, '2019-05-15', 'OutOfDate'),
  ]

  test('that is a usual QE identity is stored as its levels with the same meaning', async () => {
    const usual = (issuedAt: number, count: number): QeIdentityOptions => ({
      issuedAt,
      levels: levels.slice(0, count),
      members: { mrsigner: intel },
    })
    await chain.put(collateral({ qeIdentity: usual(at - 10, 1) }))
    expect(await read('document', qeIdentityFamily, 20)).toMatchObject({ levels: 1 })
    expect(await uploadQeIdentity(usual(at - 9, 1))).toBe(false)
    expect(await uploadQeIdentity(usual(at - 8, 2))).toBe(true)
    expect(await uploadQeIdentity(usual(at - 7, 2))).toBe(false)
    const quote = platform.quote({ qe: { mrSigner: fromHex(intel, 'signer', 32), isvSvn: 3 } })
    const report = await chain.verify(quote)
    expect(verdicts[report.verdict]).toBe('Verified')
    expect(report.status).toBe(5)

    // another signer: no longer a usual one
    expect(await uploadQeIdentity({ issuedAt: at - 6, levels })).toBe(true)
    expect(verdicts[(await chain.verify(quote)).verdict]).toBe('QeSigner')
    expect(await uploadQeIdentity({ issuedAt: at - 5, levels })).toBe(false)
  })
})
