/** Intel's signed documents, and those that hosts and operators write. */
import { isDeepStrictEqual } from 'node:util'

import { toHex, utf8ToBytes } from '../../../src/lib/bytes.ts'
import { parseCollateral } from '../../../src/quote/collateral.ts'
import { type Compose, serializeCompose } from '../../../src/quote/compose.ts'
import { readEvaluationNumbers } from '../../../src/quote/evaluation-numbers.ts'
import { parseImageClaim } from '../../../src/quote/image-proof.ts'
import { parseVmConfig } from '../../../src/quote/measure.ts'
import {
  decodeTdxMeasurement,
  encodeTdxMeasurement,
} from '../../../src/quote/measurement-document.ts'
import { parsePolicy } from '../../../src/quote/policy.ts'
import { parseQeIdentity } from '../../../src/quote/qe-identity.ts'
import { parseTcbInfo } from '../../../src/quote/tcb-info.ts'
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
} from './material.ts'

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

/** Signed whatever it says, so that the reader is what refuses. */
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
    const date = (seconds: number) => `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`
    const read = JSON.parse(input) as { tcbEvalNumbers: { tcbDate: string }[] }
    const members = numbers.map(({ number, recoveryAt }) => [number, date(recoveryAt)].join())
    const written = read.tcbEvalNumbers.map((item) => Object.values(item).slice(0, 2).join())
    const { id, version, issueDate: issued, nextUpdate: next } = JSON.parse(input)
    const isSame =
      JSON.stringify(read) === input &&
      isDeepStrictEqual(
        [id, version, issued, next],
        ['TDX', 1, date(issueDate), date(nextUpdate)],
      ) &&
      isDeepStrictEqual(members.sort(), written.sort())
    return isSame ? undefined : 'another reader reads something else'
  },
})

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

export const documentTargets = [
  ...[tcbInfos, qeIdentities, bundles, evaluationNumbers],
  ...[measurements, composes, vmConfigs, imageClaims, policies],
]
