/** TCB info for TDX, version 3: Intel's signed list of the TCB levels of one platform family. */
import { equalBytes, toHex } from '../../lib/bytes.ts'
import { Rejection, type TcbStatus } from '../verdict.ts'
import { type JsonObject, parseSignedJson } from './signed-json.ts'

/** A parsed TCB info. */
export interface TcbInfo {
  /** Unix seconds, both inclusive. */
  readonly issueDate: number
  /** Unix seconds. */
  readonly nextUpdate: number
  /** 6 bytes */
  readonly fmspc: Uint8Array
  /** 2 bytes */
  readonly pceId: Uint8Array
  /** TCB evaluation number of the document. */
  readonly tcbEvaluationNumber: number
  /** The expected module with major version 0. */
  readonly tdxModule: TdxModule
  /** The expected modules with major version 1 and above, by upper-case id such as `TDX_01`. */
  readonly tdxModuleIdentities: ReadonlyMap<string, TdxModuleIdentity>
  /** Highest level first. */
  readonly levels: readonly PlatformLevel[]
}

/** Signer and attributes of a TDX module. */
export interface TdxModule {
  /** 48 bytes */
  readonly mrSigner: Uint8Array
  /** 8 bytes */
  readonly attributes: Uint8Array
}

/** A TDX module of one major version, with its own TCB levels. */
export interface TdxModuleIdentity extends TdxModule {
  /** Highest ISVSVN first. */
  readonly levels: readonly SvnLevel[]
}

/** Status, date and advisories of a TCB level. The status is a string, because Intel can add new ones. */
export interface LevelRating {
  /** Intel's status of the level. */
  readonly status: string
  /** ISO 8601. */
  readonly tcbDate: string
  /** Such as `INTEL-SA-00837`; empty if the level has none. */
  readonly advisoryIds: readonly string[]
}

/** A TCB level of the platform. */
export interface PlatformLevel extends LevelRating {
  /** 16 SVNs each. */
  readonly sgxComponents: readonly number[]
  /** 16 SVNs, in the order of TEE TCB SVN. */
  readonly tdxComponents: readonly number[]
  /** SVN of the provisioning certification enclave. */
  readonly pceSvn: number
}

/** A TCB level of a TDX module or a quoting enclave. */
export interface SvnLevel extends LevelRating {
  /** Lowest SVN that reaches the level. */
  readonly isvSvn: number
}

/**
 * Parses the text of a TCB info. Verify its signature first.
 *
 * @throws QUOTE_TCB_INFO_MALFORMED, QUOTE_TOO_LARGE
 * @throws Rejection QUOTE_TCB_INFO_UNSUPPORTED for another TEE or version
 */
export function parseTcbInfo(text: string): TcbInfo {
  const json = parseSignedJson(text, 'TCB info', 'QUOTE_TCB_INFO_MALFORMED')
  requireTdx(json)
  const { issueDate, nextUpdate } = readPeriod(json)
  const fmspc = json.bytes('fmspc', 6)
  const pceId = json.bytes('pceId', 2)
  if (json.number('tcbType', 255) !== 0) throw json.malformed('tcbType', '0')
  const tcbEvaluationNumber = json.number('tcbEvaluationDataNumber', 255)
  const tdxModule = readModule(json.object('tdxModule'))
  // documents of 2023 do not have it
  const tdxModuleIdentities = json.has('tdxModuleIdentities')
    ? readModuleIdentities(json)
    : new Map<string, TdxModuleIdentity>()
  const levels = readPlatformLevels(json)

  const validity = { issueDate, nextUpdate, tcbEvaluationNumber }
  return { ...validity, fmspc, pceId, tdxModule, tdxModuleIdentities, levels }
}

/** Intel QVL 4.1.2.5.10. */
function requireTdx(json: JsonObject): void {
  const id = json.has('id') ? json.string('id') : 'SGX'
  const version = json.number('version', 255)
  if (id !== 'TDX' || version !== 3) {
    throw new Rejection('QUOTE_TCB_INFO_UNSUPPORTED', 'The TCB info is not for TDX, version 3.', {
      found: { id, version },
      expected: { id: 'TDX', version: 3 },
    })
  }
}

/** Reads issue date and next update. @throws the code of the document if they are in the wrong order */
export function readPeriod(json: JsonObject): { issueDate: number; nextUpdate: number } {
  const issueDate = json.time('issueDate')
  const nextUpdate = json.time('nextUpdate')
  if (nextUpdate <= issueDate) throw json.malformed('nextUpdate', 'after issueDate')
  return { issueDate, nextUpdate }
}

function readModule(json: JsonObject): TdxModule {
  const mrSigner = json.bytes('mrsigner', 48)
  const attributes = json.bytes('attributes', 8)
  // like Intel's library, `requireTdxModule` compares all attributes and ignores the mask
  json.bytes('attributesMask', 8)
  return { mrSigner, attributes }
}

function readModuleIdentities(json: JsonObject): Map<string, TdxModuleIdentity> {
  const identities = new Map<string, TdxModuleIdentity>()
  for (const item of json.objects('tdxModuleIdentities')) {
    const id = item.string('id').toUpperCase()
    if (!/^TDX_[0-9A-F]{2}$/.test(id)) throw item.malformed('id', 'TDX_ and a version')
    if (identities.has(id)) throw item.malformed('id', 'unique')
    const module = readModule(item)
    identities.set(id, { ...module, levels: readSvnLevels(item) })
  }
  if (identities.size === 0) throw json.malformed('tdxModuleIdentities', 'non-empty')
  return identities
}

function readPlatformLevels(json: JsonObject): PlatformLevel[] {
  const levels = json.objects('tcbLevels').map((item): PlatformLevel => {
    const tcb = item.object('tcb')
    const sgxComponents = readComponents(tcb, 'sgxtcbcomponents')
    const pceSvn = tcb.number('pcesvn', 65_535)
    const tdxComponents = readComponents(tcb, 'tdxtcbcomponents')
    return { sgxComponents, pceSvn, tdxComponents, ...readRating(item, platformStatuses) }
  })
  if (levels.length === 0) throw json.malformed('tcbLevels', 'non-empty')
  return sortUnique(levels, comparePlatformLevels, json)
}

function readComponents(json: JsonObject, key: string): number[] {
  const components = json.objects(key).map((component) => {
    if (component.has('category')) component.string('category')
    if (component.has('type')) component.string('type')
    return component.number('svn', 255)
  })
  if (components.length !== 16) throw json.malformed(key, '16 components')
  return components
}

/**
 * Reads the TCB levels of a TDX module or an enclave, highest ISVSVN first.
 *
 * @param statuses accepted statuses, see `readRating`
 */
export function readSvnLevels(json: JsonObject, statuses?: ReadonlySet<string>): SvnLevel[] {
  const levels = json.objects('tcbLevels').map((item): SvnLevel => {
    const isvSvn = item.object('tcb').number('isvsvn', 0xffff_ffff)
    return { isvSvn, ...readRating(item, statuses) }
  })
  if (levels.length === 0) throw json.malformed('tcbLevels', 'non-empty')
  // an ISVSVN has 16 bits, so nothing can reach a higher level
  const reachable = levels.filter(({ isvSvn }) => isvSvn <= 65_535)
  return sortUnique(reachable, (a, b) => a.isvSvn - b.isvSvn, json)
}

/** Statuses of a platform level, and of a module or quoting enclave. */
export type PlatformStatus = Exclude<TcbStatus, `TDRelaunch${string}`> | 'Revoked'
/** Statuses of a QE identity or TDX module identity. */
export type ComponentStatus = 'UpToDate' | 'OutOfDate' | 'Revoked'

/** Statuses of TCB levels in Intel's TCB info, version 3. */
export const platformStatuses: ReadonlySet<string> = new Set<PlatformStatus>([
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
])

/** Statuses of levels in QE and TDX module identities. */
export const componentStatuses: ReadonlySet<string> = new Set<ComponentStatus>([
  'UpToDate',
  'OutOfDate',
  'Revoked',
])

/** Creates the rejection for a status that this version does not know. */
export function unknownStatus(status: string): Rejection {
  return new Rejection('QUOTE_TCB_STATUS_UNKNOWN', 'The TCB status is unknown.', { found: status })
}

/**
 * @param statuses accepted statuses. Like Intel's library, any other status in any level rejects the whole document. For
 *   modules it is left out: their status is checked when the level matches
 */
function readRating(json: JsonObject, statuses?: ReadonlySet<string>): LevelRating {
  const tcbDate = json.date('tcbDate')
  const status = json.string('tcbStatus')
  if (statuses !== undefined && !statuses.has(status)) throw unknownStatus(status)
  const advisoryIds = json.has('advisoryIDs') ? json.names('advisoryIDs') : []
  return { status, tcbDate, advisoryIds }
}

/** Sorts levels, highest first. Like Intel's library it ignores the order in the JSON and refuses equal levels. */
function sortUnique<T>(levels: T[], compare: (a: T, b: T) => number, json: JsonObject): T[] {
  levels.sort((a, b) => compare(b, a))
  const isUnique = levels.every((level, index) => {
    const next = levels[index + 1]
    return next === undefined || compare(level, next) !== 0
  })
  if (!isUnique) throw json.malformed('tcbLevels', 'distinct')
  return levels
}

/** Compares SGX components, then PCESVN, then TDX components. */
function comparePlatformLevels(a: PlatformLevel, b: PlatformLevel): number {
  return (
    compareNumbers(a.sgxComponents, b.sgxComponents) ||
    a.pceSvn - b.pceSvn ||
    compareNumbers(a.tdxComponents, b.tdxComponents)
  )
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index++) {
    const difference = (a[index] as number) - (b[index] as number)
    if (difference !== 0) return difference
  }
  return 0
}

/** Checks that the TCB info is for this platform family (Intel QVL 4.1.2.5.11). @throws Rejection */
export function requireSamePlatform(
  tcbInfo: TcbInfo,
  platform: { readonly fmspc: Uint8Array; readonly pceId: Uint8Array },
): void {
  const facts = {
    found: { fmspc: toHex(tcbInfo.fmspc), pceId: toHex(tcbInfo.pceId) },
    expected: { fmspc: toHex(platform.fmspc), pceId: toHex(platform.pceId) },
  }
  if (!equalBytes(tcbInfo.fmspc, platform.fmspc)) {
    throw new Rejection('QUOTE_FMSPC_MISMATCH', 'The TCB info is for another FMSPC.', facts)
  }
  if (!equalBytes(tcbInfo.pceId, platform.pceId)) {
    throw new Rejection('QUOTE_PCEID_MISMATCH', 'The TCB info is for another PCEID.', facts)
  }
}
