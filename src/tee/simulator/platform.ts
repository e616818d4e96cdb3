/** A simulated TDX host: identity, PCK certificate and quoting enclave. */
import { fromHex, toHex } from '../../lib/bytes.ts'
import type { PckCa } from '../../quote/collateral/pccs.ts'
import { deviceId } from '../../quote/measurements/measure.ts'
import { currentSvns } from './collateral.ts'
import { bootCvm, type CvmOptions, type SimulatedCvm } from './cvm.ts'
import { deriveBytes, deriveKey, type SigningKey, sign } from './key.ts'
import { type AuthorityOptions, deriveSerial, issuePck, type Pki } from './pki.ts'
import type { PlatformIdentity } from './platform-identity.ts'
import { buildQuote, type QuoteKeys } from './quote.ts'
import type { SgxExtensionFields } from './sgx-extension.ts'

/** Differences from the default host. */
export interface PlatformOptions {
  /** Name of the host: the same name gives the same host. */
  readonly name?: string
  /** Default: the Platform CA, which certifies every TDX host. */
  readonly ca?: PckCa
  /** FMSPC, six bytes as hex. */
  readonly fmspc?: string
  /** Replaces parts of the SGX extension. */
  readonly sgx?: Partial<SgxExtensionFields>
  /** Replaces the encoded SGX extension, or omits it (`false`). */
  readonly sgxExtension?: false | Uint8Array
  /** Differences from a valid PCK certificate. */
  readonly pck?: AuthorityOptions
}

/** A simulated host. */
export interface Platform extends PlatformIdentity {
  /** Boots a CVM up to the point where it requests its keys from a KMS. */
  createCvm(options: CvmOptions): SimulatedCvm
}

/** A host whose PCK certificate is issued by this PKI. */
export function createPlatform(
  pki: Pki,
  defaultFmspc: string,
  options: PlatformOptions = {},
): Platform {
  const { name = 'host-0', ca = 'platform' } = options
  const label = `platform/${name}`
  const fmspc = (options.fmspc ?? defaultFmspc).toUpperCase()
  const sgx = describeHardware(pki.seed, label, ca, fmspc, options.sgx)
  const pckKey = deriveKey(pki.seed, `${label}/pck`)
  const issuer = pki.pckCa(ca)
  const pck = issuePck(issuer, {
    ...options.pck,
    sgx,
    key: pckKey,
    serial: options.pck?.serial ?? deriveSerial(pki.seed, `${label}/pck`),
    ...(options.sgxExtension === undefined ? {} : { sgxExtension: options.sgxExtension }),
  })
  const keys: QuoteKeys = {
    attestationKey: deriveKey(pki.seed, `${label}/attestation`),
    signQeReport: rememberSignatures(pckKey),
    pckChain: [pck.certificate, issuer.certificate, pki.root.certificate],
    qeId: deriveBytes(pki.seed, `${label}/qe-id`, 16),
  }
  const platform: Platform = {
    name,
    ca,
    ppid: sgx.ppid,
    deviceId: deviceId(sgx.ppid),
    fmspc,
    platformInstanceId: sgx.platformInstanceId,
    pck: pck.certificate,
    pckSerial: pck.serial,
    pckChain: keys.pckChain,
    sgx,
    pckKey,
    attestationKey: keys.attestationKey,
    quote: (quoteOptions) => buildQuote(keys, quoteOptions),
    createCvm: (cvmOptions) => bootCvm(platform, pki.seed, cvmOptions),
  }
  return platform
}

/** A quoting enclave is certified once and then makes many quotes, as on real hosts. */
function rememberSignatures(key: SigningKey): (report: Uint8Array) => Uint8Array {
  const known = new Map<string, Uint8Array>()
  return (report) => {
    const name = toHex(report)
    const signature = known.get(name) ?? sign(key, report)
    known.set(name, signature)
    return signature
  }
}

function describeHardware(
  seed: Uint8Array,
  label: string,
  ca: PckCa,
  fmspc: string,
  overrides: Partial<SgxExtensionFields> = {},
): SgxExtensionFields {
  const components =
    overrides.components ?? Array.from({ length: 16 }, (_, index) => currentSvns.sgx[index] ?? 0)
  return {
    ppid: deriveBytes(seed, `${label}/ppid`, 16),
    components,
    pceSvn: currentSvns.pce,
    cpuSvn: Uint8Array.from(components),
    pceId: new Uint8Array(2),
    fmspc: fromHex(fmspc, 'fmspc', 6),
    sgxType: ca === 'platform' ? 1 : 0,
    ...(ca === 'platform'
      ? {
          platformInstanceId: deriveBytes(seed, `${label}/instance`, 16),
          configuration: { dynamicPlatform: true, cachedKeys: true, smtEnabled: true },
        }
      : {}),
    ...overrides,
  }
}
