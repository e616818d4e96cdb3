/**
 * A certificate authority that stands in for Intel's: root, Platform CA, Processor CA, TCB Signing, PCK.
 *
 * The common names are Intel's, because verification rules name them. The organization never is: no
 * certificate of a simulator can be taken for a real one, and none chains to Intel's root.
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

export const simulatedOrganization = 'Assent Simulation'

const rootCrlUrl = 'https://certificates.assent-simulators.invalid/IntelSGXRootCA.der'
const pckCrlUrl = 'https://api.assent-simulators.invalid/sgx/certification/v4/pckcrl'

/** Who signs: a name, a key and the certificate that says so. */
export interface SimulatedCa {
  readonly name: NameProfile
  readonly key: SigningKey
  readonly serial: Uint8Array
  readonly keyId: Uint8Array
  readonly certificate: Uint8Array
}

export interface Pki {
  readonly seed: Uint8Array
  readonly root: SimulatedCa
  readonly tcbSigning: SimulatedCa
  /** The CA that issues PCK certificates of this kind. */
  pckCa(kind: PckCa): SimulatedCa
}

export interface AuthorityOptions {
  readonly serial?: Uint8Array
  readonly notBefore?: number
  readonly notAfter?: number
  readonly name?: Partial<NameProfile>
  /** Signs instead of the issuer's own key. */
  readonly signedBy?: SigningKey
  readonly edits?: Edits
  /** Changes the profile as a whole. */
  readonly profile?: Partial<CertificateProfile>
}

export interface PckOptions extends AuthorityOptions {
  readonly sgx: SgxExtensionFields
  readonly key: SigningKey
  /** `false` leaves the extension out; bytes replace its value. */
  readonly sgxExtension?: false | Uint8Array
}

export interface CrlOptions {
  readonly thisUpdate: number
  readonly nextUpdate: number
  readonly revoked?: readonly Uint8Array[]
  readonly signedBy?: SigningKey
  readonly edits?: Edits
}

/** All certificates of a simulator are valid together from here to there, unless a caller says otherwise. */
export const firstSecond = Date.parse('2019-05-21T00:00:00Z') / 1000
export const lastSecond = Date.parse('2031-05-21T00:00:00Z') / 1000

const seconds = (date: string): number => Date.parse(date) / 1000

export interface PkiOptions {
  /** Applied to every name. */
  readonly name?: Partial<NameProfile>
}

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

export function createRoot(seed: Uint8Array, options: AuthorityOptions = {}): SimulatedCa {
  const identity = identify(seed, 'root', 'Intel SGX Root CA', options)
  return certify(identity, identity, options, {
    notBefore: seconds('2018-05-21T10:45:10Z'),
    notAfter: seconds('2049-12-31T23:59:59Z'),
    crlUrl: rootCrlUrl,
    pathLength: 1,
  })
}

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

/** The certificate of one platform's provisioning certification key. */
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

/** Twenty bytes, the first not zero; Intel uses the same value as serial number and key id. */
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
