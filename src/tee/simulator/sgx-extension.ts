/** Intel's SGX extension of a PCK certificate: identity and SVNs of the platform. */
import {
  Boolean as Asn1Boolean,
  Enumerated,
  Integer,
  ObjectIdentifier,
  OctetString,
  Sequence,
} from 'asn1js'

/** OID of the extension. */
export const sgxExtensionId = '1.2.840.113741.1.13.1'

/** Contents of Intel's SGX extension in a PCK certificate (OID 1.2.840.113741.1.13.1). */
export interface SgxExtensionFields {
  /** 16 bytes. */
  readonly ppid: Uint8Array
  /** 16 SVNs. Intel's library compares these. */
  readonly components: readonly number[]
  /** 0 to 65,535. */
  readonly pceSvn: number
  /** 16 bytes, equal to the SVNs on every real platform. Other libraries compare these. */
  readonly cpuSvn: Uint8Array
  /** 2 bytes. */
  readonly pceId: Uint8Array
  /** 6 bytes. */
  readonly fmspc: Uint8Array
  /** 0 standard, 1 scalable, 2 scalable with integrity. */
  readonly sgxType: number
  /** Both are present under the Platform CA only. */
  readonly platformInstanceId?: Uint8Array | undefined
  readonly configuration?: PlatformConfiguration | undefined
}

/** Flags of a platform with several packages. */
export interface PlatformConfiguration {
  readonly dynamicPlatform: boolean
  readonly cachedKeys: boolean
  readonly smtEnabled: boolean
}

type Asn1 = ObjectIdentifier | Sequence | OctetString | Integer | Enumerated | Asn1Boolean

/** @returns DER of the extension's value */
export function encodeSgxExtension(sgx: SgxExtensionFields): Uint8Array {
  const fields = [
    field('1', octets(sgx.ppid)),
    field('2', sequence(tcbFields(sgx))),
    field('3', octets(sgx.pceId)),
    field('4', octets(sgx.fmspc)),
    field('5', new Enumerated({ value: sgx.sgxType })),
  ]
  if (sgx.platformInstanceId !== undefined) fields.push(field('6', octets(sgx.platformInstanceId)))
  if (sgx.configuration !== undefined) fields.push(configurationField(sgx.configuration))
  return new Uint8Array(sequence(fields).toBER())
}

function tcbFields({ components, pceSvn, cpuSvn }: SgxExtensionFields): Sequence[] {
  return [
    ...components.map((svn, index) => field(`2.${index + 1}`, new Integer({ value: svn }))),
    field('2.17', new Integer({ value: pceSvn })),
    field('2.18', octets(cpuSvn)),
  ]
}

function configurationField(configuration: PlatformConfiguration): Sequence {
  const { dynamicPlatform, cachedKeys, smtEnabled } = configuration
  return field(
    '7',
    sequence([
      field('7.1', new Asn1Boolean({ value: dynamicPlatform })),
      field('7.2', new Asn1Boolean({ value: cachedKeys })),
      field('7.3', new Asn1Boolean({ value: smtEnabled })),
    ]),
  )
}

function field(suffix: string, value: Asn1): Sequence {
  return sequence([new ObjectIdentifier({ value: `${sgxExtensionId}.${suffix}` }), value])
}

function sequence(value: Asn1[]): Sequence {
  return new Sequence({ value })
}

function octets(bytes: Uint8Array): OctetString {
  return new OctetString({ valueHex: new Uint8Array(bytes).buffer })
}
