/** PCK certificates in encodings that strict DER and PEM parsers refuse. All are signed correctly. */

import { concatBytes, utf8ToBytes } from '../../../src/lib/bytes.ts'
import type { MalformedCode } from '../../../src/quote/verdict.ts'
import type { Edits } from '../../../src/tee/simulator/certificate.ts'
import {
  derContent,
  editDer,
  splitDer,
  tlv,
  toPem,
  toPemChain,
} from '../../../src/tee/simulator/der.ts'
import { type FaultCase, malformed, platformCase, quoteCase } from './case.ts'

const inDer: readonly MalformedCode[] = ['QUOTE_DER_MALFORMED', 'QUOTE_CERTIFICATE_MALFORMED']

// positions in a TBSCertificate: [child, grandchild, …]
const serial = [1]
const validity = [4]
const publicKey = [6]
const extensions = [7, 0]
const sgxField = (index: number) => [7, 0, 5, 1, 0, index]
const firstSvn = [...sgxField(1), 1, 0, 1]
const dynamicPlatform = [...sgxField(6), 1, 0, 1]

const leaf = (name: string, about: string, edits: Edits): FaultCase =>
  platformCase([name, about, malformed(...inDer)], { pck: { edits } })

/** Changes one value of the certificate before it is signed. */
const signedLeaf = (
  name: string,
  about: string,
  path: readonly number[],
  change: (value: Uint8Array) => Uint8Array,
): FaultCase => leaf(name, about, { signed: (tbs) => editDer(tbs, path, change) })

export const certificateEncodings: readonly FaultCase[] = [
  leaf('der_trailing_byte', 'a byte after the certificate', {
    whole: (der) => concatBytes(der, Uint8Array.of(0)),
  }),
  leaf('der_trailing_inside', 'a value after the signature', {
    whole: (der) => tlv(0x30, derContent(der), tlv(0x05)),
  }),
  leaf('der_truncated', 'the last byte is missing', { whole: (der) => der.slice(0, -1) }),
  leaf('der_length_not_minimal', 'length of the certificate in three bytes', {
    whole: (der) => widenLength(der),
  }),
  leaf('der_indefinite_outside', 'BER: certificate of indefinite length', {
    whole: (der) => indefinite(der),
  }),
  leaf('der_signature_unused_bits', 'signature with seven unused bits', {
    whole: (der) =>
      editDer(der, [2], (value) => tlv(0x03, Uint8Array.of(7), derContent(value).slice(1))),
  }),
  leaf('der_signature_algorithm_differs', 'another algorithm outside than inside', {
    whole: (der) =>
      editDer(der, [1, 0], () => Uint8Array.from(Buffer.from('06082a8648ce3d040303', 'hex'))),
  }),
  signedLeaf('der_tbs_length_not_minimal', 'a short length in long form', serial, widenLength),
  signedLeaf('der_indefinite_inside', 'BER: validity of indefinite length', validity, indefinite),
  signedLeaf('der_serial_negative', 'negative serial number', serial, () =>
    tlv(0x02, Uint8Array.of(0x80, 1)),
  ),
  signedLeaf('der_serial_not_minimal', 'serial number with a needless zero', serial, () =>
    tlv(0x02, Uint8Array.of(0, 0x7f, 1)),
  ),
  signedLeaf('der_serial_empty', 'serial number of no bytes', serial, () => tlv(0x02)),
  signedLeaf('der_serial_too_long', 'serial number of 40 bytes', serial, () =>
    tlv(0x02, new Uint8Array(40).fill(0x11)),
  ),
  signedLeaf('der_time_not_utc', 'notAfter in local time', [...validity, 1], () =>
    tlv(0x17, utf8ToBytes('310521000000+0100')),
  ),
  signedLeaf('der_time_impossible', 'notAfter on 31 February', [...validity, 1], () =>
    tlv(0x17, utf8ToBytes('310231000000Z')),
  ),
  signedLeaf('der_time_garbage', 'notAfter of letters', [...validity, 1], () =>
    tlv(0x17, utf8ToBytes('3105210000ABZ')),
  ),
  signedLeaf('der_key_of_other_curve', 'key on P-384', [...publicKey, 0, 1], () =>
    Uint8Array.from(Buffer.from('06052b81040022', 'hex')),
  ),
  signedLeaf('der_key_compressed', 'compressed public key', [...publicKey, 1], (value) =>
    tlv(0x03, Uint8Array.of(0, 2), derContent(value).slice(2, 34)),
  ),
  signedLeaf('der_version_1', 'certificate of version 1 with extensions', [0, 0], () =>
    tlv(0x02, Uint8Array.of(0)),
  ),
  signedLeaf('der_duplicate_extension', 'the SGX extension twice', extensions, (value) => {
    const all = splitDer(derContent(value))
    return tlv(0x30, ...all, all[5] as Uint8Array)
  }),
  signedLeaf('der_duplicate_basic_constraints', 'basic constraints twice', extensions, (value) => {
    const all = splitDer(derContent(value))
    return tlv(0x30, ...all.slice(0, 5), all[4] as Uint8Array, all[5] as Uint8Array)
  }),
  signedLeaf(
    'der_critical_false_written',
    'a default value written out',
    [...extensions, 5],
    (value) => {
      const [id, content] = splitDer(derContent(value)) as [Uint8Array, Uint8Array]
      return tlv(0x30, id, tlv(0x01, Uint8Array.of(0)), content)
    },
  ),
  signedLeaf(
    'der_unknown_critical_extension',
    'an unknown critical extension',
    extensions,
    (value) =>
      tlv(0x30, derContent(value), extensionOf('060355046f', tlv(0x01, Uint8Array.of(0xff)))),
  ),
  signedLeaf('der_oid_padded', 'an extension type with a padded number', extensions, (value) =>
    tlv(0x30, derContent(value), extensionOf('060455801d7f')),
  ),
  signedLeaf('der_oid_without_end', 'an extension type that is cut', extensions, (value) =>
    tlv(0x30, derContent(value), extensionOf('0603551dff')),
  ),
  signedLeaf('der_extension_no_der', 'an extension whose value is no DER', extensions, (value) => {
    const id = Uint8Array.from(Buffer.from('0603551d7f', 'hex'))
    return tlv(0x30, derContent(value), tlv(0x30, id, tlv(0x04, utf8ToBytes('no'))))
  }),
  signedLeaf('der_key_usage_padded', 'key usage with zeros behind its last bit', [7, 0, 3, 2], () =>
    tlv(0x04, tlv(0x03, Uint8Array.of(5, 0xc0))),
  ),
  signedLeaf('der_name_no_utf8', 'a name in bytes that are no text', [5, 1, 0, 1], () =>
    tlv(0x0c, Uint8Array.of(0xc0, 0x80)),
  ),
  signedLeaf('sgx_svn_negative', 'component SVN -1', firstSvn, () =>
    tlv(0x02, Uint8Array.of(0xff)),
  ),
  signedLeaf('sgx_svn_not_minimal', 'component SVN with a needless zero', firstSvn, () =>
    tlv(0x02, Uint8Array.of(0, 4)),
  ),
  signedLeaf('sgx_svn_256', 'component SVN above 255', firstSvn, () =>
    tlv(0x02, Uint8Array.of(1, 0)),
  ),
  signedLeaf('sgx_svn_empty', 'component SVN of no bytes', firstSvn, () => tlv(0x02)),
  signedLeaf('sgx_boolean_not_der', 'BOOLEAN true as 01', dynamicPlatform, () =>
    tlv(0x01, Uint8Array.of(1)),
  ),
  signedLeaf('sgx_ppid_short', 'PPID of 15 bytes', [...sgxField(0), 1], (value) =>
    tlv(0x04, derContent(value).slice(1)),
  ),
  signedLeaf('sgx_fmspc_long', 'FMSPC of 7 bytes', [...sgxField(3), 1], (value) =>
    tlv(0x04, derContent(value), Uint8Array.of(0)),
  ),
  signedLeaf('sgx_trailing', 'bytes after the SGX extension', [7, 0, 5, 1], (value) =>
    tlv(0x04, derContent(value), Uint8Array.of(5, 0)),
  ),
  signedLeaf('sgx_component_missing', 'fifteen components', [...sgxField(1), 1], (value) => {
    const fields = splitDer(derContent(value))
    return tlv(0x30, ...fields.slice(1))
  }),
  signedLeaf(
    'sgx_component_twice',
    'component 1 twice, component 2 never',
    [...sgxField(1), 1],
    (value) => {
      const fields = splitDer(derContent(value))
      return tlv(0x30, fields[0] as Uint8Array, fields[0] as Uint8Array, ...fields.slice(2))
    },
  ),
  signedLeaf('sgx_fmspc_twice', 'two FMSPCs', [7, 0, 5, 1, 0], (value) => {
    const fields = splitDer(derContent(value))
    return tlv(0x30, ...fields, fields[3] as Uint8Array)
  }),
]

function extensionOf(id: string, ...critical: Uint8Array[]): Uint8Array {
  return tlv(0x30, Uint8Array.from(Buffer.from(id, 'hex')), ...critical, tlv(0x04, tlv(0x05)))
}

const pem = (
  name: string,
  about: string,
  change: (text: string, chain: readonly Uint8Array[]) => string,
): FaultCase =>
  quoteCase([name, about, malformed('QUOTE_PEM_MALFORMED')], ({ platform }) => ({
    certificationData: utf8ToBytes(change(toPemChain(platform.pckChain), platform.pckChain)),
  }))

export const pemEncodings: readonly FaultCase[] = [
  pem('pem_crlf', 'lines that end in CR LF', (text) => text.replaceAll('\n', '\r\n')),
  pem('pem_text_between', 'words between the certificates', (text) =>
    text.replace('-----\n-----', '-----\nsubject=someone\n-----'),
  ),
  pem('pem_blank_line', 'an empty line between the certificates', (text) =>
    text.replace('-----\n-----', '-----\n\n-----'),
  ),
  pem('pem_leading_space', 'a space before the chain', (text) => ` ${text}`),
  pem('pem_long_lines', 'base64 in one line', (text, chain) =>
    text.replace(toPem('CERTIFICATE', chain[0] as Uint8Array), (certificate) =>
      certificate.replaceAll(/\n(?!-)/g, '').replace('-----MII', '-----\nMII'),
    ),
  ),
  pem('pem_bad_character', 'a character that is not base64', (text) => text.replace('MII', 'M*I')),
  pem('pem_padding_bits', 'bits in the padding of base64', (text) =>
    text.replace(/([A-Za-z0-9+/])=\n/, (_, last: string) => `${nextCharacter(last)}=\n`),
  ),
  pem('pem_other_label', 'a label that is not CERTIFICATE', (text) =>
    text.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE'),
  ),
  pem('pem_no_end', 'the last line is missing', (text) =>
    text.slice(0, text.lastIndexOf('-----END')),
  ),
  pem('pem_two_nuls', 'two NULs after the chain', (text) => `${text}\0\0`),
  pem('pem_nul_inside', 'a NUL between the certificates', (text) =>
    text.replace('-----\n-----', '-----\n\0-----'),
  ),
  pem('pem_empty', 'no certificate at all', () => '\0'),
]

function widenLength(der: Uint8Array): Uint8Array {
  const content = derContent(der)
  const length = content.length
  return concatBytes(
    Uint8Array.of(der[0] as number, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff),
    content,
  )
}

function indefinite(der: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(der[0] as number, 0x80), derContent(der), new Uint8Array(2))
}

const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** The next base64 digit. It differs in its lowest bit, which no byte uses. */
function nextCharacter(character: string): string {
  return base64[base64.indexOf(character) + 1] ?? 'B'
}
