/** What docs/contracts.md promises of the quote verifier, `V1` and on: each attacked as a stranger would do it. */

import { createHash } from 'node:crypto'
import { p256 } from '@noble/curves/nist.js'
import hre from 'hardhat'
import {
  type Abi,
  type AbiFunction,
  type Address,
  decodeFunctionResult,
  encodeDeployData,
  encodeFunctionData,
  type Hex,
  parseEventLogs,
  stringToHex,
  toFunctionSelector,
} from 'viem'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bootLogAbi, hostsAbi, quoteVerifierAbi } from '../../../src/chain/abi.ts'
import { noEnd } from '../../../src/chain/approval.ts'
import { type Call, sendCall, toChainError } from '../../../src/chain/call.ts'
import { setVerifier } from '../../../src/chain/governance/settings.ts'
import {
  bindToNewestBlock,
  endProof,
  hostReportData,
  registerHost,
} from '../../../src/chain/registries/hosts.ts'
import { approve } from '../../../src/chain/registries/registry.ts'
import {
  collateralCalls,
  examineCollateral,
  missingCollateral,
} from '../../../src/chain/verifier/collateral.ts'
import { deployVerifier, type LinkableArtifact } from '../../../src/chain/verifier/verifier.ts'
import { fromHex, to0x } from '../../../src/lib/bytes.ts'
import { parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import {
  encodeWithKnownKey,
  encodeWithKnownPck,
  encodeWithLeaf,
} from '../../../src/quote/compact.ts'
import { runtimeEventDigest } from '../../../src/quote/measurements/event-log.ts'
import { parseQuote } from '../../../src/quote/parse.ts'
import {
  type CollateralOptions,
  issueTcbInfo,
  standardLevels,
} from '../../../src/tee/simulator/collateral.ts'
import { derContent, editDer, splitDer, tlv, toPemChain } from '../../../src/tee/simulator/der.ts'
import { deriveKey } from '../../../src/tee/simulator/key.ts'
import {
  createPckCa,
  createRoot,
  createTcbSigning,
  deriveSerial,
  issuePck,
  issueRevocations,
  type SimulatedCa,
} from '../../../src/tee/simulator/pki.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import {
  createVerifierChain,
  statuses,
  type VerifierChain,
  verdicts,
} from '../../chain/verifier/verifier-chain.ts'

const day = 86_400
const year = 31_557_600
/** 2026-01-15 */
const at = 1_768_478_400
const simulator = createSimulator({ seed: new Uint8Array(32).fill(13), at })
const { pki } = simulator
const platform = simulator.createPlatform({ name: 'one' })
const raw = platform.quote()
const leafForm = encodeWithLeaf(parseQuote(raw))
const stranger = deriveKey(pki.seed, 'stranger')

let chain: VerifierChain

beforeAll(async () => {
  chain = await createVerifierChain(simulator.rootCertificate)
})

beforeEach(async () => {
  await chain.reset()
  await chain.goTo(at)
})

const collateral = (options?: CollateralOptions) => parseCollateral(simulator.collateral(options))

async function call(functionName: string, args: readonly unknown[]) {
  const data = encodeFunctionData({ abi: quoteVerifierAbi as Abi, functionName, args })
  return await sendCall(chain.clients, { to: chain.verifier, data, summary: functionName })
}
const uploadIssuer = (pem: string) => call('uploadIssuer', [stringToHex(pem)])
const uploadCrl = (der: Uint8Array) => call('uploadCrl', [to0x(der)])
const under = (certificate: Uint8Array, root = pki.root.certificate) =>
  toPemChain([certificate, root])

async function register(quote: Uint8Array): Promise<Uint8Array> {
  const { logs } = await call('register', [to0x(quote)])
  const [written] = parseEventLogs({ abi: quoteVerifierAbi, eventName: 'RecordWritten', logs })
  return fromHex(written?.args.record as Hex, 'record', 20)
}

async function outcome(quote: Uint8Array): Promise<string> {
  const report = await chain.verify(quote)
  return `${verdicts[report.verdict]} ${statuses[report.status]}`
}

async function errorOf(action: Promise<unknown>): Promise<unknown> {
  return action.then(
    () => 'done',
    (error: { facts?: { error?: string }; code?: string }) => error.facts?.error ?? error.code,
  )
}

async function place(name: string, args: unknown[]): Promise<Address> {
  const { abi, bytecode } = await hre.artifacts.readArtifact(name)
  const data = encodeDeployData({ abi, bytecode: bytecode as Hex, args } as never)
  const hash = await chain.clients.walletClient.sendTransaction({ data } as never)
  const receipt = await chain.clients.publicClient.waitForTransactionReceipt({ hash })
  return receipt.contractAddress as Address
}

/** A host registry, and a host that was registered there with what `encode` makes of its quote. */
async function provenHost(encode = (quote: Uint8Array) => quote) {
  const owner = chain.clients.walletClient.account.address
  const rules = {
    attestedSince: 0,
    minLifetime: 0,
    maxLifetime: 45 * day,
    window: 200,
    minEvaluationNumber: 0,
    isOpen: false,
    activationDelay: 0,
  }
  const init = encodeFunctionData({
    abi: hostsAbi,
    functionName: 'initialize',
    args: [owner, chain.verifier, owner, day, rules],
  })
  const hosts = await place('ERC1967Proxy', [await place('Hosts', []), init])
  const deviceId = to0x(platform.deviceId)
  await sendCall(chain.clients, approve(hosts, [{ kind: 'host', id: deviceId }], noEnd))
  const binding = await bindToNewestBlock(chain.clients.publicClient, hosts, owner)
  const quote = platform.quote({ td: { reportData: hostReportData(binding) } })
  const sent = encode(quote)
  await sendCall(chain.clients, registerHost(hosts, sent, binding.block.number))
  return {
    hosts,
    quote,
    end: () => errorOf(sendCall(chain.clients, endProof(hosts, deviceId, sent))),
  }
}

async function revokePlatform(): Promise<void> {
  const period = { thisUpdate: at, nextUpdate: at + 20 * day }
  const revoked = [platform.pckSerial]
  await uploadCrl(issueRevocations(pki.pckCa('platform'), { ...period, revoked }))
}

/** All of the genuine bundle, each part for itself: how each was taken. */
async function putAll(options?: CollateralOptions): Promise<unknown[]> {
  const bundle = collateral(options)
  const puts = ['PckCa', 'TcbSigning', 'RootCrl', 'Crl', 'TcbInfo', 'QeIdentity'] as const
  const answers: unknown[] = []
  for (const name of puts) answers.push(await errorOf(chain[`upload${name}`](bundle)))
  return answers
}
const allDone = Array(6).fill('done')

/** The same certificate with the other s that signs the same: n - s. */
function mirrored(der: Uint8Array): Uint8Array {
  const n = p256.Point.CURVE().n
  return editDer(der, [2], (bits) => {
    const [r, s] = splitDer(derContent(derContent(bits).slice(1))) as [Uint8Array, Uint8Array]
    let other = fromHex((n - BigInt(to0x(derContent(s)))).toString(16).padStart(64, '0'), 's', 32)
    while (other[0] === 0) other = other.slice(1)
    if ((other[0] as number) & 0x80) other = Uint8Array.of(0, ...other)
    return tlv(0x03, Uint8Array.of(0), tlv(0x30, r, tlv(0x02, other)))
  })
}

const ca = pki.pckCa('platform').certificate
/** The pinned key and name, an end of the attacker's choice, signed by anyone. */
const forgedRoot = createRoot(pki.seed, { signedBy: stranger, notAfter: at + 600 }).certificate

describe('V1: every certificate of an upload is signed up to the pinned key', () => {
  test.each([
    ['another end', { notAfter: at + 600 }],
    ['another beginning', { notBefore: at - day }],
    ['another serial number', { serial: deriveSerial(pki.seed, 'forged') }],
  ])('a root with %s, signed by another key, is refused', async (_words, options) => {
    const root = createRoot(pki.seed, { signedBy: stranger, ...options }).certificate
    expect(await errorOf(uploadIssuer(under(ca, root)))).toBe('SignatureInvalid')
    expect(await errorOf(uploadIssuer(under(pki.tcbSigning.certificate, root)))).toBe(
      'SignatureInvalid',
    )
  })

  test('a root that has expired or is not a CA is refused, although the pinned key signed it', async () => {
    const ended = createRoot(pki.seed, { notAfter: at - 1 }).certificate
    expect(await errorOf(uploadIssuer(under(ca, ended)))).toBe('IssuerUnfit')
    const noCa = createRoot(pki.seed, { profile: { pathLength: undefined } }).certificate
    expect(await errorOf(uploadIssuer(under(ca, noCa)))).toBe('RootUntrusted')
  })

  test('a renewed root with the same key is accepted', async () => {
    const renewed = createRoot(pki.seed, {
      serial: deriveSerial(pki.seed, 'renewed'),
      notBefore: at - day,
    }).certificate
    await uploadIssuer(under(ca, renewed))
    expect(await putAll()).toEqual(allDone)
    const quote = platform.quote({ pckChain: [platform.pck, ca, renewed] })
    expect(await outcome(quote)).toBe('Verified UpToDate')
    expect(await outcome(raw)).toBe('Verified UpToDate')
  })
})

describe('V2: earlier uploads cannot block a genuine upload', () => {
  const strangeFirst: [string, () => string][] = [
    ['the CA under a forged root', () => under(ca, forgedRoot)],
    ['the signer under a forged root', () => under(pki.tcbSigning.certificate, forgedRoot)],
    ['the CA with a mirrored signature', () => under(mirrored(ca))],
    [
      'the CA under a root with a mirrored signature',
      () => under(ca, mirrored(pki.root.certificate)),
    ],
    ['the signer with a mirrored signature', () => under(mirrored(pki.tcbSigning.certificate))],
    [
      'a later certificate of the CA, which ends at once',
      () =>
        under(
          createPckCa(pki.seed, pki.root, 'platform', {
            serial: deriveSerial(pki.seed, 'short'),
            notBefore: at - 10,
            notAfter: at + 60,
          }).certificate,
        ),
    ],
    [
      'a later certificate of the signer, which ends at once',
      () =>
        under(
          createTcbSigning(pki.seed, pki.root, { notBefore: at - 10, notAfter: at + 60 })
            .certificate,
        ),
    ],
  ]
  test.each(strangeFirst)('it is stored after %s', async (_words, pem) => {
    await errorOf(uploadIssuer(pem()))
    expect(await putAll()).toEqual(allDone)
    expect(await outcome(raw)).toBe('Verified UpToDate')
    expect(await outcome(leafForm)).toBe('Verified UpToDate')
    await chain.goTo(at + 601)
    expect(await outcome(raw)).toBe('Verified UpToDate')
    expect(await outcome(leafForm)).toBe('Verified UpToDate')
  })

  test('it is stored in the empty slot of the Processor CA of a verifier in use', async () => {
    await chain.put(collateral())
    await errorOf(uploadIssuer(under(pki.pckCa('processor').certificate, forgedRoot)))
    await uploadIssuer(under(mirrored(pki.pckCa('processor').certificate)))
    const bundle = collateral({ ca: 'processor' })
    await chain.uploadPckCa(bundle)
    await chain.uploadCrl(bundle)
    const small = createSimulator({ seed: new Uint8Array(32).fill(13), at })
      .createPlatform({ name: 'small', ca: 'processor' })
      .quote()
    expect(await outcome(small)).toBe('Verified UpToDate')
    expect(await outcome(encodeWithLeaf(parseQuote(small)))).toBe('Verified UpToDate')
  })

  test('a document that expired with its signer is stored again after the signer was renewed', async () => {
    const short = createTcbSigning(pki.seed, pki.root, { notBefore: at - day, notAfter: at + day })
    await uploadIssuer(under(short.certificate))
    await chain.uploadPckCa(collateral())
    await chain.uploadRootCrl(collateral())
    await chain.uploadCrl(collateral())
    await chain.uploadTcbInfo(collateral())
    await chain.uploadQeIdentity(collateral())
    await chain.uploadTcbSigning(collateral())
    await chain.uploadTcbInfo(collateral())
    await chain.uploadQeIdentity(collateral())
    expect(await errorOf(chain.uploadTcbInfo(collateral()))).toBe('CollateralNotNewer')
    await chain.goTo(at + 2 * day)
    expect(await outcome(raw)).toBe('Verified UpToDate')
  })

  test('the collateral job sees missing parts also behind another encoding of the same certificate', async () => {
    await uploadIssuer(under(mirrored(ca)))
    const client = chain.clients.publicClient
    const states = async () =>
      (await examineCollateral(client, chain.verifier, collateral())).map(({ state }) => state)
    expect(await states()).toEqual(Array(6).fill('missing'))
    for (const missing of await missingCollateral(client, chain.verifier, collateral())) {
      await sendCall(chain.clients, missing)
    }
    expect(await states()).toEqual(Array(6).fill('same'))
    expect(await missingCollateral(client, chain.verifier, collateral())).toEqual([])
    await uploadCrl(
      issueRevocations(pki.root, {
        thisUpdate: at - day,
        nextUpdate: at + day,
        revoked: [pki.tcbSigning.serial],
      }),
    )
    expect(await states()).toEqual(['same', 'revoked', 'newer', 'same', 'revoked', 'revoked'])
  })
})

/** Another key under the name of the Platform CA, and a platform of ours certified by it. */
function nextCa(): { ca: SimulatedCa; quote: Uint8Array; serial: Uint8Array } {
  const next = createPckCa(new Uint8Array(32).fill(77), pki.root, 'platform', {
    serial: deriveSerial(pki.seed, 'next ca'),
    notBefore: at - day,
  })
  const serial = deriveSerial(pki.seed, 'leaf of the next')
  const leaf = issuePck(next, { sgx: platform.sgx, key: platform.pckKey, serial })
  const pckChain = [leaf.certificate, next.certificate, pki.root.certificate]
  return { ca: next, quote: platform.quote({ pckChain }), serial }
}

describe('V3: a CRL applies to the key that signed it and to no other CA with that name', () => {
  test('a new CA needs its own CRL, and the old CA keeps its own', async () => {
    await chain.put(collateral())
    const next = nextCa()
    await uploadIssuer(under(next.ca.certificate))
    expect(await outcome(raw)).toBe('Verified UpToDate')
    expect(await outcome(leafForm)).toBe('Verified UpToDate')
    expect(await outcome(next.quote)).toBe('PckCrlMissing None')

    const period = { thisUpdate: at - 10, nextUpdate: at + day }
    await uploadCrl(issueRevocations(next.ca, period))
    expect(await outcome(next.quote)).toBe('Verified UpToDate')
    expect(await outcome(encodeWithLeaf(parseQuote(next.quote)))).toBe('Verified UpToDate')
    await uploadCrl(
      issueRevocations(next.ca, { ...period, thisUpdate: at - 5, revoked: [next.serial] }),
    )
    expect(await outcome(next.quote)).toBe('LeafRevoked None')
    expect(await outcome(raw)).toBe('Verified UpToDate')
    // what the list of the new CA says of serial numbers says nothing of the old one's
    await uploadCrl(
      issueRevocations(next.ca, { ...period, thisUpdate: at - 4, revoked: [platform.pckSerial] }),
    )
    expect(await outcome(raw)).toBe('Verified UpToDate')
    expect(await outcome(leafForm)).toBe('Verified UpToDate')
  })

  test('a verification record stays valid next to a new CA', async () => {
    await chain.put(collateral())
    const record = await register(raw)
    await uploadIssuer(under(nextCa().ca.certificate))
    expect(await outcome(encodeWithKnownKey(parseQuote(raw), record))).toBe('Verified UpToDate')
  })
})

describe('V4: a revoked certificate does not affect another one with the same key', () => {
  const serial = deriveSerial(pki.seed, 'revoked ca')
  const revoked = () =>
    createPckCa(pki.seed, pki.root, 'platform', { serial, notBefore: at - 100 * day })
  const rootCrl = { revoked: [serial] }

  test('uploaded after the list', async () => {
    await chain.put(collateral({ rootCrl }))
    await errorOf(uploadIssuer(under(revoked().certificate)))
    expect(await outcome(raw)).toBe('Verified UpToDate')
    expect(await outcome(leafForm)).toBe('Verified UpToDate')
  })

  test('uploaded before the list and before the good one', async () => {
    await uploadIssuer(under(revoked().certificate))
    expect(await putAll({ rootCrl })).toEqual(allDone)
    expect(await outcome(raw)).toBe('Verified UpToDate')
    expect(await outcome(leafForm)).toBe('Verified UpToDate')
    const pckChain = [platform.pck, revoked().certificate, pki.root.certificate]
    expect(await outcome(platform.quote({ pckChain }))).toBe('CaRevoked None')
  })

  test('a valid certificate works again after all others are revoked', async () => {
    await chain.put(collateral({ rootCrl: { revoked: [pki.pckCa('platform').serial] } }))
    expect(await outcome(leafForm)).toBe('CaRevoked None')
    const good = createPckCa(pki.seed, pki.root, 'platform', {
      serial: deriveSerial(pki.seed, 'good ca'),
    })
    await uploadIssuer(under(good.certificate))
    expect(await outcome(leafForm)).toBe('Verified UpToDate')
    expect(await outcome(raw)).toBe('CaRevoked None')
  })
})

describe('V5: a new TCB signing key does not block documents of the old key', () => {
  const renewed = () =>
    createTcbSigning(new Uint8Array(32).fill(99), pki.root, {
      serial: deriveSerial(pki.seed, 'renewed'),
      notBefore: at - day,
    })

  test('documents of both keys are stored', async () => {
    await chain.put(collateral())
    const next = renewed()
    await uploadIssuer(under(next.certificate))
    await chain.uploadTcbInfo(collateral({ issuedAt: at - 100 }))
    const byNext = collateral({ issuedAt: at - 50, tcbInfo: { signedBy: next.key } })
    await chain.uploadTcbInfo(byNext)
    await chain.uploadTcbInfo(collateral({ issuedAt: at - 20 }))
    expect(await outcome(raw)).toBe('Verified UpToDate')
  })

  test('a revocation of one key ends only what it signed', async () => {
    const next = renewed()
    await chain.put(collateral())
    await uploadIssuer(under(next.certificate))
    await chain.uploadTcbInfo(collateral({ issuedAt: at - 50, tcbInfo: { signedBy: next.key } }))
    const revoked = [deriveSerial(pki.seed, 'renewed')]
    await uploadCrl(
      issueRevocations(pki.root, { thisUpdate: at - 5, nextUpdate: at + day, revoked }),
    )
    expect(await outcome(raw)).toBe('TcbSigningRevoked None')
    const refused = collateral({ issuedAt: at - 3, tcbInfo: { signedBy: next.key } })
    expect(await errorOf(chain.uploadTcbInfo(refused))).toBe('IssuerRevoked')
    // a document of the other key takes its place, also an older one
    await chain.uploadTcbInfo(collateral({ issuedAt: at - 90 }))
    expect(await outcome(raw)).toBe('Verified UpToDate')
    expect(await errorOf(chain.uploadTcbInfo(collateral({ issuedAt: at - 91 })))).toBe(
      'CollateralNotNewer',
    )
    await chain.uploadTcbInfo(collateral({ issuedAt: at - 2 }))
    expect(await outcome(raw)).toBe('Verified UpToDate')
  })
})

describe('V6: an older document never replaces a newer one', () => {
  test('neither a CRL nor a signed document is replaced by an older one', async () => {
    await chain.put(collateral({ issuedAt: at - day }))
    const older = collateral({ issuedAt: at - 2 * day })
    expect(await errorOf(chain.uploadRootCrl(older))).toBe('CollateralNotNewer')
    expect(await errorOf(chain.uploadCrl(older))).toBe('CollateralNotNewer')
    expect(await errorOf(chain.uploadTcbInfo(older))).toBe('CollateralNotNewer')
    expect(await errorOf(chain.uploadQeIdentity(older))).toBe('CollateralNotNewer')
  })

  test('a platform family with the name of the QE identity does not replace it', async () => {
    await chain.put(collateral())
    const spelt = collateral({ issuedAt: at - 50, tcbInfo: { fmspc: '54445F514500' } })
    expect(await errorOf(chain.uploadTcbInfo(spelt))).toBe('JsonMalformed')
    expect(await outcome(raw)).toBe('Verified UpToDate')
  })
})

describe('V7: a change of the evaluation number ends no proof immediately', () => {
  const date = (seconds: number) => `"${new Date(seconds * 1000).toISOString().slice(0, 19)}Z"`

  /** 20 is the standard number, 21 becomes it in ten days, 22 in 300. */
  async function putList(nextUpdate = at + 25 * day): Promise<void> {
    const events = [
      [22, at - year + 300 * day],
      [21, at - year + 10 * day],
      [20, at - year - day],
    ] as const
    await putEvents(events, at - day, nextUpdate)
  }

  /** Numbers with the times of their recovery events: a year later they are the standard one. */
  async function putEvents(
    events: readonly (readonly [number, number])[],
    issuedAt: number,
    nextUpdate: number,
  ): Promise<void> {
    const entries = events.map(
      ([number, event]) =>
        `{"tcbEvaluationDataNumber":${number},"tcbRecoveryEventDate":${date(event)},"tcbDate":${date(event)}}`,
    )
    const dates = `"issueDate":${date(issuedAt)},"nextUpdate":${date(nextUpdate)}`
    const text = `{"id":"TDX","version":1,${dates},"tcbEvalNumbers":[${entries.join(',')}]}`
    const document = issueTcbInfo(pki.tcbSigning, { edit: () => text })
    const signature = fromHex(document.signature, 'signature', 64)
    const halves = [to0x(signature.subarray(0, 32)), to0x(signature.subarray(32))]
    await call('uploadEvaluationNumbers', [stringToHex(document.text), ...halves])
  }

  /** Every document of these numbers; of the last ones the platform is out of date. */
  async function putNumbers(numbers: readonly number[], outdated: readonly number[]) {
    const levels = standardLevels.map((level, index) =>
      index === 0 ? { ...level, tcbStatus: 'OutOfDate' } : level,
    )
    for (const evaluationNumber of numbers) {
      const options = { evaluationNumber, issuedAt: at - day }
      const isOutdated = outdated.includes(evaluationNumber)
      await chain.uploadTcbInfo(
        collateral({ ...options, ...(isOutdated ? { tcbInfo: { levels } } : {}) }),
      )
      await chain.uploadQeIdentity(collateral(options))
    }
  }

  test('the next number takes effect by itself, and an early number ends nothing', async () => {
    await chain.put(collateral({ issuedAt: at - day }))
    await putNumbers([21, 22], [22])
    await putList()
    const { quote, end } = await provenHost()
    for (const later of [9 * day, 10 * day - 1, 10 * day, 10 * day + 1, 18 * day]) {
      await chain.goTo(at + later)
      expect(await outcome(quote)).toBe('Verified UpToDate')
      expect(await end()).toBe('HostProofStillValid')
    }
  })

  test('a new standard number ends a proof one week after it took effect, not earlier', async () => {
    await chain.put(collateral({ issuedAt: at - day }))
    await putNumbers([21], [21])
    await putList()
    const { quote, end } = await provenHost()
    await chain.goTo(at + 10 * day)
    expect(await outcome(quote)).toBe('Verified OutOfDate')
    expect(await end()).toBe('HostProofStillValid')
    // sending the list again does not shorten the time
    await putList()
    await chain.goTo(at + 17 * day - 2)
    expect(await end()).toBe('HostProofStillValid')
    await chain.goTo(at + 17 * day)
    expect(await end()).toBe('done')
  })

  test('an expired list ends nothing', async () => {
    await chain.put(collateral({ issuedAt: at - day }))
    await putNumbers([22], [22])
    await putList(at + 5 * day)
    const { quote, end } = await provenHost()
    await chain.goTo(at + 6 * day)
    // a new host must meet the strictest number
    expect(await outcome(quote)).toBe('Verified OutOfDate')
    expect(await end()).toBe('HostProofStillValid')
    await chain.goTo(at + 20 * day)
    expect(await end()).toBe('HostProofStillValid')
  })

  test('an early number ends nothing without a list and for one week after the first list', async () => {
    await chain.put(collateral({ issuedAt: at - day }))
    const { quote, end } = await provenHost()
    await putNumbers([21], [21])
    expect(await outcome(quote)).toBe('Verified OutOfDate')
    await chain.goTo(at + 8 * day)
    expect(await end()).toBe('HostProofStillValid')
    const events = [
      [21, at - year - 30 * day],
      [20, at - 2 * year],
    ] as const
    await putEvents(events, at - day, at + 25 * day)
    expect(await end()).toBe('HostProofStillValid')
    await chain.goTo(at + 16 * day)
    expect(await end()).toBe('done')
  })

  test('a number in a late list ends a proof one week after the list, not earlier', async () => {
    await chain.put(collateral({ issuedAt: at - day }))
    await putNumbers([21], [21])
    await putEvents([[20, at - 2 * year]], at - day, at + 29 * day)
    await chain.goTo(at + 20 * day)
    const { quote, end } = await provenHost()
    expect(await outcome(quote)).toBe('Verified UpToDate')
    const events = [
      [21, at - year + 5 * day],
      [20, at - 2 * year],
    ] as const
    await putEvents(events, at + 19 * day, at + 49 * day)
    expect(await outcome(quote)).toBe('Verified OutOfDate')
    expect(await end()).toBe('HostProofStillValid')
    // sending it again changes nothing
    await chain.goTo(at + 26 * day)
    await putEvents(events, at + 19 * day, at + 49 * day)
    expect(await end()).toBe('HostProofStillValid')
    await chain.goTo(at + 28 * day)
    expect(await end()).toBe('done')
  })

  test('a revocation ends a proof immediately', async () => {
    await chain.put(collateral({ issuedAt: at - day }))
    await putList()
    const { end } = await provenHost()
    await revokePlatform()
    expect(await end()).toBe('done')
  })

  test('the list of a revoked signer is no longer used', async () => {
    await chain.put(collateral({ issuedAt: at - day }))
    await putList()
    expect((await chain.freshness()).standardUntil).toBe(at + 10 * day - 1)
    const period = { thisUpdate: at, nextUpdate: at + 20 * day }
    await uploadCrl(issueRevocations(pki.root, { ...period, revoked: [pki.tcbSigning.serial] }))
    expect((await chain.freshness()).standardUntil).toBe(0)
  })
})

describe('H12: every host proof can be ended, whatever quote it has', () => {
  /** As long as a quote may be. */
  const most = 8_192
  /** The limit of a transaction since Osaka (EIP-7825). */
  const cap = 16_777_216n

  /** Zeros behind the last certificate, which belong to the chain: each length around them counts them too. */
  function padChain(quote: Uint8Array): Uint8Array {
    const padded = new Uint8Array(most)
    padded.set(quote)
    const view = new DataView(padded.buffer)
    const authDataAt = 636
    const chainAt = authDataAt + 584 + view.getUint16(authDataAt + 582, true)
    for (const place of [632, authDataAt + 130, chainAt + 2]) {
      view.setUint32(place, view.getUint32(place, true) + most - quote.length, true)
    }
    return padded
  }
  const padEnd = (quote: Uint8Array) => {
    const padded = new Uint8Array(most).fill(255)
    padded.set(quote)
    return padded
  }

  test.each([
    ['zeros in its chain', padChain],
    ['bytes behind it', padEnd],
  ])('also one with %s', async (_, pad) => {
    await chain.put(collateral())
    const { hosts, quote } = await provenHost(pad)
    const [deviceId, padded] = [to0x(platform.deviceId), pad(quote)]
    await revokePlatform()
    const call = endProof(hosts, deviceId, padded)
    const { gasUsed } = await sendCall(chain.clients, call)
    expect(gasUsed).toBeLessThan(cap / 2n)
    const longer = registerHost(hosts, Uint8Array.of(...padded, 0), 1n)
    expect(await errorOf(sendCall(chain.clients, longer))).toBe('HostQuoteTooLong')
  })

  test('also one with a record of an earlier verifier', async () => {
    await chain.put(collateral())
    const record = await register(raw)
    const { hosts, end } = await provenHost((quote) =>
      encodeWithKnownPck(parseQuote(quote), record),
    )
    const second = await deployVerifier({
      ...chain.clients,
      artifacts: async (name) =>
        (await hre.artifacts.readArtifact(name)) as unknown as LinkableArtifact,
      root: simulator.rootCertificate,
    })
    await sendCall(chain.clients, setVerifier(hosts, second, noEnd))
    expect(await end()).toBe('HostProofStillValid')
    await revokePlatform()
    expect(await end()).toBe('done')
  })
})

describe('V8: a new member of a signed document changes nothing', () => {
  const member = '"new":{"svn":255,"tcbStatus":"Revoked","list":[{"pcesvn":0}],"text":"}]\\""}'
  /** One in every object of the document, in front and behind. */
  const edit = (text: string) =>
    text
      .replaceAll(/(?<=["\]}0-9])\}/g, ',"newer":[null,-1.5e3]}')
      .replaceAll(/\{(?=")/g, `{${member},`)

  test('in any object of both documents', async () => {
    await chain.put(collateral({ tcbInfo: { edit }, qeIdentity: { edit } }))
    expect(await outcome(raw)).toBe('Verified UpToDate')
    const plain = collateral({ issuedAt: at - 10 })
    // and the store sees that nothing but dates has changed
    const { logs } = await sendCall(
      chain.clients,
      collateralCalls(chain.verifier, plain)[4] as Call,
    )
    const [stored] = parseEventLogs({ abi: quoteVerifierAbi, eventName: 'DocumentStored', logs })
    expect(stored?.args.changed).toBe(false)
  })
})

describe('V9: too little gas makes the call fail and never gives a verdict', () => {
  test('also with the Solidity P-256 verifier at any part of the needed gas', async () => {
    const slow = await createVerifierChain(simulator.rootCertificate, 'P256Solidity')
    await slow.goTo(at)
    await slow.put(collateral())
    const data = encodeFunctionData({
      abi: quoteVerifierAbi,
      functionName: 'verify',
      args: [to0x(raw)],
    })
    const { publicClient } = slow.clients
    const needed = await publicClient.estimateGas({ to: slow.verifier, data })
    const answers = new Set<string>()
    for (let share = 10n; share <= 100n; share += 3n) {
      const gas = (needed * share) / 100n
      const answer = await publicClient.call({ to: slow.verifier, data, gas }).then(
        (result) =>
          verdicts[
            decodeFunctionResult({
              abi: quoteVerifierAbi,
              functionName: 'verify',
              data: result.data as Hex,
            }).verdict
          ],
        () => 'no answer',
      )
      answers.add(String(answer))
    }
    expect([...answers].sort()).toEqual(['Verified', 'no answer'])
  })
})

test('V10: an event log has one meaning for a boot', async () => {
  await chain.put(collateral())
  const bootLog = await chain.bootLog()
  const app = (from: number): Hex => `0x001122${from.toString(16)}${'44'.repeat(16)}`
  const events: [string, Hex][] = [
    ['system-preparing', '0x'],
    // a payload that goes on behind a colon
    ['app-id', app(0x3a)],
    ['compose-hash', `0x${'5a'.repeat(32)}`],
    ['app-id', `0x${'de'.repeat(20)}`],
    ['instance-id', '0x'],
    ['boot-mr-done', '0x'],
    ['system-ready', '0x'],
    ['an:event:of the app', '0x01'],
  ]
  let register = new Uint8Array(48)
  for (const [name, payload] of events) {
    const digest = runtimeEventDigest(name, new Uint8Array(Buffer.from(payload.slice(2), 'hex')))
    register = new Uint8Array(createHash('sha384').update(register).update(digest).digest())
  }
  const zero = new Uint8Array(48)
  const quote = platform.quote({ td: { rtmrs: [zero, zero, zero, register] } })
  const ask = (log: readonly (readonly [string | Uint8Array, Hex])[]) => {
    // names as bytes: the ABI of strings and bytes is the same
    const text = JSON.stringify(bootLogAbi).replaceAll('"type":"string"', '"type":"bytes"')
    const abi = JSON.parse(text) as Abi
    const args = [
      to0x(quote),
      log.map(([name, payload]) => ({
        name: typeof name === 'string' ? stringToHex(name) : to0x(name),
        payload,
        version: 1,
      })),
    ]
    const selector = toFunctionSelector(
      (bootLogAbi as Abi).find((item) => 'name' in item && item.name === 'prove') as AbiFunction,
    )
    const data = encodeFunctionData({ abi, functionName: 'prove', args })
    return chain.clients.publicClient
      .call({ to: bootLog, data: `${selector}${data.slice(10)}` })
      .then(
        ({ data: answer }) =>
          (
            decodeFunctionResult({
              abi: bootLogAbi,
              functionName: 'prove',
              data: answer as Hex,
            }) as unknown as [unknown, { appId: Hex }]
          )[1].appId,
        (cause) => toChainError(cause, 'prove').facts.error,
      )
  }
  expect(await ask(events)).toBe(app(0x3a))
  const hidden: [string | Uint8Array, Hex][] = [...events]
  hidden[1] = [Uint8Array.from([...Buffer.from('app-id:'), 0, 0x11, 0x22]), `0x${'44'.repeat(16)}`]
  expect(await ask(hidden)).toBe('EventMalformed')
})
