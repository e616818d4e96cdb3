/**
 * What a relying party accepts beyond "Intel's rules say this quote is genuine".
 *
 * The defaults are the safe ones, and the same as `PolicyLib.standard` on-chain: no debugging, no optional
 * TD attribute, no service TD, patched platforms only.
 */
import { z } from 'zod'

import { AssentError, type ErrorCode } from '../errors/index.ts'
import { isZero, toHex } from '../lib/bytes.ts'
import { describeIssues, namesOfIssues } from '../lib/config.ts'
import type { TdReport } from './parse.ts'
import { tcbStatuses, type Verified } from './verdict.ts'

/**
 * TD attributes that a policy may accept, by bit (Intel, TDX Module ABI 348551-008US, Table 3.23). Those called
 * RESERVED are free today, and Intel lets a verifier accept them; the table forbids all that are not here. Nothing is
 * accepted by default, protections of the TD (ICSSD, LASS) included: a bit that no policy names was never looked at.
 */
export const tdAttributeBits = {
  /** defence against single-stepping by counting instructions */
  ICSSD: 16,
  /** the report holds a hash over what service TDs may do */
  SERVTD_EXT: 17,
  RESERVED_18: 18,
  RESERVED_19: 19,
  RESERVED_20: 20,
  RESERVED_21: 21,
  RESERVED_22: 22,
  LASS: 27,
  /** never accepted of a 1.0 report, which does not show the service TD that could migrate the TD */
  MIGRATABLE: 29,
  PKS: 30,
  /** Key Locker in older editions of the table, and reserved since */
  KL: 31,
  TPA: 62,
  PERFMON: 63,
} as const

export type TdAttribute = keyof typeof tdAttributeBits

const attributeNames = Object.keys(tdAttributeBits) as [TdAttribute, ...TdAttribute[]]

/** Bits 0 to 7, "TD under debug": DEBUG and those reserved for its like. No policy can accept them. */
const UNTRUSTED_BITS = 0xffn
const SEPT_VE_DISABLE = 1n << 28n
const MIGRATABLE = 1n << 29n

/** Features that TDX modules support: x87 to AVX-512, PT, PKRU, CET, UINTR, LBR, AMX. */
const KNOWN_XFAM = 0x0006_dbe7n

const u64 = z
  .string()
  .regex(/^0x[0-9a-f]{1,16}$/, '0x and up to 16 hexadecimal digits')
  .transform(BigInt)

/** Hex of exactly `length` bytes without 0x, any case. */
const hexList = (length: number) =>
  z.array(
    z
      .string()
      .regex(new RegExp(`^[0-9a-fA-F]{${2 * length}}$`), `${length} bytes as hex without 0x`)
      .toLowerCase(),
  )

/** Only listed ones, or all but the listed ones. */
const listSchema = (length: number) =>
  z.union([
    z.strictObject({ allow: hexList(length).min(1) }),
    z.strictObject({ deny: hexList(length) }),
  ])

const policySchema = z.strictObject({
  /** accepted TCB statuses */
  statuses: z.array(z.enum(tcbStatuses)).min(1).default(['UpToDate', 'SWHardeningNeeded']),
  /** advisories that refuse whatever the status; or the only ones that pass */
  advisories: z
    .union([
      z.strictObject({ allow: z.array(z.string()) }),
      z.strictObject({ deny: z.array(z.string()) }),
    ])
    .default({ deny: [] }),
  /** TD attributes that may be set besides SEPT_VE_DISABLE */
  attributes: z.array(z.enum(attributeNames)).default([]),
  /** without SEPT_VE_DISABLE a host can inject exceptions into a Linux guest */
  requireSeptVeDisable: z.boolean().default(true),
  /** XFAM bits that may be set, as 0x… */
  xfam: u64.default(KNOWN_XFAM),
  /** accepted MRSERVICETD, 48 bytes each; zero always passes */
  serviceTds: hexList(48).default([]),
  /** lowest evaluation number of TCB info and QE identity */
  minEvaluationNumber: z.int().min(0).default(0),
  /** oldest TCB date that passes, unix seconds */
  minTcbDate: z.int().min(0).default(0),
  /** greatest age in seconds of TCB info, QE identity and PCK CRL; until they expire if absent */
  maxCollateralAge: z.int().min(1).optional(),
  /** platform families, 6 bytes each */
  fmspcs: listSchema(6).default({ deny: [] }),
  /** device ids (SHA-256 of the PPID), 32 bytes each */
  devices: listSchema(32).default({ deny: [] }),
})

export type QuotePolicy = Readonly<z.output<typeof policySchema>>
export type QuotePolicyInput = z.input<typeof policySchema>

/**
 * Reads a policy; what it does not say has the safe default.
 *
 * @throws POLICY_INVALID naming every wrong field
 */
export function parsePolicy(json: unknown = {}): QuotePolicy {
  const parsed = policySchema.safeParse(json)
  if (!parsed.success) {
    throw new AssentError('POLICY_INVALID', `Policy: ${describeIssues(parsed.error)}`, {
      facts: { fields: namesOfIssues(parsed.error) },
    })
  }
  return Object.freeze(parsed.data)
}

export const defaultPolicy: QuotePolicy = parsePolicy()

/** What a policy looks at, whichever implementation verified the quote. */
export type PolicySubject = Pick<
  Verified,
  'status' | 'advisoryIds' | 'tcbDate' | 'tcbEvaluationNumbers' | 'at' | 'fmspc' | 'deviceId'
> & {
  readonly quote: Pick<Verified['quote'], 'report'>
  readonly issuedAt: Pick<Verified['issuedAt'], 'tcbInfo' | 'qeIdentity' | 'pckCrl'>
}

/**
 * Refuses a verified quote that the policy does not accept.
 *
 * @throws POLICY_* for the first rule broken
 */
export function checkPolicy(verdict: PolicySubject, policy: QuotePolicy = defaultPolicy): void {
  checkTcb(verdict, policy)
  checkTd(verdict.quote.report, policy)
  checkCollateral(verdict, policy)
  checkPlatform(verdict, policy)
}

function checkTcb({ status, advisoryIds, tcbDate }: PolicySubject, policy: QuotePolicy): void {
  if (!policy.statuses.includes(status)) {
    throw refused('POLICY_STATUS_REFUSED', `The TCB status is ${status}.`, status, policy.statuses)
  }
  const advisory = advisoryIds.find((id) => refuses(policy.advisories, id))
  if (advisory !== undefined) {
    throw refused('POLICY_ADVISORY_REFUSED', `${advisory} applies.`, advisory, policy.advisories)
  }
  if (Date.parse(tcbDate) / 1000 < policy.minTcbDate) {
    const expected = new Date(policy.minTcbDate * 1000).toISOString()
    throw refused('POLICY_TCB_DATE_TOO_OLD', `The TCB is of ${tcbDate}.`, tcbDate, expected)
  }
}

/**
 * Refuses a TD that can be opened, or taken to another machine, whatever the status of its TCB.
 *
 * @throws POLICY_TD_*, POLICY_SEPT_VE_DISABLE_CLEAR, POLICY_XFAM_REFUSED, POLICY_SEAM_SIGNER_REFUSED,
 *   POLICY_SERVICE_TD_REFUSED
 */
export function checkTd(report: TdReport, policy: QuotePolicy = defaultPolicy): void {
  const attributes = readU64(report.tdAttributes)
  const found = toHex(report.tdAttributes)
  if ((attributes & UNTRUSTED_BITS) !== 0n) {
    throw refused('POLICY_TD_UNTRUSTED', 'The TD can be debugged.', found, 'bits 0 to 7 clear')
  }
  const accepted = policy.attributes.reduce(
    (bits, name) => bits | (1n << BigInt(tdAttributeBits[name])),
    SEPT_VE_DISABLE,
  )
  if ((attributes & ~accepted) !== 0n) {
    const names = nameAttributes(attributes & ~accepted)
    throw refused(
      'POLICY_TD_ATTRIBUTES_REFUSED',
      `The TD has ${names.join(', ')}.`,
      found,
      policy.attributes,
    )
  }
  if (policy.requireSeptVeDisable && (attributes & SEPT_VE_DISABLE) === 0n) {
    throw refused('POLICY_SEPT_VE_DISABLE_CLEAR', 'SEPT_VE_DISABLE is clear.', found, 'bit 28 set')
  }
  const xfam = readU64(report.xfam)
  if ((xfam & ~policy.xfam) !== 0n) {
    const expected = `within 0x${policy.xfam.toString(16)}`
    throw refused(
      'POLICY_XFAM_REFUSED',
      'An XFAM bit is not accepted.',
      toHex(report.xfam),
      expected,
    )
  }
  checkModule(report)
  checkServiceTds(report, (attributes & MIGRATABLE) !== 0n, policy)
}

function checkModule({ mrSignerSeam }: TdReport): void {
  if (!isZero(mrSignerSeam)) {
    // verified against the TCB info already; zero is what Intel's own modules have
    const found = toHex(mrSignerSeam)
    throw refused('POLICY_SEAM_SIGNER_REFUSED', 'The TDX module has a signer.', found, 'zero')
  }
}

/** Body type 4 also tells which service TDs were bound at first, and which are now. */
function checkServiceTds(
  { mrServiceTd, extension }: TdReport,
  isMigratable: boolean,
  { serviceTds }: QuotePolicy,
): void {
  if (mrServiceTd === undefined && isMigratable) {
    const sentence = 'The TD is MIGRATABLE, and its report cannot show which service TD is bound.'
    throw refused('POLICY_SERVICE_TD_REFUSED', sentence, 'not shown', serviceTds)
  }
  const bound = [
    mrServiceTd,
    extension?.initialServiceTdHash,
    extension?.currentServiceTdHash,
  ].filter((hash): hash is Uint8Array => hash !== undefined && !isZero(hash))
  const found = bound.map(toHex).find((hash) => !serviceTds.includes(hash))
  if (found === undefined) return
  throw refused('POLICY_SERVICE_TD_REFUSED', 'A service TD is bound.', found, serviceTds)
}

function checkCollateral(verdict: PolicySubject, policy: QuotePolicy): void {
  const { tcbInfo, qeIdentity } = verdict.tcbEvaluationNumbers
  const lowest = Math.min(tcbInfo, qeIdentity)
  if (lowest < policy.minEvaluationNumber) {
    throw refused(
      'POLICY_EVALUATION_NUMBER_TOO_LOW',
      `The evaluation number is ${lowest}.`,
      lowest,
      policy.minEvaluationNumber,
    )
  }
  // root CRLs are issued once a year, so their age says nothing
  const { issuedAt, at } = verdict
  const age = at - Math.min(issuedAt.tcbInfo, issuedAt.qeIdentity, issuedAt.pckCrl)
  if (policy.maxCollateralAge !== undefined && age > policy.maxCollateralAge) {
    throw refused(
      'POLICY_COLLATERAL_TOO_OLD',
      `The collateral is ${age} seconds old.`,
      age,
      policy.maxCollateralAge,
    )
  }
}

function checkPlatform(verdict: PolicySubject, policy: QuotePolicy): void {
  const fmspc = toHex(verdict.fmspc)
  if (refuses(policy.fmspcs, fmspc)) {
    throw refused('POLICY_FMSPC_REFUSED', `FMSPC ${fmspc} is not accepted.`, fmspc, policy.fmspcs)
  }
  const device = toHex(verdict.deviceId)
  if (refuses(policy.devices, device)) {
    throw refused(
      'POLICY_DEVICE_REFUSED',
      `Device ${device} is not accepted.`,
      device,
      policy.devices,
    )
  }
}

/** Whether a list refuses `value`: it is denied, or not among the allowed. */
function refuses(
  list: { readonly allow: readonly string[] } | { readonly deny: readonly string[] },
  value: string,
): boolean {
  return 'allow' in list ? !list.allow.includes(value) : list.deny.includes(value)
}

function nameAttributes(bits: bigint): string[] {
  const names: string[] = []
  for (let bit = 0; bit < 64; bit++) {
    if (((bits >> BigInt(bit)) & 1n) === 0n) continue
    const name = attributeNames.find((candidate) => tdAttributeBits[candidate] === bit)
    names.push(name ?? `unknown bit ${bit}`)
  }
  return names
}

function readU64(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
}

function refused(code: ErrorCode, message: string, found: unknown, expected: unknown): AssentError {
  return new AssentError(code, message, { facts: { found, expected } })
}
