/**
 * The TCB status of a platform (Intel QVL 2026, 4.1.2.5.2). Platform, TDX module and quoting enclave each have a status.
 * A table combines them; there is no simple order of severity.
 */
import { equalBytes, isZero, toHex } from '../lib/bytes.ts'
import type { SgxExtension } from './certificates/certificate.ts'
import type { QeIdentity } from './collateral/qe-identity.ts'
import {
  type ComponentStatus,
  componentStatuses,
  type LevelRating,
  type PlatformLevel,
  type PlatformStatus,
  platformStatuses,
  type SvnLevel,
  type TcbInfo,
  type TdxModule,
  unknownStatus,
} from './collateral/tcb-info.ts'
import type { Quote, TdReport } from './parse.ts'
import { Rejection, type TcbEvaluation, type TcbStatus } from './verdict.ts'

/** Inputs of the evaluation besides the SVN of the TDX module. */
export interface RatedPlatform {
  /** SVNs and FMSPC of the PCK certificate. */
  readonly sgx: SgxExtension
  /** SVN of the quoting enclave, from its report. */
  readonly qeIsvSvn: number
  readonly tcbInfo: TcbInfo
  readonly qeIdentity: QeIdentity
}

/** Positions in TEE_TCB_SVN. */
const MODULE_MINOR = 0
const MODULE_MAJOR = 1

/**
 * Checks that Intel signed the TDX module and that it has no attributes (Intel QVL 4.1.2.5.12).
 *
 * The expected signer is in the module identity of the major version. For major version 0 it is the member `tdxModule`
 * of the TCB info.
 *
 * @throws Rejection QUOTE_TDX_MODULE_MISMATCH
 */
export function requireTdxModule(report: TdReport, tcbInfo: TcbInfo): void {
  const major = report.teeTcbSvn[MODULE_MAJOR] as number
  const expected = major === 0 ? tcbInfo.tdxModule : findModuleIdentity(tcbInfo, major)
  if (expected === undefined) {
    throw moduleMismatch('teeTcbSvn', moduleId(major), 'an identity in the TCB info')
  }
  requireModuleFields(report, expected)
}

function requireModuleFields(report: TdReport, expected: TdxModule): void {
  if (!equalBytes(report.mrSignerSeam, expected.mrSigner)) {
    throw moduleMismatch('mrSignerSeam', toHex(report.mrSignerSeam), toHex(expected.mrSigner))
  }
  // Intel's library requires zero in addition to equality, so the mask of the document has no effect
  const { seamAttributes } = report
  if (!isZero(seamAttributes) || !equalBytes(seamAttributes, expected.attributes)) {
    throw moduleMismatch('seamAttributes', toHex(seamAttributes), toHex(expected.attributes))
  }
}

function moduleMismatch(field: string, found: string, expected: string): Rejection {
  return new Rejection('QUOTE_TDX_MODULE_MISMATCH', `The TDX module has another ${field}.`, {
    field,
    found,
    expected,
  })
}

function findModuleIdentity(tcbInfo: TcbInfo, major: number) {
  return tcbInfo.tdxModuleIdentities.get(moduleId(major))
}

function moduleId(major: number): string {
  return `TDX_${major.toString(16).toUpperCase().padStart(2, '0')}`
}

/** Result of both evaluations. */
export interface TcbRating {
  /** The status of the quote: the launch status, or an advice to relaunch the TD. */
  readonly status: TcbStatus
  /** Rating of the TDX module at the launch of the TD. */
  readonly launch: TcbEvaluation
  /** Rating of the running TDX module; reports of TDX 1.5 and later show it. */
  readonly current?: TcbEvaluation
}

/** Evaluates the module that launched the TD and, if the report has it, the module that runs now. */
export function rateTcb(quote: Quote, platform: RatedPlatform): TcbRating {
  const launch = evaluateTcb(quote.report.teeTcbSvn, platform)
  if (quote.report.teeTcbSvn2 === undefined) return { status: launch.status, launch }
  const current = evaluateTcb(quote.report.teeTcbSvn2, platform)
  return { status: adviseRelaunch(launch.status, current.status), launch, current }
}

/** Advises to relaunch an outdated TD if its platform was updated after the launch (Intel QVL 4.1.2.5.1.20). */
export function adviseRelaunch(launch: TcbStatus, current: TcbStatus): TcbStatus {
  const isOutdated = launch === 'OutOfDate' || launch === 'OutOfDateConfigurationNeeded'
  const isRepaired = current !== 'OutOfDate' && current !== 'OutOfDateConfigurationNeeded'
  if (!isOutdated || !isRepaired) return launch
  return needsConfiguration(launch) || needsConfiguration(current)
    ? 'TDRelaunchAdvisedConfigurationNeeded'
    : 'TDRelaunchAdvised'
}

function needsConfiguration(status: TcbStatus): boolean {
  return status.includes('Configuration')
}

/** Evaluates one TEE_TCB_SVN of 16 bytes (Intel QVL 4.1.2.5.2). */
export function evaluateTcb(svn: Uint8Array, platform: RatedPlatform): TcbEvaluation {
  const level = matchPlatformLevel(svn, platform)
  const qe = matchSvnLevel(platform.qeIdentity.levels, platform.qeIsvSvn, 'quoting enclave')
  const module = matchModuleLevel(svn, platform.tcbInfo)

  const ratings = module === undefined ? [level, qe] : [level, qe, module]
  const components = module === undefined ? [qe] : [qe, module]
  return {
    status: converge(readPlatformStatus(level), components.map(readComponentStatus)),
    tcbDate: ratings.map((rating) => rating.tcbDate).reduce((a, b) => (a < b ? a : b)),
    advisoryIds: ratings.flatMap((rating) => rating.advisoryIds),
  }
}

/** The highest level that the platform reaches in SGX components, PCESVN and TDX components. */
function matchPlatformLevel(svn: Uint8Array, { sgx, tcbInfo }: RatedPlatform): PlatformLevel {
  // from major version 1 on, components 0 and 1 are evaluated with the levels of the module
  const firstComponent = (svn[MODULE_MAJOR] as number) > 0 ? 2 : 0
  const level = tcbInfo.levels.find(
    (candidate) =>
      reaches(sgx.components, candidate.sgxComponents, 0) &&
      sgx.pceSvn >= candidate.pceSvn &&
      reaches(svn, candidate.tdxComponents, firstComponent),
  )
  if (level === undefined) throw notSupported('platform')
  return level
}

function reaches(svns: ArrayLike<number>, required: readonly number[], first: number): boolean {
  for (let index = first; index < 16; index++) {
    if ((svns[index] as number) < (required[index] as number)) return false
  }
  return true
}

function matchModuleLevel(svn: Uint8Array, tcbInfo: TcbInfo): SvnLevel | undefined {
  const major = svn[MODULE_MAJOR] as number
  if (major === 0) return undefined
  const identity = findModuleIdentity(tcbInfo, major)
  if (identity === undefined) throw notSupported(`TDX module ${moduleId(major)}`)
  return matchSvnLevel(identity.levels, svn[MODULE_MINOR] as number, 'TDX module')
}

function matchSvnLevel(levels: readonly SvnLevel[], isvSvn: number, part: string): SvnLevel {
  const level = levels.find((candidate) => isvSvn >= candidate.isvSvn)
  if (level === undefined) throw notSupported(part)
  return level
}

function notSupported(part: string): Rejection {
  return new Rejection('QUOTE_TCB_NOT_SUPPORTED', `No TCB level covers this ${part}.`, { part })
}

function readPlatformStatus({ status }: LevelRating): PlatformStatus {
  if (!platformStatuses.has(status)) throw unknownStatus(status)
  return status as PlatformStatus
}

function readComponentStatus({ status }: LevelRating): ComponentStatus {
  if (!componentStatuses.has(status)) throw unknownStatus(status)
  return status as ComponentStatus
}

/** Combines the statuses (Intel QVL 4.1.2.5.2.4). */
function converge(platform: PlatformStatus, components: ComponentStatus[]): TcbStatus {
  if (platform === 'Revoked' || components.includes('Revoked')) {
    throw new Rejection('QUOTE_TCB_REVOKED', 'Intel revoked this TCB level.', {
      platform,
      components,
    })
  }
  if (!components.includes('OutOfDate')) return platform
  return needsConfiguration(platform) ? 'OutOfDateConfigurationNeeded' : 'OutOfDate'
}
