/**
 * Every parser of outside bytes, with valid inputs and with what an accepted mutant must be.
 *
 * Where an encoding has one form, the oracle is re-encoding: the same bytes, or it is garbage. Where outside formats
 * leave room (JSON, protobuf, X.509), it is another reader that must read the same.
 */
import { isDeepStrictEqual } from 'node:util'

import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { decode as decodeMessagePack, encode as encodeMessagePack } from '@msgpack/msgpack'
import {
  BasicConstraintsExtension,
  X509Certificate as PeculiarCertificate,
  X509Crl,
} from '@peculiar/x509'
import { Hono } from 'hono'
import { AssentError } from '../../src/errors/index.ts'
import { issueLeaf, issueRootCa, readCertificate } from '../../src/kms/certificate.ts'
import { encodeCertificateRequest, parseCertificateRequest } from '../../src/kms/csr.ts'
import { encodeSpki } from '../../src/kms/derive.ts'
import { GetAppKeyRequestSchema, SignCertRequestSchema } from '../../src/kms/kms_pb.ts'
import { method, mountPrpc } from '../../src/kms/prpc.ts'
import { concatBytes, equalBytes, toHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { scaleBytes, scaleText } from '../../src/lib/scale.ts'
import {
  type Attestation,
  decodeAttestation,
  encodeAttestation,
} from '../../src/quote/attestation.ts'
import { parseCcel } from '../../src/quote/ccel.ts'
import { parseCertificate } from '../../src/quote/certificate.ts'
import { parseCollateral } from '../../src/quote/collateral.ts'
import { type Compose, serializeCompose } from '../../src/quote/compose.ts'
import { parseRevocationList } from '../../src/quote/crl.ts'
import { parseEventLog, replayRtmr3 } from '../../src/quote/event-log.ts'
import { parseImageClaim } from '../../src/quote/image-proof.ts'
import { parseVmConfig } from '../../src/quote/measure.ts'
import { decodeTdxMeasurement, encodeTdxMeasurement } from '../../src/quote/measurement-document.ts'
import { parseQuote, type Quote } from '../../src/quote/parse.ts'
import { splitPemChain } from '../../src/quote/pem.ts'
import { parsePolicy } from '../../src/quote/policy.ts'
import { parseQeIdentity } from '../../src/quote/qe-identity.ts'
import { parseTcbInfo } from '../../src/quote/tcb-info.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { toPemChain } from '../../src/tee/simulator/der.ts'
import { createBench } from '../../src/tee/simulator/faults/case.ts'
import { faultCatalogue } from '../../src/tee/simulator/faults/catalogue.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { ccelOf, ccelRecord } from './ccel.ts'
import type { Target } from './engine.ts'
import { mutateBytes, mutateDer, mutateJson, mutatePem, mutateText } from './mutate.ts'

const at = Date.parse('2026-08-20T12:00:00Z') / 1000
const simulator = createSimulator({ at, seed: new Uint8Array(32).fill(5) })
const bench = createBench(simulator)
const cvm = simulator
  .createPlatform()
  .createCvm({ image: createImage(), compose: '{"name":"fuzz"}' })
const evidence = await cvm.source.attest(new Uint8Array(64).fill(1))
const v4 = bench.quote
const v5 = bench.platform.quote({ version: 5, bodyType: 3 })
const ex = bench.platform.quote({ version: 5, bodyType: 4, qeAuthData: new Uint8Array(0) })

/** Accepted things of the catalogue, for what the honest ones do not have. */
const goodCollateral = faultCatalogue
  .filter((entry) => entry.expect.verdict === 'verified' && entry.name.startsWith('valid_'))
  .map((entry) => entry.build(bench).collateral)
const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)]

const u16 = (value: number) => Uint8Array.of(value & 0xff, value >> 8)
const u32 = (value: number) => new Uint8Array(Uint32Array.of(value).buffer)

function target<I, O>(entry: Target<I, O>): Target<unknown, unknown> {
  return entry as unknown as Target<unknown, unknown>
}

const same = (a: Uint8Array, b: Uint8Array): string | undefined =>
  equalBytes(a, b) ? undefined : 'does not encode to the same bytes'

/** A quote from its fields. Its PEM may end with or without line feed and NUL, which nothing authenticates. */
function encodeQuote(quote: Quote, pemEnd: string): Uint8Array {
  const pem = utf8ToBytes(toPemChain(quote.pckChain).slice(0, -1) + pemEnd)
  const certification = concatBytes(
    ...[
      quote.qeReport.bytes,
      quote.qeReportSignature,
      u16(quote.qeAuthData.length),
      quote.qeAuthData,
    ],
    ...[u16(5), u32(pem.length), pem],
  )
  const auth = concatBytes(
    ...[quote.signature, quote.attestationKey, u16(6), u32(certification.length), certification],
  )
  return concatBytes(quote.signedBytes, u32(auth.length), auth)
}

const quoteForms = (quote: Quote) => ['', '\n', '\0', '\n\0'].map((end) => encodeQuote(quote, end))

const quotes = target<Uint8Array, Quote>({
  name: 'quote',
  seeds: [v4, v5, ex],
  mutate: mutateBytes,
  parse: parseQuote,
  doubt: (quote, input) =>
    quoteForms(quote).some((form) => equalBytes(form, input.subarray(0, quote.length)))
      ? undefined
      : 'does not encode to the same bytes',
})

const verified = target<Uint8Array, ReturnType<typeof verifyQuote>>({
  name: 'verified quote',
  weight: 0.2,
  seeds: [v4, v5],
  mutate: mutateBytes,
  parse: (quote) =>
    verifyQuote(quote, parseCollateral(bench.collateral), { at, root: simulator.rootCertificate }),
  doubt: (verdict, input) => {
    if (verdict.verdict === 'rejected') return undefined
    const genuine = [v4, v5].map(parseQuote).flatMap(quoteForms)
    const { length } = verdict.quote
    return genuine.some((form) => equalBytes(form, input.subarray(0, length)))
      ? undefined
      : 'verified, and is none of the quotes that were signed'
  },
})

const eventLogs = target<string, ReturnType<typeof parseEventLog>>({
  name: 'event log',
  seeds: [evidence.eventLog],
  mutate: mutateJson,
  parse: parseEventLog,
  doubt: (events, input) => {
    const read = JSON.parse(input) as Record<string, unknown>[]
    const isSame = events.every((event, index) => {
      const { imr, event_type, event: name, event_payload, digest } = read[index] ?? {}
      const isStripped = event.imr === 3 || digest === '' || toHex(event.digest) === lower(digest)
      return (
        isStripped &&
        isDeepStrictEqual([event.imr, event.eventType, event.event], [imr, event_type, name]) &&
        toHex(event.payload) === lower(event_payload)
      )
    })
    if (!isSame || events.length !== read.length) return 'another reader reads other events'
    return replayRtmr3(events).length === 48 ? undefined : 'does not replay'
  },
})

const lower = (value: unknown): string => String(value).toLowerCase()

const sample: Attestation = {
  quote: v4,
  reportData: new Uint8Array(64).fill(1),
  config: evidence.vmConfig,
  eventLog: parseEventLog(evidence.eventLog),
  runtimeEvents: parseEventLog(evidence.eventLog)
    .filter((event) => event.imr === 3)
    .map(({ event, payload }) => ({ name: event, payload, version: 1 })),
}
const small: Attestation = {
  ...sample,
  quote: v4.slice(0, 40),
  eventLog: sample.eventLog.slice(-3),
}
const versionTwo = (attestation: Attestation): Attestation => ({
  ...attestation,
  runtimeEvents: attestation.runtimeEvents.map((event) => ({ ...event, version: 2 })),
})

const scale = target<Uint8Array, Attestation>({
  name: 'attestation version 0 (SCALE)',
  seeds: [sample, small].map(encodeAttestation),
  mutate: (input, random) => {
    const mutant = mutateBytes(input, random)
    // the first byte chooses the version
    if (mutant.length > 0) mutant[0] = 0
    return mutant
  },
  parse: decodeAttestation,
  doubt: (attestation, input) => same(encodeAttestation(attestation), input),
})

const messagePack = target<Uint8Array, Attestation>({
  name: 'attestation version 1 (MessagePack)',
  seeds: [versionTwo(sample), versionTwo(small)].map(encodeAttestation),
  mutate: (input, random) =>
    random.chance(0.5) ? mutateBytes(input, random) : mutateMessagePack(input, mutateJson, random),
  parse: decodeAttestation,
  doubt: (_, input) => {
    if (input[0] === 0) return undefined
    let keys = 0
    const mapKeyConverter = (key: unknown) => {
      keys += 1
      return key as string
    }
    const value = decodeMessagePack(input, { mapKeyConverter })
    return keys === countKeys(value) ? undefined : 'a key occurs twice'
  },
})

/** Changes its JSON form, keeping bytes as bytes where they are left alone; or writes a pair of a map twice. */
function mutateMessagePack(
  input: Uint8Array,
  change: typeof mutateJson,
  random: Parameters<typeof mutateJson>[1],
): Uint8Array {
  try {
    if (random.chance(0.3)) {
      // `version` is the first pair of the outermost map
      const pair = encodeMessagePack('version')
      return concatBytes(
        Uint8Array.of((input[0] as number) + 1),
        pair,
        Uint8Array.of(1),
        input.subarray(1),
      )
    }
    const json = JSON.stringify(decodeMessagePack(input), (_, value) =>
      value instanceof Uint8Array ? [...value] : value,
    )
    return encodeMessagePack(JSON.parse(change(json, random)))
  } catch {
    return mutateBytes(input, random)
  }
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0
  const inner = Object.values(value).reduce<number>((sum, member) => sum + countKeys(member), 0)
  return Array.isArray(value) ? inner : inner + Object.keys(value).length
}

const requestKey = new Uint8Array(32).fill(9)
const wishes = {
  spki: encodeSpki(requestKey),
  organization: 'Assent',
  subject: 'app.example',
  names: ['app.example', '10.0.0.1'],
  serverAuth: true,
  clientAuth: false,
  withQuote: true,
  withAppInfo: true,
  notBefore: 1_700_000_000,
  notAfter: undefined,
}

const requests = target<Uint8Array, ReturnType<typeof parseCertificateRequest>>({
  name: 'certificate request version 2',
  seeds: [
    encodeCertificateRequest({ ...wishes, attestation: sample }),
    encodeCertificateRequest({ ...wishes, organization: undefined, attestation: small }),
  ],
  mutate: mutateBytes,
  parse: (input) => parseCertificateRequest(2, input),
  doubt: (request, input) => {
    const again = encodeCertificateRequest(request)
    const head = again.length - encodeAttestation(request.attestation).length
    const isMessagePack = input[head] !== 0
    // version 1 inside has an oracle of its own
    return isMessagePack
      ? same(again.subarray(0, head), input.subarray(0, head))
      : same(again, input)
  },
})

const legacyHead = concatBytes(
  ...[
    scaleText('please sign cert:'),
    scaleBytes(wishes.spki),
    Uint8Array.of(0),
    scaleText('app.example'),
  ],
  ...[Uint8Array.of(4), scaleText('app.example'), Uint8Array.of(1, 0, 1)],
)

const legacyRequests = target<Uint8Array, ReturnType<typeof parseCertificateRequest>>({
  name: 'certificate request version 1',
  seeds: [concatBytes(legacyHead, scaleBytes(v4), scaleText(evidence.eventLog))],
  mutate: mutateBytes,
  parse: (input) => parseCertificateRequest(1, input),
  doubt: ({ attestation, ...request }, input) => {
    const { withAppInfo, notBefore, notAfter } = request
    const whole = encodeCertificateRequest({ ...request, attestation })
    // the two versions share everything up to the flags
    const tail = encodeAttestation(attestation).length + 3
    const head = concatBytes(whole.subarray(0, whole.length - tail), scaleBytes(attestation.quote))
    if (withAppInfo || notBefore !== undefined || notAfter !== undefined)
      return 'has members of version 2'
    return same(head, input.subarray(0, head.length))
  },
})

const derCertificates = target<Uint8Array, ReturnType<typeof parseCertificate>>({
  name: 'certificate (DER)',
  seeds: [...bench.platform.pckChain, simulator.pki.tcbSigning.certificate],
  mutate: mutateDer,
  parse: (input) => parseCertificate(input, 'certificate'),
  doubt: (certificate, input) => {
    const other = new PeculiarCertificate(new Uint8Array(input))
    const read = [
      other.serialNumber.replace(/^0+/, ''),
      other.notBefore.getTime() / 1000,
      other.notAfter.getTime() / 1000,
      Buffer.from(other.publicKey.rawData).subarray(-64).toString('hex'),
      other.getExtension(BasicConstraintsExtension)?.ca ?? false,
    ]
    const { serial, notBefore, notAfter, key, isCa } = certificate
    const ours = [serial.replace(/^0+/, ''), notBefore, notAfter, toHex(key.point), isCa]
    return isDeepStrictEqual(read, ours) ? undefined : `another reader: ${read}; ours: ${ours}`
  },
})

const lists = target<Uint8Array, ReturnType<typeof parseRevocationList>>({
  name: 'revocation list (DER)',
  weight: 0.5,
  seeds: distinct(goodCollateral.flatMap(({ root_ca_crl, pck_crl }) => [root_ca_crl, pck_crl]))
    .filter((hex) => hex.length < 2_000)
    .map((hex) => new Uint8Array(Buffer.from(hex, 'hex'))),
  mutate: mutateDer,
  parse: (input) => parseRevocationList(input, 'list'),
  doubt: (list, input) => {
    const other = new X509Crl(new Uint8Array(input))
    const serials = new Set(other.entries.map((entry) => entry.serialNumber.replace(/^0+/, '')))
    const ours = new Set([...list.revoked].map((serial) => serial.replace(/^0+/, '')))
    const isSame =
      other.thisUpdate.getTime() / 1000 === list.thisUpdate &&
      (other.nextUpdate?.getTime() ?? 0) / 1000 === list.nextUpdate &&
      isDeepStrictEqual(serials, ours)
    return isSame ? undefined : 'another reader reads other dates or entries'
  },
})

const pem = target<string, Uint8Array[]>({
  name: 'PEM chain',
  seeds: [toPemChain(bench.platform.pckChain), bench.collateral.tcb_info_issuer_chain],
  mutate: (input, random) =>
    random.chance(0.5) ? mutateText(input, random) : mutatePem(bench.platform.pckChain, random),
  parse: (input) => splitPemChain(input, { field: 'chain' }),
  doubt: (chain, input) => {
    const written = toPemChain(chain)
    return input === written || `${input}\n` === written
      ? undefined
      : 'does not write to the same text'
  },
})

const tcbInfos = target<string, ReturnType<typeof parseTcbInfo>>({
  name: 'TCB info',
  seeds: distinct(goodCollateral.map(({ tcb_info }) => tcb_info)),
  mutate: mutateJson,
  parse: parseTcbInfo,
  doubt: (info, input) => {
    const read = JSON.parse(input)
    const names = Object.keys(read).filter((name) => name !== 'tdxModuleIdentities')
    const order =
      'id,version,issueDate,nextUpdate,fmspc,pceId,tcbType,tcbEvaluationDataNumber,tdxModule,tcbLevels'
    const isSame =
      names.join() === order &&
      JSON.stringify(read) === input &&
      toHex(info.fmspc) === lower(read.fmspc) &&
      toHex(info.pceId) === lower(read.pceId) &&
      info.tcbEvaluationNumber === read.tcbEvaluationDataNumber &&
      info.issueDate * 1000 === Date.parse(read.issueDate) &&
      info.nextUpdate * 1000 === Date.parse(read.nextUpdate) &&
      info.tdxModuleIdentities.size === (read.tdxModuleIdentities?.length ?? 0) &&
      isDeepStrictEqual(
        info.levels.map(levelName).sort(),
        read.tcbLevels.map(writtenLevelName).sort(),
      )
    return isSame ? undefined : 'another reader reads something else'
  },
})

type ReadLevel = ReturnType<typeof parseTcbInfo>['levels'][number]

const levelName = ({
  sgxComponents,
  tdxComponents,
  pceSvn,
  status,
  tcbDate,
  advisoryIds,
}: ReadLevel) =>
  JSON.stringify([sgxComponents, pceSvn, tdxComponents, tcbDate, status, advisoryIds])

interface WrittenLevel {
  readonly tcb: Record<'sgxtcbcomponents' | 'tdxtcbcomponents', { svn: number }[]> & {
    pcesvn: number
  }
  readonly tcbDate: string
  readonly tcbStatus: string
  readonly advisoryIDs?: string[]
}

const writtenLevelName = ({ tcb, tcbDate, tcbStatus, advisoryIDs = [] }: WrittenLevel) => {
  const svns = (components: { svn: number }[]) => components.map(({ svn }) => svn)
  const [sgx, tdx] = [svns(tcb.sgxtcbcomponents), svns(tcb.tdxtcbcomponents)]
  return JSON.stringify([sgx, tcb.pcesvn, tdx, tcbDate, tcbStatus, advisoryIDs])
}

const qeIdentities = target<string, ReturnType<typeof parseQeIdentity>>({
  name: 'QE identity',
  seeds: distinct(goodCollateral.map(({ qe_identity }) => qe_identity)),
  mutate: mutateJson,
  parse: parseQeIdentity,
  doubt: (identity, input) => {
    const u32Hex = (value: number) => value.toString(16).padStart(8, '0')
    const date = (seconds: number) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
    const byDocument = new Map(
      identity.levels.map(({ isvSvn, tcbDate, status, advisoryIds }) => [
        isvSvn,
        { tcb: { isvsvn: isvSvn }, tcbDate, tcbStatus: status, advisoryIDs: advisoryIds },
      ]),
    )
    const read = JSON.parse(input) as {
      tcbLevels: { tcb: { isvsvn: number }; advisoryIDs?: string[] }[]
    }
    const written = JSON.stringify({
      ...{
        id: 'TD_QE',
        version: 2,
        issueDate: date(identity.issueDate),
        nextUpdate: date(identity.nextUpdate),
      },
      tcbEvaluationDataNumber: identity.tcbEvaluationNumber,
      ...{
        miscselect: u32Hex(identity.miscSelect),
        miscselectMask: u32Hex(identity.miscSelectMask),
      },
      ...{ attributes: toHex(identity.attributes), attributesMask: toHex(identity.attributesMask) },
      ...{ mrsigner: toHex(identity.mrSigner), isvprodid: identity.isvProdId },
      tcbLevels: read.tcbLevels.map(({ tcb, advisoryIDs }) => {
        const { advisoryIDs: ours, ...level } = byDocument.get(tcb.isvsvn) ?? { advisoryIDs: [] }
        return advisoryIDs === undefined ? level : { ...level, advisoryIDs: ours }
      }),
    })
    return written.toLowerCase() === input.toLowerCase()
      ? undefined
      : 'does not write to the same text'
  },
})

const bundles = target<string, ReturnType<typeof parseCollateral>>({
  name: 'collateral bundle',
  weight: 0.3,
  seeds: [JSON.stringify(bench.collateral)],
  mutate: mutateJson,
  parse: (input) => parseCollateral(parsedOr(input)),
  doubt: (bundle, input) =>
    isDeepStrictEqual({ ...bundle }, JSON.parse(input)) ? undefined : 'is not what was written',
})

/** What a service does before: text that is no JSON never reaches the parser. */
function parsedOr(input: string): unknown {
  try {
    return JSON.parse(input)
  } catch {
    return undefined
  }
}

const measurements = target<Uint8Array, ReturnType<typeof decodeTdxMeasurement>>({
  name: 'measurement document (CBOR)',
  seeds: [createImage().measurement].map(encodeTdxMeasurement),
  mutate: mutateBytes,
  parse: decodeTdxMeasurement,
  doubt: (measurement, input) => {
    const again = encodeTdxMeasurement(measurement)
    // maps may come in any order; every value has one encoding, so the length is the same
    const isSame =
      again.length === input.length && isDeepStrictEqual(decodeTdxMeasurement(again), measurement)
    return isSame ? undefined : 'does not encode to as many bytes'
  },
})

const composes = target<string, string>({
  name: 'compose',
  seeds: [
    '{"manifest_version":2,"name":"demo","runner":"docker-compose","docker_compose_file":"services: {}","allowed_envs":["A"],"requirements":{"platforms":["tdx"]}}',
    '{"name":"demo","__proto__":{"b":1,"a":2},"é":[-0,1e2]}',
  ],
  mutate: mutateJson,
  parse: (input) => {
    const compose = parsedOr(input)
    const isObject = typeof compose === 'object' && compose !== null && !Array.isArray(compose)
    return isObject ? serializeCompose(compose as Compose) : '{}'
  },
  doubt: (text, input) => {
    const compose = JSON.parse(text)
    if (serializeCompose(compose) !== text) return 'is not the same when sorted again'
    const read = parsedOr(input)
    const isObject = typeof read === 'object' && read !== null && !Array.isArray(read)
    if (!isObject) return undefined
    // minus zero is zero in JSON's canonical form
    const kept = JSON.parse(JSON.stringify(read))
    return isDeepStrictEqual(kept, compose) ? undefined : 'lost something'
  },
})

const vmConfigs = target<string, ReturnType<typeof parseVmConfig>>({
  name: 'vm_config',
  seeds: [evidence.vmConfig],
  mutate: mutateJson,
  parse: parseVmConfig,
  doubt: ({ osImageHash }, input) =>
    toHex(osImageHash) === lower(JSON.parse(input).os_image_hash) ? undefined : 'another hash',
})

const imageClaims = target<string, ReturnType<typeof parseImageClaim>>({
  name: 'image claim',
  seeds: [evidence.vmConfig],
  mutate: mutateJson,
  parse: parseImageClaim,
  doubt: (claim, input) =>
    claim.os_image_hash === JSON.parse(input).os_image_hash ? undefined : 'another hash',
})

const policies = target<string, ReturnType<typeof parsePolicy>>({
  name: 'policy',
  seeds: [
    '{"statuses":["UpToDate"],"advisories":{"deny":["INTEL-SA-00001"]},"attributes":["PKS"],"xfam":"0x6dbe7","minEvaluationNumber":17,"maxCollateralAge":86400,"fmspcs":{"allow":["00806f050000"]}}',
  ],
  mutate: mutateJson,
  parse: (input) => parsePolicy(parsedOr(input) ?? null),
  doubt: (policy, input) => {
    const read = JSON.parse(input)
    const isKept = (read.statuses ?? policy.statuses).every((status: never) =>
      policy.statuses.includes(status),
    )
    return isKept && policy.statuses.length > 0 ? undefined : 'accepts what was not written'
  },
})

const firmwareLogs = target<Uint8Array, ReturnType<typeof parseCcel>>({
  name: 'firmware event log (CCEL)',
  seeds: [
    ccelOf([
      ccelRecord(),
      ccelRecord({ register: 2, payload: new Uint8Array(40) }),
      ccelRecord({ register: 4 }),
    ]),
  ],
  mutate: mutateBytes,
  parse: parseCcel,
  doubt: (events, input) => {
    const records = events.map(({ imr, eventType, digest, payload }) =>
      ccelRecord({ register: imr + 1, eventType, digests: [[0x0c, digest]], payload }),
    )
    // records of register 0 are skipped, so each that was read must stand there, in order
    let from = 0
    for (const record of records) {
      const found = Buffer.from(input).indexOf(record, from)
      if (found === -1) return 'has an event that does not stand there'
      from = found + record.length
    }
    return undefined
  },
})

const clientKey = new Uint8Array(32).fill(3)
const rootCa = await issueRootCa(clientKey, at)
const clientLeaf = await issueLeaf(
  { key: clientKey, certificate: rootCa },
  { spki: encodeSpki(requestKey), commonName: 'fuzz', extensions: new Map() } as never,
  at,
)

const clientCertificates = target<Uint8Array, ReturnType<typeof readCertificate>>({
  name: 'client certificate',
  weight: 0.3,
  seeds: [rootCa, clientLeaf],
  mutate: mutateDer,
  parse: readCertificate,
  doubt: ({ spki, extensions }) =>
    spki.length > 0 && extensions.size < 64 ? undefined : 'has no key, or extensions without end',
})

/** The very route that the KMS serves; the method echoes what it understood. */
const rpc = new Hono()
mountPrpc(rpc, {
  prefix: 'KMS',
  methods: {
    GetAppKey: method(GetAppKeyRequestSchema, GetAppKeyRequestSchema, async (request) => request),
    SignCert: method(SignCertRequestSchema, SignCertRequestSchema, async (request) => request),
  },
  caller: async () => undefined,
  observe: () => {},
})

const protobufSeeds: readonly (readonly [name: string, body: Uint8Array])[] = [
  [
    'GetAppKey',
    toBinary(
      GetAppKeyRequestSchema,
      create(GetAppKeyRequestSchema, { apiVersion: 1, vmConfig: evidence.vmConfig }),
    ),
  ],
  [
    'SignCert',
    toBinary(
      SignCertRequestSchema,
      create(SignCertRequestSchema, {
        apiVersion: 1,
        csr: legacyHead,
        signature: new Uint8Array(70),
      }),
    ),
  ],
]
const schemas = { GetAppKey: GetAppKeyRequestSchema, SignCert: SignCertRequestSchema } as const
type RpcInput = readonly [name: string, body: Uint8Array]

async function callRpc([name, body]: RpcInput, type: string) {
  const response = await rpc.request(`/prpc/KMS.${name}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: new Uint8Array(body),
  })
  const answer = new Uint8Array(await response.arrayBuffer())
  const code = response.headers.get('x-assent-error')
  if (response.status === 400 && code === 'KMS_REQUEST_INVALID') {
    throw new AssentError(code, Buffer.from(answer).toString('latin1'))
  }
  return { status: response.status, code, answer }
}

/** Protobuf leaves room (unknown fields, longer varints): what was understood must read back the same. */
const protobuf = target<RpcInput, Awaited<ReturnType<typeof callRpc>>>({
  name: 'KMS request (protobuf)',
  seeds: protobufSeeds,
  mutate: ([name, body], random) => [name, mutateBytes(body, random)],
  parse: (input) => callRpc(input, 'application/octet-stream'),
  doubt: (result, [name, body]) => {
    if (result.status !== 200) return `status ${result.status}, ${result.code}`
    const schema = schemas[name as keyof typeof schemas]
    const [heard, said] = [result.answer, body].map((bytes) => fromBinary(schema, bytes))
    const isSame = equalBytes(toBinary(schema, heard as never), toBinary(schema, said as never))
    return isSame ? undefined : 'was understood otherwise'
  },
})

const rpcJson = target<string, Awaited<ReturnType<typeof callRpc>>>({
  name: 'KMS request (JSON)',
  seeds: [
    JSON.stringify({ api_version: 1, vm_config: '{}' }),
    JSON.stringify({ api_version: 1, vm_config: null, other: [1] }),
  ],
  mutate: mutateJson,
  parse: (input) => callRpc(['GetAppKey', utf8ToBytes(input)], 'application/json'),
  doubt: (result, input) => {
    if (input === '') return undefined
    if (result.status !== 200) return `status ${result.status}, ${result.code}`
    const heard = JSON.parse(Buffer.from(result.answer).toString())
    const said = JSON.parse(input) ?? {}
    const isSame =
      (said.vm_config ?? '') === heard.vm_config &&
      Number(said.api_version ?? 0) === heard.api_version
    return isSame ? undefined : 'was understood otherwise'
  },
})

export const targets: readonly Target<unknown, unknown>[] = [
  ...[quotes, verified, eventLogs, firmwareLogs, scale, messagePack, requests, legacyRequests],
  ...[derCertificates, lists, pem, clientCertificates, tcbInfos, qeIdentities, bundles],
  ...[measurements, composes, vmConfigs, imageClaims, policies, protobuf, rpcJson],
]
