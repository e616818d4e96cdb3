/**
 * The simulator's PKI in the form of Intel's: root, Platform CA, Processor CA, TCB Signing, PCK certificates.
 *
 * The common names are Intel's, because the verification rules require them. The organization is not, and no
 * certificate chains to Intel's root. So a simulated certificate cannot be confused with a real one.
 */
import type { PckCa } from '../../quote/collateral/pccs.ts'
import {
  type CertificateProfile,
  type Edits,
  issueCertificate,
  issueCrl,
  type NameProfile,
  rawExtension,
} from './certificate.ts'
import { deriveBytes, deriveKey, type SigningKey } from './key.ts'
import { encodeSgxExtension, type SgxExtensionFields, sgxExtensionId } from './sgx-extension.ts'

/** Organization in all simulated certificates: 17 characters, as Intel's. */
export const simulatedOrganization = 'Assent Simulation'

const rootCrlUrl = 'https://certificates.assent-simulators.invalid/IntelSGXRootCA.der'
const pckCrlUrl = 'https://api.assent-simulators.invalid/sgx/certification/v4/pckcrl'

/** A simulated CA or signer with its key and certificate (DER). */
export interface SimulatedCa {
  readonly name: NameProfile
  readonly key: SigningKey
  /** At most 20 bytes. */
  readonly serial: Uint8Array
  /** 20 bytes: subject key identifier. */
  readonly keyId: Uint8Array
  /** DER. */
  readonly certificate: Uint8Array
}

/** The simulator's certificate authorities, with the names and the structure of Intel's. */
export interface Pki {
  /** All keys are derived from it. */
  readonly seed: Uint8Array
  /** The root of trust. */
  readonly root: SimulatedCa
  /** Signs TCB info and QE identity. */
  readonly tcbSigning: SimulatedCa
  /** The CA that issues PCK certificates of this kind. */
  pckCa(kind: PckCa): SimulatedCa
}

/** Differences from a valid certificate, for tests. Times are Unix seconds. */
export interface AuthorityOptions {
  readonly serial?: Uint8Array
  /** Unix seconds. */
  readonly notBefore?: number
  /** Unix seconds. */
  readonly notAfter?: number
  readonly name?: Partial<NameProfile>
  /** Signs instead of the issuer's own key. */
  readonly signedBy?: SigningKey
  /** Changes bytes after encoding. */
  readonly edits?: Edits
  /** Overrides parts of the profile. */
  readonly profile?: Partial<CertificateProfile>
}

/** Differences from a valid PCK certificate. */
export interface PckOptions extends AuthorityOptions {
  /** Contents of Intel's SGX extension. */
  readonly sgx: SgxExtensionFields
  readonly key: SigningKey
  /** `false` omits the extension; bytes replace its value. */
  readonly sgxExtension?: false | Uint8Array
}

/** Contents of a CRL. */
export interface CrlOptions {
  /** Unix seconds. */
  readonly thisUpdate: number
  /** Unix seconds. */
  readonly nextUpdate: number
  /** Serial numbers. */
  readonly revoked?: readonly Uint8Array[]
  /** Signs instead of the issuer's key. */
  readonly signedBy?: SigningKey
  /** Changes of the encoded bytes, for malformed CRLs. */
  readonly edits?: Edits
}

/** Between these times (Unix seconds) all certificates of a simulator are valid, unless options say otherwise. */
export const firstSecond = Date.parse('2019-05-21T00:00:00Z') / 1000
export const lastSecond = Date.parse('2031-05-21T00:00:00Z') / 1000

const seconds = (date: string): number => Date.parse(date) / 1000

/** Differences that all certificates share. */
export interface PkiOptions {
  /** Applied to every name. */
  readonly name?: Partial<NameProfile>
}

/** The same seed gives the same keys and certificates. @param seed 32 bytes */
export function createPki(seed: Uint8Array, options: PkiOptions = {}): Pki {
  const root = createRoot(seed, options)
  const cas = new Map<PckCa, SimulatedCa>()
  return {
    seed,
    root,
    tcbSigning: createTcbSigning(seed, root, options),
    pckCa(kind) {
      const known = cas.get(kind) ?? createPckCa(seed, root, kind, options)
      cas.set(kind, known)
      return known
    },
  }
}

/** The simulated root CA. */
export function createRoot(seed: Uint8Array, options: AuthorityOptions = {}): SimulatedCa {
  const identity = identify(seed, 'root', 'Intel SGX Root CA', options)
  return certify(identity, identity, options, {
    notBefore: seconds('2018-05-21T10:45:10Z'),
    notAfter: seconds('2049-12-31T23:59:59Z'),
    crlUrl: rootCrlUrl,
    pathLength: 1,
  })
}

/** The CA that issues PCK certificates: for platforms or for processors. */
export function createPckCa(
  seed: Uint8Array,
  root: SimulatedCa,
  kind: PckCa,
  options: AuthorityOptions = {},
): SimulatedCa {
  const commonName =
    kind === 'platform' ? 'Intel SGX PCK Platform CA' : 'Intel SGX PCK Processor CA'
  return certify(identify(seed, `${kind}-ca`, commonName, options), root, options, {
    notBefore: seconds('2018-05-21T10:50:10Z'),
    notAfter: seconds('2033-05-21T10:50:10Z'),
    crlUrl: rootCrlUrl,
    pathLength: 0,
  })
}

/** The signer of TCB info and QE identity. */
export function createTcbSigning(
  seed: Uint8Array,
  root: SimulatedCa,
  options: AuthorityOptions = {},
): SimulatedCa {
  return certify(identify(seed, 'tcb-signing', 'Intel SGX TCB Signing', options), root, options, {
    notBefore: seconds('2018-05-21T10:55:10Z'),
    notAfter: seconds('2032-05-06T09:25:00Z'),
    crlUrl: rootCrlUrl,
    pathLength: undefined,
  })
}

/** The PCK certificate of one platform. */
export function issuePck(
  issuer: SimulatedCa,
  { sgx, key, sgxExtension, ...options }: PckOptions & { readonly serial: Uint8Array },
): SimulatedCa {
  const name = { ...issuer.name, commonName: 'Intel SGX PCK Certificate', ...options.name }
  const identity = { name, key, serial: options.serial, keyId: options.serial }
  const kind: PckCa = sgx.platformInstanceId === undefined ? 'processor' : 'platform'
  const value = sgxExtension === undefined ? encodeSgxExtension(sgx) : sgxExtension
  return certify(identity, issuer, options, {
    notBefore: firstSecond,
    notAfter: lastSecond,
    crlUrl: `${pckCrlUrl}?ca=${kind}&encoding=der`,
    pathLength: undefined,
    extra: value === false ? [] : [rawExtension(sgxExtensionId, value)],
  })
}

/** A CRL (DER) of `issuer`. */
export function issueRevocations(issuer: SimulatedCa, options: CrlOptions): Uint8Array {
  const { thisUpdate, nextUpdate, revoked = [], signedBy = issuer.key, edits = {} } = options
  const profile = {
    issuer: issuer.name,
    authorityKeyId: issuer.keyId,
    thisUpdate,
    nextUpdate,
    revoked,
  }
  return issueCrl(profile, signedBy, edits)
}

type CaIdentity = Omit<SimulatedCa, 'certificate'>

function identify(
  seed: Uint8Array,
  label: string,
  commonName: string,
  { name, serial }: AuthorityOptions,
): CaIdentity {
  const keyId = deriveSerial(seed, label)
  return {
    name: { commonName, organization: simulatedOrganization, encoding: 'utf8', ...name },
    key: deriveKey(seed, label),
    serial: serial ?? keyId,
    keyId,
  }
}

/** 20 bytes, the first not zero. Intel uses the same value as serial number and as key id. */
export function deriveSerial(seed: Uint8Array, label: string): Uint8Array {
  const serial = deriveBytes(seed, `serial/${label}`, 20)
  if (serial[0] === 0) serial[0] = 0x7e
  return serial
}

function certify(
  identity: CaIdentity,
  issuer: CaIdentity,
  options: AuthorityOptions,
  profile: Pick<CertificateProfile, 'notBefore' | 'notAfter' | 'crlUrl' | 'pathLength'> & {
    readonly extra?: CertificateProfile['extra']
  },
): SimulatedCa {
  const certificate = issueCertificate(
    {
      extra: [],
      ...profile,
      subject: identity.name,
      issuer: issuer.name,
      serial: identity.serial,
      notBefore: options.notBefore ?? profile.notBefore,
      notAfter: options.notAfter ?? profile.notAfter,
      publicKey: identity.key.publicKey,
      subjectKeyId: identity.keyId,
      authorityKeyId: issuer.keyId,
      ...options.profile,
    },
    options.signedBy ?? issuer.key,
    options.edits,
  )
  return { ...identity, certificate }
}
