/** Fuzzing targets: certificates and CRLs, compared with another X.509 library. */
import { isDeepStrictEqual } from 'node:util'

import { AsnConvert } from '@peculiar/asn1-schema'
import { BasicConstraints, id_ce_basicConstraints, Certificate as X509 } from '@peculiar/asn1-x509'
import { X509Crl } from '@peculiar/x509'

import {
  issueLeaf,
  issueRootCa,
  readCertificate,
} from '../../../src/kms/certificates/certificate.ts'
import { encodeSpki } from '../../../src/kms/keys/derive.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import { type Certificate, parseCertificate } from '../../../src/quote/certificates/certificate.ts'
import { parseRevocationList } from '../../../src/quote/certificates/crl.ts'
import { splitPemChain } from '../../../src/quote/certificates/pem.ts'
import { derContent, toPemChain } from '../../../src/tee/simulator/der.ts'
import { encodeSgxExtension, sgxExtensionId } from '../../../src/tee/simulator/sgx-extension.ts'
import { mutateDer, mutatePem, mutateText } from '../mutate.ts'
import { requestKey } from './attestations.ts'
import { at, bench, distinct, goodCollateral, simulator, target } from './material.ts'

const derCertificates = target<Uint8Array, ReturnType<typeof parseCertificate>>({
  name: 'certificate (DER)',
  seeds: [...bench.platform.pckChain, simulator.pki.tcbSigning.certificate],
  mutate: mutateDer,
  parse: (input) => parseCertificate(input, 'certificate'),
  doubt: (certificate, input) => {
    const other = AsnConvert.parse(new Uint8Array(input).buffer, X509)
    const { serialNumber, issuer, subject, validity, subjectPublicKeyInfo } = other.tbsCertificate
    const theirs = [
      serialHex(serialNumber),
      ...[issuer, subject].map((name) => hexOf(AsnConvert.serialize(name))),
      ...[validity.notBefore, validity.notAfter].map((time) => time.getTime().getTime() / 1000),
      hexOf(subjectPublicKeyInfo.subjectPublicKey).slice(-128),
      readConstraints(other)?.cA ?? false,
    ]
    const { serial, notBefore, notAfter, key, isCa } = certificate
    const names = [certificate.issuer, certificate.subject].map(toHex)
    const ours = [serial, ...names, notBefore, notAfter, toHex(key.point), isCa]
    if (!isDeepStrictEqual(theirs, ours)) return `another reader: ${theirs}; ours: ${ours}`
    return doubtSgx(certificate, other)
  },
})

const serialHex = (serial: ArrayBuffer) => hexOf(serial).replace(/^(00)+/, '')
const hexOf = (bytes: ArrayBuffer) => toHex(new Uint8Array(bytes))

function readConstraints(certificate: X509): BasicConstraints | undefined {
  const value = extensionOf(certificate, id_ce_basicConstraints)
  return value && AsnConvert.parse(value, BasicConstraints)
}

function extensionOf({ tbsCertificate }: X509, id: string): ArrayBuffer | undefined {
  return tbsCertificate.extensions?.find(({ extnID }) => extnID === id)?.extnValue.buffer
}

/** The SGX configuration, which no rule uses, can follow. */
function doubtSgx({ sgx }: Certificate, other: X509): string | undefined {
  const value = extensionOf(other, sgxExtensionId)
  if (sgx === undefined || value === undefined) {
    return sgx === value ? undefined : 'only one reader finds the SGX extension'
  }
  const written = toHex(derContent(encodeSgxExtension(sgx)))
  return toHex(derContent(new Uint8Array(value))).startsWith(written)
    ? undefined
    : 'its SGX extension does not encode to the same bytes'
}

const lists = target<Uint8Array, ReturnType<typeof parseRevocationList>>({
  name: 'revocation list (DER)',
  weight: 0.5,
  seeds: distinct(goodCollateral.flatMap(({ root_ca_crl, pck_crl }) => [root_ca_crl, pck_crl]))
    .filter((hex) => hex.length < 2_000)
    .map((hex) => new Uint8Array(Buffer.from(hex, 'hex'))),
  mutate: mutateDer,
  parse: (input) => parseRevocationList(input, 'list'),
  doubt: (list, input) => {
    const other = new X509Crl(new Uint8Array(input))
    const serials = new Set(other.entries.map((entry) => entry.serialNumber.replace(/^0+/, '')))
    const ours = new Set([...list.revoked].map((serial) => serial.replace(/^0+/, '')))
    const isSame =
      other.thisUpdate.getTime() / 1000 === list.thisUpdate &&
      (other.nextUpdate?.getTime() ?? 0) / 1000 === list.nextUpdate &&
      isDeepStrictEqual(serials, ours)
    return isSame ? undefined : 'another reader reads other dates or entries'
  },
})

const pem = target<string, Uint8Array[]>({
  name: 'PEM chain',
  seeds: [toPemChain(bench.platform.pckChain), bench.collateral.tcb_info_issuer_chain],
  mutate: (input, random) =>
    random.chance(0.5) ? mutateText(input, random) : mutatePem(bench.platform.pckChain, random),
  parse: (input) => splitPemChain(input, { field: 'chain' }),
  doubt: (chain, input) => {
    const written = toPemChain(chain)
    return input === written || `${input}\n` === written
      ? undefined
      : 'does not write to the same text'
  },
})

const clientKey = new Uint8Array(32).fill(3)
const rootCa = await issueRootCa(clientKey)
const clientLeaf = await issueLeaf(
  { key: clientKey, certificate: rootCa },
  { spki: encodeSpki(requestKey), commonName: 'fuzz', extensions: new Map() } as never,
  at,
)

const clientCertificates = target<Uint8Array, ReturnType<typeof readCertificate>>({
  name: 'client certificate',
  weight: 0.3,
  seeds: [rootCa, clientLeaf],
  mutate: mutateDer,
  parse: readCertificate,
  doubt: ({ spki, extensions }) =>
    spki.length > 0 && extensions.size < 64 ? undefined : 'has no key, or extensions without end',
})

export const certificateTargets = [derCertificates, lists, pem, clientCertificates]
