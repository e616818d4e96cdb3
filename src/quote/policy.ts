/**
 * The quote policy: rules of the relying party beyond Intel's rules.
 *
 * The default policy is the same as `PolicyLib.standard` on-chain. It accepts only patched platforms, and no debug TD, no
 * optional TD attribute and no service TD.
 */
import { z } from 'zod'

import { AssentError, type ErrorCode } from '../errors/index.ts'
import { isZero, toHex } from '../lib/bytes.ts'
import { describeIssues, namesOfIssues } from '../lib/config.ts'
import type { TdReport } from './parse.ts'
import { tcbStatuses, type Verified } from './verdict.ts'

/**
 * TD attributes that a policy can accept, with their bits (Intel, TDX Module ABI 348551-008US, Table 3.23).
 *
 * The table allows a verifier to accept the RESERVED bits listed here and forbids all other reserved bits. By default no
 * attribute is accepted, also no protective one (ICSSD, LASS), so that every accepted bit is a decision.
 */
export const tdAttributeBits = {
  /** Protection against single-stepping by instruction counting. */
  ICSSD: 16,
  /** The report contains a hash over the rights of service TDs. */
  SERVTD_EXT: 17,
  RESERVED_18: 18,
  RESERVED_19: 19,
  RESERVED_20: 20,
  RESERVED_21: 21,
  RESERVED_22: 22,
  LASS: 27,
  /** Never accepted in TD report 1.0, which does not show the service TD that can migrate the TD. */
  MIGRATABLE: 29,
  PKS: 30,
  /** Key Locker in older editions of the table, reserved in newer ones. */
  KL: 31,
  TPA: 62,
  PERFMON: 63,
} as const

/** Name of an attribute in {@link tdAttributeBits}. */
export type TdAttribute = keyof typeof tdAttributeBits

const attributeNames = Object.keys(tdAttributeBits) as [TdAttribute, ...TdAttribute[]]

/** Bits 0 to 7, "TD under debug": DEBUG and bits reserved for the same purpose. No policy can accept them. */
const UNTRUSTED_BITS = 0xffn
const SEPT_VE_DISABLE = 1n << 28n
const MIGRATABLE = 1n << 29n

/** All features that TDX modules support: x87 to AVX-512, PT, PKRU, CET, UINTR, LBR, AMX. */
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

/** `allow`: only the listed values pass. `deny`: all values except the listed ones pass. */
const listSchema = (length: number) =>
  z.union([
    z.strictObject({ allow: hexList(length).min(1) }),
    z.strictObject({ deny: hexList(length) }),
  ])

const policySchema = z.strictObject({
  /** Accepted TCB statuses. Default: UpToDate, SWHardeningNeeded. */
  statuses: z.array(z.enum(tcbStatuses)).min(1).default(['UpToDate', 'SWHardeningNeeded']),
  /** Denied advisories, with any status; or the only accepted ones. Default: none is denied. */
  advisories: z
    .union([
      z.strictObject({ allow: z.array(z.string()) }),
      z.strictObject({ deny: z.array(z.string()) }),
    ])
    .default({ deny: [] }),
  /** Accepted TD attributes in addition to SEPT_VE_DISABLE. Default: none. */
  attributes: z.array(z.enum(attributeNames)).default([]),
  /** Requires SEPT_VE_DISABLE. Without it, a host can inject exceptions into a Linux guest. Default: true. */
  requireSeptVeDisable: z.boolean().default(true),
  /** Mask of accepted XFAM bits, as `0x…`. Default: all known features. */
  xfam: u64.default(KNOWN_XFAM),
  /** Accepted values of MRSERVICETD, 48 bytes as hex each. Zero (no service TD) always passes. Default: none. */
  serviceTds: hexList(48).default([]),
  /** Lowest accepted TCB evaluation number of TCB info and QE identity. Default: 0. */
  minEvaluationNumber: z.int().min(0).default(0),
  /** Oldest accepted TCB date, in Unix seconds. Default: 0. */
  minTcbDate: z.int().min(0).default(0),
  /** Highest age of TCB info, QE identity and PCK CRL in seconds. Default: until they expire. */
  maxCollateralAge: z.int().min(1).optional(),
  /** Platform families (FMSPC), 6 bytes as hex each. Default: all. */
  fmspcs: listSchema(6).default({ deny: [] }),
  /** Device ids (SHA-256 of the PPID), 32 bytes as hex each. Default: all. */
  devices: listSchema(32).default({ deny: [] }),
})

/** A checked policy; the fields are described in {@link QuotePolicyInput}. */
export type QuotePolicy = Readonly<z.output<typeof policySchema>>
/** A policy as JSON. Every field is optional; a missing field has its safe default. */
export type QuotePolicyInput = z.input<typeof policySchema>

/**
 * Parses a policy. A missing field has its safe default.
 *
 * @throws POLICY_INVALID; the message names the wrong fields
 *
 * @example
 * const policy = parsePolicy({ statuses: ['UpToDate'], maxCollateralAge: 86_400 })
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

/** The policy with all defaults. */
export const defaultPolicy: QuotePolicy = parsePolicy()

/** The part of a verdict that a policy uses. The on-chain verifier's report has it too. */
export type PolicySubject = Pick<
  Verified,
  'status' | 'advisoryIds' | 'tcbDate' | 'tcbEvaluationNumbers' | 'at' | 'fmspc' | 'deviceId'
> & {
  readonly quote: Pick<Verified['quote'], 'report'>
  readonly issuedAt: Pick<Verified['issuedAt'], 'tcbInfo' | 'qeIdentity' | 'pckCrl'>
}

/**
 * Checks a verified quote against a policy. It returns nothing if the policy accepts the quote.
 *
 * @throws POLICY_* for the first violated rule, with the facts `{ found, expected }`
 *
 * @example
 * checkPolicy(verdict, parsePolicy({ devices: { allow: [deviceId] } }))
 */
export function checkPolicy(verdict: PolicySubject, policy: QuotePolicy = defaultPolicy): void {
  checkTcb(verdict, policy)
  checkTd(verdict.quote.report, policy)
  checkCollateral(verdict, policy)
  checkPlatform(verdict, policy)
}

function checkTcb({ status, advisoryIds, tcbDate }: PolicySubject, policy: QuotePolicy): void {
  if (!policy.statuses.includes(status)) {
    throw violation(
      'POLICY_STATUS_REFUSED',
      `The TCB status is ${status}.`,
      status,
      policy.statuses,
    )
  }
  const advisory = advisoryIds.find((id) => refuses(policy.advisories, id))
  if (advisory !== undefined) {
    throw violation('POLICY_ADVISORY_REFUSED', `${advisory} applies.`, advisory, policy.advisories)
  }
  if (Date.parse(tcbDate) / 1000 < policy.minTcbDate) {
    const expected = new Date(policy.minTcbDate * 1000).toISOString()
    throw violation('POLICY_TCB_DATE_TOO_OLD', `The TCB is of ${tcbDate}.`, tcbDate, expected)
  }
}

/**
 * Checks the TD itself: debug, attributes, XFAM, TDX module signer and service TDs. It does not check the TCB status.
 *
 * @throws POLICY_TD_*, POLICY_SEPT_VE_DISABLE_CLEAR, POLICY_XFAM_REFUSED, POLICY_SEAM_SIGNER_REFUSED,
 *   POLICY_SERVICE_TD_REFUSED
 */
export function checkTd(report: TdReport, policy: QuotePolicy = defaultPolicy): void {
  const attributes = readU64(report.tdAttributes)
  const found = toHex(report.tdAttributes)
  if ((attributes & UNTRUSTED_BITS) !== 0n) {
    throw violation('POLICY_TD_UNTRUSTED', 'The TD can be debugged.', found, 'bits 0 to 7 clear')
  }
  const accepted = policy.attributes.reduce(
    (bits, name) => bits | (1n << BigInt(tdAttributeBits[name])),
    SEPT_VE_DISABLE,
  )
  if ((attributes & ~accepted) !== 0n) {
    const names = nameAttributes(attributes & ~accepted)
    throw violation(
      'POLICY_TD_ATTRIBUTES_REFUSED',
      `The TD has ${names.join(', ')}.`,
      found,
      policy.attributes,
    )
  }
  if (policy.requireSeptVeDisable && (attributes & SEPT_VE_DISABLE) === 0n) {
    throw violation(
      'POLICY_SEPT_VE_DISABLE_CLEAR',
      'SEPT_VE_DISABLE is clear.',
      found,
      'bit 28 set',
    )
  }
  const xfam = readU64(report.xfam)
  if ((xfam & ~policy.xfam) !== 0n) {
    const expected = `within 0x${policy.xfam.toString(16)}`
    throw violation(
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
    // the signer is already compared with the TCB info; Intel's own modules have zero
    const found = toHex(mrSignerSeam)
    throw violation('POLICY_SEAM_SIGNER_REFUSED', 'The TDX module has a signer.', found, 'zero')
  }
}

/** Checks the bound service TDs. Body type 4 has those at launch and the current ones. */
function checkServiceTds(
  { mrServiceTd, extension }: TdReport,
  isMigratable: boolean,
  { serviceTds }: QuotePolicy,
): void {
  if (mrServiceTd === undefined && isMigratable) {
    const sentence = 'The TD is MIGRATABLE, and its report cannot show which service TD is bound.'
    throw violation('POLICY_SERVICE_TD_REFUSED', sentence, 'not shown', serviceTds)
  }
  const bound = [
    mrServiceTd,
    extension?.initialServiceTdHash,
    extension?.currentServiceTdHash,
  ].filter((hash): hash is Uint8Array => hash !== undefined && !isZero(hash))
  const found = bound.map(toHex).find((hash) => !serviceTds.includes(hash))
  if (found === undefined) return
  throw violation('POLICY_SERVICE_TD_REFUSED', 'A service TD is bound.', found, serviceTds)
}

function checkCollateral(verdict: PolicySubject, policy: QuotePolicy): void {
  const { tcbInfo, qeIdentity } = verdict.tcbEvaluationNumbers
  const lowest = Math.min(tcbInfo, qeIdentity)
  if (lowest < policy.minEvaluationNumber) {
    throw violation(
      'POLICY_EVALUATION_NUMBER_TOO_LOW',
      `The evaluation number is ${lowest}.`,
      lowest,
      policy.minEvaluationNumber,
    )
  }
  // Intel issues root CRLs once a year, so their age is not checked
  const { issuedAt, at } = verdict
  const age = at - Math.min(issuedAt.tcbInfo, issuedAt.qeIdentity, issuedAt.pckCrl)
  if (policy.maxCollateralAge !== undefined && age > policy.maxCollateralAge) {
    throw violation(
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
    throw violation('POLICY_FMSPC_REFUSED', `FMSPC ${fmspc} is not accepted.`, fmspc, policy.fmspcs)
  }
  const device = toHex(verdict.deviceId)
  if (refuses(policy.devices, device)) {
    throw violation(
      'POLICY_DEVICE_REFUSED',
      `Device ${device} is not accepted.`,
      device,
      policy.devices,
    )
  }
}

/** Tells if a list refuses `value`: it is denied, or not allowed. */
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

function violation(
  code: ErrorCode,
  message: string,
  found: unknown,
  expected: unknown,
): AssentError {
  return new AssentError(code, message, { facts: { found, expected } })
}
