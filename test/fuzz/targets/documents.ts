/** Fuzzing targets: Intel's signed documents, and documents of hosts and operators. */
import { isDeepStrictEqual } from 'node:util'

import { toHex, utf8ToBytes } from '../../../src/lib/bytes.ts'
import { parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import { readEvaluationNumbers } from '../../../src/quote/collateral/evaluation-numbers.ts'
import { parseQeIdentity, type QeIdentity } from '../../../src/quote/collateral/qe-identity.ts'
import {
  type LevelRating,
  parseTcbInfo,
  type SvnLevel,
  type TcbInfo,
  type TdxModule,
} from '../../../src/quote/collateral/tcb-info.ts'
import { type Compose, serializeCompose } from '../../../src/quote/measurements/compose.ts'
import { parseImageClaim } from '../../../src/quote/measurements/image-proof.ts'
import { parseVmConfig } from '../../../src/quote/measurements/measure.ts'
import {
  decodeTdxMeasurement,
  encodeTdxMeasurement,
} from '../../../src/quote/measurements/measurement-document.ts'
import { parsePolicy } from '../../../src/quote/policy.ts'
import { createImage } from '../../../src/tee/simulator/image.ts'
import { sign } from '../../../src/tee/simulator/key.ts'
import { mutateBytes, mutateJson } from '../mutate.ts'
import {
  bench,
  distinct,
  evidence,
  goodCollateral,
  lower,
  parsedOr,
  simulator,
  target,
  u32,
} from './material.ts'

/** The content of a document that the parser uses. */
type Read = Record<string, unknown>

/**
 * The content of `text` in two other parsers: one uses the last of equal names, the other the first. The second keeps
 * numbers and texts as written, so another notation is another value.
 */
const otherReaders = (text: string): Read[] => [JSON.parse(text), firstReading(text)]

const part = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^{}[\]:,"]+/gs

function firstReading(text: string): Read {
  const parts = text.match(part) ?? []
  let at = 0
  const read = (): unknown => {
    const found = parts[at++] as string
    if (found === '{') {
      const members = new Map<string, unknown>()
      while (parts[at] !== '}') {
        const name = JSON.parse(parts[at] as string)
        at += 2
        const value = read()
        if (!members.has(name)) members.set(name, value)
        if (parts[at] === ',') at += 1
      }
      at += 1
      return Object.fromEntries(members)
    }
    if (found === '[') {
      const items: unknown[] = []
      while (parts[at] !== ']') {
        items.push(read())
        if (parts[at] === ',') at += 1
      }
      at += 1
      return items
    }
    if (found.startsWith('"')) return found.slice(1, -1)
    return /^(?:0|[1-9]\d*)$/.test(found) ? Number(found) : found
  }
  return read() as Read
}

/** Both other parsers must return the same, and there must be no white space outside of strings. */
function readsAs(ours: unknown, text: string, theirs: (read: Read) => unknown) {
  const isCompact = !/\s/.test(text.replaceAll(/"(?:[^"\\]|\\.)*"/gs, ''))
  const isSame = otherReaders(text).every((read) => isDeepStrictEqual(theirs(read), ours))
  return isCompact && isSame ? undefined : 'another reader reads something else'
}

const date = (seconds: number) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`

/** Sorts TCB levels, because their order in the document has no meaning. */
const sorted = (levels: readonly unknown[]) => levels.map((level) => JSON.stringify(level)).sort()

interface WrittenRating {
  readonly tcbDate: string
  readonly tcbStatus: string
  readonly advisoryIDs?: string[]
}

const rating = ({ tcbDate, status, advisoryIds }: LevelRating) => [tcbDate, status, advisoryIds]
const writtenRating = ({ tcbDate, tcbStatus, advisoryIDs = [] }: WrittenRating) => [
  ...[tcbDate, tcbStatus, advisoryIDs],
]

type WrittenLevel = WrittenRating & {
  readonly tcb: Record<'sgxtcbcomponents' | 'tdxtcbcomponents', { svn: number }[]> & {
    readonly pcesvn: number
  }
}

const svns = (components: { svn: number }[]) => components.map(({ svn }) => svn)

const writtenLevels = (levels: WrittenLevel[]) =>
  sorted(
    levels.map(({ tcb, ...level }) => [
      ...[svns(tcb.sgxtcbcomponents), tcb.pcesvn, svns(tcb.tdxtcbcomponents)],
      writtenRating(level),
    ]),
  )

type WrittenSvnLevel = WrittenRating & { readonly tcb: { readonly isvsvn: number } }

const svnLevels = (levels: readonly SvnLevel[]) =>
  sorted(levels.map((level) => [level.isvSvn, rating(level)]))

/** Removes levels that no enclave and no module can reach. */
const writtenSvnLevels = (levels: WrittenSvnLevel[]) =>
  sorted(
    levels
      .filter(({ tcb }) => tcb.isvsvn <= 65_535)
      .map(({ tcb, ...level }) => [tcb.isvsvn, writtenRating(level)]),
  )

interface WrittenModule {
  readonly id: string
  readonly mrsigner: string
  readonly attributes: string
  readonly tcbLevels: WrittenSvnLevel[]
}

const tcbInfos = target<string, TcbInfo>({
  name: 'TCB info',
  seeds: distinct(goodCollateral.map(({ tcb_info }) => tcb_info)),
  mutate: mutateJson,
  parse: parseTcbInfo,
  doubt: (info, input) => {
    const module = ({ mrSigner, attributes }: TdxModule) => [toHex(mrSigner), toHex(attributes)]
    const writtenModule = ({ mrsigner, attributes }: WrittenModule) =>
      [mrsigner, attributes].map(lower)
    const ours = [
      ...['TDX', 3, date(info.issueDate), date(info.nextUpdate)],
      ...[toHex(info.fmspc), toHex(info.pceId), 0, info.tcbEvaluationNumber],
      module(info.tdxModule),
      sorted(
        [...info.tdxModuleIdentities].map(([id, identity]) => [
          ...[id, module(identity), svnLevels(identity.levels)],
        ]),
      ),
      sorted(
        info.levels.map((level) => [
          ...[level.sgxComponents, level.pceSvn, level.tdxComponents, rating(level)],
        ]),
      ),
    ]
    return readsAs(ours, input, (read) => [
      ...[read.id, read.version, read.issueDate, read.nextUpdate],
      ...[lower(read.fmspc), lower(read.pceId), read.tcbType, read.tcbEvaluationDataNumber],
      writtenModule(read.tdxModule as WrittenModule),
      sorted(
        ((read.tdxModuleIdentities ?? []) as WrittenModule[]).map((identity) => [
          identity.id.toUpperCase(),
          writtenModule(identity),
          writtenSvnLevels(identity.tcbLevels),
        ]),
      ),
      writtenLevels(read.tcbLevels as WrittenLevel[]),
    ])
  },
})

const qeIdentities = target<string, QeIdentity>({
  name: 'QE identity',
  seeds: distinct(goodCollateral.map(({ qe_identity }) => qe_identity)),
  mutate: mutateJson,
  parse: parseQeIdentity,
  doubt: (identity, input) => {
    // little-endian, as in the report
    const u32Hex = (value: number) => toHex(u32(value))
    const ours = [
      ...['TD_QE', 2, date(identity.issueDate), date(identity.nextUpdate)],
      ...[identity.tcbEvaluationNumber, identity.isvProdId],
      ...[u32Hex(identity.miscSelect), u32Hex(identity.miscSelectMask)],
      ...[toHex(identity.attributes), toHex(identity.attributesMask), toHex(identity.mrSigner)],
      svnLevels(identity.levels),
    ]
    return readsAs(ours, input, (read) => [
      ...[read.id, read.version, read.issueDate, read.nextUpdate],
      ...[read.tcbEvaluationDataNumber, read.isvprodid],
      ...[read.miscselect, read.miscselectMask].map(lower),
      ...[read.attributes, read.attributesMask, read.mrsigner].map(lower),
      writtenSvnLevels(read.tcbLevels as WrittenSvnLevel[]),
    ])
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

/** Signs any content, so that only the parser can refuse it. */
const evaluationNumbers = target<string, ReturnType<typeof readEvaluationNumbers>>({
  name: 'evaluation numbers',
  weight: 0.5,
  seeds: [
    '{"id":"TDX","version":1,"issueDate":"2026-08-19T12:00:00Z","nextUpdate":"2026-09-18T12:00:00Z","tcbEvalNumbers":[{"tcbEvaluationDataNumber":21,"tcbRecoveryEventDate":"2026-05-12T00:00:00Z","tcbDate":"2026-05-13T00:00:00Z"},{"tcbEvaluationDataNumber":20,"tcbRecoveryEventDate":"2025-08-12T00:00:00Z","tcbDate":"2025-08-13T00:00:00Z"}]}',
  ],
  mutate: mutateJson,
  parse: (input) => {
    const text = input.toWellFormed()
    const signature = toHex(sign(simulator.pki.tcbSigning.key, utf8ToBytes(text)))
    const issuerChain = bench.collateral.tcb_info_issuer_chain
    return readEvaluationNumbers({ text, signature, issuerChain }, simulator.rootCertificate)
  },
  doubt: ({ issueDate, nextUpdate, numbers }, input) => {
    const members = numbers.map(({ number, recoveryAt }) => [number, date(recoveryAt)])
    const ours = ['TDX', 1, date(issueDate), date(nextUpdate), sorted(members)]
    return readsAs(ours, input, (read) => {
      const written = read.tcbEvalNumbers as {
        tcbEvaluationDataNumber: number
        tcbRecoveryEventDate: string
      }[]
      const theirs = written.map((item) => [
        item.tcbEvaluationDataNumber,
        item.tcbRecoveryEventDate,
      ])
      return [read.id, read.version, read.issueDate, read.nextUpdate, sorted(theirs)]
    })
  },
})

const measurements = target<Uint8Array, ReturnType<typeof decodeTdxMeasurement>>({
  name: 'measurement document (CBOR)',
  seeds: [createImage().measurement].map(encodeTdxMeasurement),
  mutate: mutateBytes,
  parse: decodeTdxMeasurement,
  doubt: (measurement, input) => {
    const again = encodeTdxMeasurement(measurement)
    // maps can have any order, and every value has one encoding, so the length must be the same
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

export const documentTargets = [
  ...[tcbInfos, qeIdentities, bundles, evaluationNumbers],
  ...[measurements, composes, vmConfigs, imageClaims, policies],
]
