/** Intel's TCB info for TDX, version 3: how Intel rates each level of a platform's firmware. */
import { equalBytes, toHex } from '../../lib/bytes.ts'
import { Rejection, type TcbStatus } from '../verdict.ts'
import { type JsonObject, parseSignedJson } from './signed-json.ts'

export interface TcbInfo {
  /** unix seconds, both inclusive */
  readonly issueDate: number
  readonly nextUpdate: number
  /** 6 bytes */
  readonly fmspc: Uint8Array
  /** 2 bytes */
  readonly pceId: Uint8Array
  readonly tcbEvaluationNumber: number
  /** expected of modules whose major version is 0 */
  readonly tdxModule: TdxModule
  /** expected of later modules, by upper-case id: `TDX_01` */
  readonly tdxModuleIdentities: ReadonlyMap<string, TdxModuleIdentity>
  /** best first */
  readonly levels: readonly PlatformLevel[]
}

export interface TdxModule {
  /** 48 bytes */
  readonly mrSigner: Uint8Array
  /** 8 bytes */
  readonly attributes: Uint8Array
}

export interface TdxModuleIdentity extends TdxModule {
  /** highest ISVSVN first */
  readonly levels: readonly SvnLevel[]
}

/** What Intel says about a level. The status is a string, because Intel may add some. */
export interface LevelRating {
  readonly status: string
  readonly tcbDate: string
  readonly advisoryIds: readonly string[]
}

export interface PlatformLevel extends LevelRating {
  /** 16 each */
  readonly sgxComponents: readonly number[]
  readonly tdxComponents: readonly number[]
  readonly pceSvn: number
}

export interface SvnLevel extends LevelRating {
  readonly isvSvn: number
}

/**
 * Reads the text of a TCB info whose signature was verified.
 *
 * @throws QUOTE_TCB_INFO_MALFORMED, QUOTE_TOO_LARGE; rejects QUOTE_TCB_INFO_UNSUPPORTED
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
  // absent in documents of 2023
  const tdxModuleIdentities = json.has('tdxModuleIdentities')
    ? readModuleIdentities(json)
    : new Map<string, TdxModuleIdentity>()
  const levels = readPlatformLevels(json)

  const validity = { issueDate, nextUpdate, tcbEvaluationNumber }
  return { ...validity, fmspc, pceId, tdxModule, tdxModuleIdentities, levels }
}

/** Intel QVL 4.1.2.5.10 */
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

/** @throws `code` of the document when it ends before it begins */
export function readPeriod(json: JsonObject): { issueDate: number; nextUpdate: number } {
  const issueDate = json.time('issueDate')
  const nextUpdate = json.time('nextUpdate')
  if (nextUpdate <= issueDate) throw json.malformed('nextUpdate', 'after issueDate')
  return { issueDate, nextUpdate }
}

function readModule(json: JsonObject): TdxModule {
  const mrSigner = json.bytes('mrsigner', 48)
  const attributes = json.bytes('attributes', 8)
  // Intel's library demands all attributes and ignores the mask; so does `requireTdxModule`
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
 * Levels by ISVSVN alone, as TDX modules and enclave identities have them; highest first.
 *
 * @param statuses as `readRating` has them
 */
export function readSvnLevels(json: JsonObject, statuses?: ReadonlySet<string>): SvnLevel[] {
  const levels = json.objects('tcbLevels').map((item): SvnLevel => {
    const isvSvn = item.object('tcb').number('isvsvn', 0xffff_ffff)
    return { isvSvn, ...readRating(item, statuses) }
  })
  if (levels.length === 0) throw json.malformed('tcbLevels', 'non-empty')
  // no enclave and no module has more than 16 bits of it
  const reachable = levels.filter(({ isvSvn }) => isvSvn <= 65_535)
  return sortUnique(reachable, (a, b) => a.isvSvn - b.isvSvn, json)
}

/** What a platform level can be rated; what a module or the quoting enclave can be. */
export type PlatformStatus = Exclude<TcbStatus, `TDRelaunch${string}`> | 'Revoked'
export type ComponentStatus = 'UpToDate' | 'OutOfDate' | 'Revoked'

export const platformStatuses: ReadonlySet<string> = new Set<PlatformStatus>([
  'UpToDate',
  'SWHardeningNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'Revoked',
])

export const componentStatuses: ReadonlySet<string> = new Set<ComponentStatus>([
  'UpToDate',
  'OutOfDate',
  'Revoked',
])

export function unknownStatus(status: string): Rejection {
  return new Rejection('QUOTE_TCB_STATUS_UNKNOWN', 'The TCB status is unknown.', { found: status })
}

/**
 * @param statuses those that the rated thing can have. With any other Intel's library refuses the whole document, in
 *   whichever level it stands; left out for modules, whose status it looks at when the level is reached
 */
function readRating(json: JsonObject, statuses?: ReadonlySet<string>): LevelRating {
  const tcbDate = json.date('tcbDate')
  const status = json.string('tcbStatus')
  if (statuses !== undefined && !statuses.has(status)) throw unknownStatus(status)
  const advisoryIds = json.has('advisoryIDs') ? json.names('advisoryIDs') : []
  return { status, tcbDate, advisoryIds }
}

/** Intel's library keeps levels in a descending set and refuses equal ones; JSON order means nothing. */
function sortUnique<T>(levels: T[], compare: (a: T, b: T) => number, json: JsonObject): T[] {
  levels.sort((a, b) => compare(b, a))
  const isUnique = levels.every((level, index) => {
    const next = levels[index + 1]
    return next === undefined || compare(level, next) !== 0
  })
  if (!isUnique) throw json.malformed('tcbLevels', 'distinct')
  return levels
}

/** SGX components, then PCESVN, then TDX components. */
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

/** Intel QVL 4.1.2.5.11 */
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
