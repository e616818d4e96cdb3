/** Collateral as Intel publishes it, signed by the simulator's own PKI. */
import { toHex } from '../../lib/bytes.ts'
import type { PckCa } from '../../quote/collateral/pccs.ts'
import { toPemChain } from './der.ts'
import { type SigningKey, sign } from './key.ts'
import { type CrlOptions, issueRevocations, type Pki, type SimulatedCa } from './pki.ts'

/** Intel's QuoteCollateralV3 with its usual member names. */
export interface CollateralDocuments {
  /** PEM: the CA that signed the PCK CRL, then the root. */
  readonly pck_crl_issuer_chain: string
  /** DER as hex. */
  readonly root_ca_crl: string
  /** DER as hex. */
  readonly pck_crl: string
  /** PEM: the TCB signing certificate, then the root. */
  readonly tcb_info_issuer_chain: string
  /** JSON; its signature covers exactly these bytes. */
  readonly tcb_info: string
  /** 64 bytes as hex: r and s. */
  readonly tcb_info_signature: string
  /** PEM: the TCB signing certificate, then the root. */
  readonly qe_identity_issuer_chain: string
  /** JSON; its signature covers exactly these bytes. */
  readonly qe_identity: string
  /** 64 bytes as hex: r and s. */
  readonly qe_identity_signature: string
}

/** One of the 16 components of a TCB level, as in TCB info version 3. */
export interface TcbComponent {
  /** 0 to 255. */
  readonly svn: number
  readonly category?: string
  readonly type?: string
}

/** One TCB level of a platform. */
export interface TcbLevel {
  readonly tcb: {
    readonly sgxtcbcomponents: readonly TcbComponent[]
    readonly pcesvn: number
    readonly tdxtcbcomponents: readonly TcbComponent[]
  }
  /** ISO time: a platform of this level has all fixes up to this date. */
  readonly tcbDate: string
  /** By Intel's names, such as `OutOfDate`. */
  readonly tcbStatus: string
  readonly advisoryIDs?: readonly string[]
}

/** One TCB level of the quoting enclave or of a TDX module: a single SVN decides. */
export interface EnclaveTcbLevel {
  readonly tcb: { readonly isvsvn: number }
  readonly tcbDate: string
  readonly tcbStatus: string
  readonly advisoryIDs?: readonly string[]
}

/** The TDX module of platforms before module identities existed. */
export interface TdxModuleJson {
  /** 48 bytes as hex. */
  readonly mrsigner: string
  readonly attributes: string
  readonly attributesMask: string
}

/** Identity and TCB levels of the TDX modules of one major version. */
export interface TdxModuleIdentityJson extends TdxModuleJson {
  /** `TDX_01` for major version 1. */
  readonly id: string
  readonly tcbLevels: readonly EnclaveTcbLevel[]
}

/** TCB info, version 3; members are written in this order. */
export interface TcbInfoJson {
  readonly id: string
  readonly version: number
  readonly issueDate: string
  readonly nextUpdate: string
  /** 6 bytes as hex. */
  readonly fmspc: string
  /** 2 bytes as hex. */
  readonly pceId: string
  readonly tcbType: number
  /** TCB evaluation number. */
  readonly tcbEvaluationDataNumber: number
  readonly tdxModule?: TdxModuleJson
  readonly tdxModuleIdentities?: readonly TdxModuleIdentityJson[]
  /** The highest first: the first level that a platform reaches counts. */
  readonly tcbLevels: readonly TcbLevel[]
}

/** Identity of the TD quoting enclave, version 2; members are written in this order. */
export interface QeIdentityJson {
  readonly id: string
  readonly version: number
  readonly issueDate: string
  readonly nextUpdate: string
  readonly tcbEvaluationDataNumber: number
  /** 4 bytes as hex. */
  readonly miscselect: string
  /** Bits that are compared. */
  readonly miscselectMask: string
  /** 16 bytes as hex. */
  readonly attributes: string
  /** Bits that are compared. */
  readonly attributesMask: string
  /** 32 bytes as hex. */
  readonly mrsigner: string
  /** Product id: 2 for the TD quoting enclave. */
  readonly isvprodid: number
  readonly tcbLevels: readonly EnclaveTcbLevel[]
}

/** Options of a signed document. */
export interface DocumentOptions {
  /** `issueDate` in Unix seconds; default: one day before the simulator's time. */
  readonly issuedAt?: number
  /** Seconds from `issueDate` to `nextUpdate`; default: 30 days, as Intel. */
  readonly validFor?: number
  /** TCB evaluation number. */
  readonly evaluationNumber?: number
  /** Signs instead of the TCB signing key. */
  readonly signedBy?: SigningKey
  readonly issuer?: SimulatedCa
  /** Changes the text before it is signed. */
  readonly edit?: (text: string) => string
  /** Changes the text after it was signed. */
  readonly tamper?: (text: string) => string
}

/** Differences from a TCB info that accepts the platform. */
export interface TcbInfoOptions extends DocumentOptions {
  readonly fmspc?: string
  readonly pceId?: string
  readonly levels?: readonly TcbLevel[]
  readonly modules?: readonly TdxModuleIdentityJson[]
  /** Replaces or adds members. */
  readonly members?: Partial<TcbInfoJson>
}

/** Differences from a QE identity that accepts the quoting enclave. */
export interface QeIdentityOptions extends DocumentOptions {
  readonly levels?: readonly EnclaveTcbLevel[]
  /** Replaces members of the document. */
  readonly members?: Partial<QeIdentityJson>
}

/** Differences from collateral with which every quote of the simulator verifies. */
export interface CollateralOptions extends Pick<DocumentOptions, 'issuedAt' | 'validFor'> {
  /** TCB evaluation number of both documents. Intel's `early` set is one ahead of `standard`. */
  readonly evaluationNumber?: number
  /** CA of the PCK CRL. */
  readonly ca?: PckCa
  readonly tcbInfo?: TcbInfoOptions
  readonly qeIdentity?: QeIdentityOptions
  readonly pckCrl?: Partial<CrlOptions> & { readonly issuer?: SimulatedCa }
  readonly rootCrl?: Partial<CrlOptions>
  /** Certificate chains instead of those of this PKI. */
  readonly pckCrlChain?: readonly Uint8Array[]
  /** DER certificates, instead of the real chain. */
  readonly tcbInfoChain?: readonly Uint8Array[]
  readonly qeIdentityChain?: readonly Uint8Array[]
}

const day = 86_400
/** TCB evaluation number of the simulator's standard collateral. */
export const standardEvaluationNumber = 20
/** TCB evaluation number of the simulator's early collateral. */
export const earlyEvaluationNumber = 21

/** 48 zero bytes as hex. */
export const zeroHash = '0'.repeat(96)

/** MRSIGNER of the simulator's quoting enclave: SHA-256 of "assent simulator quoting enclave". */
export const quotingEnclaveSigner =
  'F8035CD9499439069B9D9C881CEBFFEF2EF643B43E79B6BE834087C520762BAE'

/** Issues all documents for one platform family. @param at Unix seconds @param fmspc six bytes as hex */
export function issueCollateral(
  pki: Pki,
  at: number,
  fmspc: string,
  options: CollateralOptions = {},
): CollateralDocuments {
  const { issuedAt = at - day, validFor = 30 * day, ca = 'platform' } = options
  const period = { thisUpdate: issuedAt, nextUpdate: issuedAt + validFor }
  const pckCa = pki.pckCa(ca)
  const signingChain = [pki.tcbSigning.certificate, pki.root.certificate]
  const common = {
    issuedAt,
    validFor,
    evaluationNumber: options.evaluationNumber ?? standardEvaluationNumber,
  }
  const tcbInfo = issueTcbInfo(pki.tcbSigning, { ...common, fmspc, ...options.tcbInfo })
  const qeIdentity = issueQeIdentity(pki.tcbSigning, { ...common, ...options.qeIdentity })
  const pckCrl = { ...period, ...options.pckCrl }
  // Intel issues a new root CRL once a year
  const rootPeriod = { thisUpdate: issuedAt - 30 * day, nextUpdate: issuedAt + 335 * day }
  return {
    pck_crl_issuer_chain: toPemChain(
      options.pckCrlChain ?? [pckCa.certificate, pki.root.certificate],
    ),
    root_ca_crl: toHex(issueRevocations(pki.root, { ...rootPeriod, ...options.rootCrl })),
    pck_crl: toHex(issueRevocations(pckCrl.issuer ?? pckCa, pckCrl)),
    tcb_info_issuer_chain: toPemChain(options.tcbInfoChain ?? signingChain),
    tcb_info: tcbInfo.text,
    tcb_info_signature: tcbInfo.signature,
    qe_identity_issuer_chain: toPemChain(options.qeIdentityChain ?? signingChain),
    qe_identity: qeIdentity.text,
    qe_identity_signature: qeIdentity.signature,
  }
}

/** A document and the signature over exactly its bytes. */
export interface SignedDocument {
  /** The exact bytes that are signed, as text. */
  readonly text: string
  /** 64 bytes as hex: r and s. */
  readonly signature: string
}

/** Signed TCB info, version 3. */
export function issueTcbInfo(issuer: SimulatedCa, options: TcbInfoOptions): SignedDocument {
  const tcbInfo: TcbInfoJson = {
    id: 'TDX',
    version: 3,
    ...dates(options),
    fmspc: options.fmspc ?? zeroHash.slice(0, 12),
    pceId: options.pceId ?? '0000',
    tcbType: 0,
    tcbEvaluationDataNumber: options.evaluationNumber ?? standardEvaluationNumber,
    tdxModule: intelModule,
    tdxModuleIdentities: options.modules ?? standardModules,
    tcbLevels: options.levels ?? standardLevels,
    ...options.members,
  }
  return signDocument(issuer, tcbInfo, options)
}

/**
 * Intel's signed list of TCB evaluation numbers: the early number began 65 days before, so it becomes the standard 300 days
 * later.
 *
 * @param at issue date, Unix seconds
 */
export function issueEvaluationNumbers(issuer: SimulatedCa, at: number): SignedDocument {
  const earlySince = at - 65 * day
  const list = {
    id: 'TDX',
    version: 1,
    issueDate: toIso(at),
    nextUpdate: toIso(at + 30 * day),
    tcbEvalNumbers: [
      [earlyEvaluationNumber, earlySince] as const,
      [standardEvaluationNumber, earlySince - 365 * day] as const,
    ].map(([tcbEvaluationDataNumber, since]) => ({
      tcbEvaluationDataNumber,
      tcbRecoveryEventDate: toIso(since),
      tcbDate: toIso(since),
    })),
  }
  return signDocument(issuer, list, {})
}

/** Signed QE identity, version 2. */
export function issueQeIdentity(issuer: SimulatedCa, options: QeIdentityOptions): SignedDocument {
  const identity: QeIdentityJson = {
    id: 'TD_QE',
    version: 2,
    ...dates(options),
    tcbEvaluationDataNumber: options.evaluationNumber ?? standardEvaluationNumber,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: quotingEnclaveSigner,
    isvprodid: 2,
    tcbLevels: options.levels ?? standardQeLevels,
    ...options.members,
  }
  return signDocument(issuer, identity, options)
}

/** Compact JSON in the members' order, as Intel writes it. */
function signDocument(
  issuer: SimulatedCa,
  document: object,
  { signedBy, edit, tamper }: DocumentOptions,
): SignedDocument {
  const text = JSON.stringify(document)
  const signed = edit?.(text) ?? text
  const signature = toHex(sign(signedBy ?? issuer.key, new TextEncoder().encode(signed)))
  return { text: tamper?.(signed) ?? signed, signature }
}

function dates({ issuedAt = 0, validFor = 30 * day }: DocumentOptions): {
  issueDate: string
  nextUpdate: string
} {
  return { issueDate: toIso(issuedAt), nextUpdate: toIso(issuedAt + validFor) }
}

/** ISO 8601 without fractions of a second, as Intel writes times. @param at Unix seconds */
export function toIso(at: number): string {
  return `${new Date(at * 1000).toISOString().slice(0, 19)}Z`
}

/** TDX module signed by Intel, as in TCB info. */
export const intelModule: TdxModuleJson = {
  mrsigner: zeroHash,
  attributes: '0000000000000000',
  attributesMask: 'FFFFFFFFFFFFFFFF',
}

export function enclaveLevel(
  isvsvn: number,
  tcbDate: string,
  tcbStatus: string,
  advisoryIDs: readonly string[] = [],
): EnclaveTcbLevel {
  return {
    tcb: { isvsvn },
    tcbDate: `${tcbDate}T00:00:00Z`,
    tcbStatus,
    ...(advisoryIDs.length === 0 ? {} : { advisoryIDs }),
  }
}

export const standardModules: readonly TdxModuleIdentityJson[] = [
  {
    id: 'TDX_03',
    ...intelModule,
    tcbLevels: [
      enclaveLevel(5, '2025-08-13', 'UpToDate'),
      enclaveLevel(3, '2025-05-14', 'OutOfDate', ['INTEL-SA-01245']),
    ],
  },
  {
    id: 'TDX_01',
    ...intelModule,
    tcbLevels: [
      enclaveLevel(11, '2025-08-13', 'UpToDate'),
      enclaveLevel(4, '2024-03-13', 'OutOfDate', ['INTEL-SA-01036']),
    ],
  },
]

export const standardQeLevels: readonly EnclaveTcbLevel[] = [
  enclaveLevel(4, '2025-05-14', 'UpToDate'),
]

const sgxComponentKinds: readonly Omit<TcbComponent, 'svn'>[] = [
  { category: 'BIOS', type: 'Early Microcode Update' },
  { category: 'OS/VMM', type: 'SGX Late Microcode Update' },
  { category: 'OS/VMM', type: 'TXT SINIT' },
  { category: 'BIOS' },
  { category: 'BIOS' },
  { category: 'BIOS' },
  {},
  { category: 'OS/VMM', type: 'SEAMLDR ACM' },
]

const tdxComponentKinds: readonly Omit<TcbComponent, 'svn'>[] = [
  { category: 'OS/VMM', type: 'TDX Module' },
  { category: 'OS/VMM', type: 'TDX Module' },
  { category: 'OS/VMM', type: 'TDX Late Microcode Update' },
]

/** A TCB level; missing SVNs are zero. */
export function tcbLevel(
  svns: { sgx: readonly number[]; pce: number; tdx: readonly number[] },
  tcbDate: string,
  tcbStatus: string,
  advisoryIDs: readonly string[] = [],
): TcbLevel {
  return {
    tcb: {
      sgxtcbcomponents: components(svns.sgx, sgxComponentKinds),
      pcesvn: svns.pce,
      tdxtcbcomponents: components(svns.tdx, tdxComponentKinds),
    },
    tcbDate: `${tcbDate}T00:00:00Z`,
    tcbStatus,
    ...(advisoryIDs.length === 0 ? {} : { advisoryIDs }),
  }
}

function components(
  svns: readonly number[],
  kinds: readonly Omit<TcbComponent, 'svn'>[],
): TcbComponent[] {
  return Array.from({ length: 16 }, (_, index) => ({ svn: svns[index] ?? 0, ...kinds[index] }))
}

/** The SVNs of a platform with all updates. */
export const currentSvns = { sgx: [4, 4, 2, 2, 4, 1, 0, 5], pce: 11, tdx: [5, 0, 4] }
/** The SVNs of a platform without the newest updates. */
export const outdatedSvns = { sgx: [2, 2, 2, 2, 3, 1, 0, 5], pce: 11, tdx: [5, 0, 2] }

export const standardLevels: readonly TcbLevel[] = [
  tcbLevel(currentSvns, '2025-08-13', 'UpToDate'),
  tcbLevel(outdatedSvns, '2024-03-13', 'OutOfDate', ['INTEL-SA-01079', 'INTEL-SA-01111']),
  tcbLevel({ ...outdatedSvns, pce: 5 }, '2018-01-04', 'Revoked', ['INTEL-SA-00106']),
]
