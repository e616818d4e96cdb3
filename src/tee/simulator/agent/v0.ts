/** Guest API v0, which dstack froze at release 0.5.11. Source: dstack `agent_rpc.proto`. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'

import { toHex, utf8ToBytes } from '../../../lib/bytes.ts'
import { signK256 } from '../../../lib/k256.ts'
import { deriveGuestKeyV0, type GuestKeyAlgorithm, guestKeyClaimV0 } from '../../guest-keys.ts'
import {
  describeVersion,
  type Guest,
  identify,
  readCompose,
  readKeyProvider,
  readReportData,
  requireKeys,
} from './guest.ts'
import { demoCertificateFields, issueCertificate, readCertificateFields } from './issue.ts'
import { type AgentMethod, bytes, type Parameters, text } from './transport.ts'

/** Methods for the app, on the socket inside its CVM. */
export function guestMethodsV0(guest: Guest): Record<string, AgentMethod> {
  const demo = demoCertificate(guest)
  return {
    GetTlsKey: (parameters) =>
      issueCertificate(guest.cvm, guest.issuer, readCertificateFields(parameters)),
    GetKey: (parameters) => getKey(guest, parameters),
    GetQuote: (parameters) => getQuote(guest, readReportData(parameters)),
    Attest: (parameters) => ({
      attestation: toHex(guest.cvm.attestation(readReportData(parameters))),
    }),
    EmitEvent: (parameters) => emitEvent(guest, parameters),
    Info: async () => describeApp(guest, await demo(), false),
    Sign: (parameters) => signData(guest, parameters),
    Verify: verifyData,
    Version: () => describeVersion(guest),
  }
}

/** Methods for everyone who can reach the CVM. */
export function workerMethodsV0(guest: Guest): Record<string, AgentMethod> {
  const demo = demoCertificate(guest)
  return {
    Info: async () => describeApp(guest, await demo(), !readCompose(guest).isPublic),
    Version: () => describeVersion(guest),
    GetAttestationForAppKey: (parameters) => attestAppKey(guest, parameters),
  }
}

/** The certificate in `Info`: issued once and kept; empty before that, as in the real agent. */
function demoCertificate({ cvm, issuer }: Guest): () => Promise<string> {
  let kept = ''
  return async () => {
    if (kept === '' && issuer !== undefined) {
      const issued = await issueCertificate(cvm, issuer, demoCertificateFields).catch(
        () => undefined,
      )
      kept = issued?.certificate_chain.join('\n') ?? ''
    }
    return kept
  }
}

function getQuote({ cvm, release }: Guest, reportData: Uint8Array) {
  return {
    quote: toHex(cvm.quote(reportData)),
    event_log: cvm.eventLog('quote'),
    report_data: toHex(reportData),
    vm_config: cvm.vmConfig,
    ...(release === '0.5' ? { attestation: '' } : {}),
  }
}

function emitEvent({ cvm, release }: Guest, parameters: Parameters): null {
  if (release !== '0.5') {
    throw new Error('EmitEvent was removed in 0.6.0: runtime events belong to the system')
  }
  cvm.emitEvent(text(parameters, 'event'), bytes(parameters, 'payload'))
  return null
}

function getKey(guest: Guest, parameters: Parameters) {
  const { k256Key, k256Signature } = requireKeys(guest)
  const algorithm = readAlgorithm(text(parameters, 'algorithm'))
  const { key, publicKey } = deriveGuestKeyV0(k256Key, text(parameters, 'path'), algorithm)
  const claim = guestKeyClaimV0(text(parameters, 'purpose'), publicKey)
  return {
    key: toHex(key),
    signature_chain: [toHex(signK256(k256Key, claim)), toHex(k256Signature)],
  }
}

/** v0 accepts an alias and has a default. */
function readAlgorithm(name: string): GuestKeyAlgorithm {
  if (['', 'k256', 'secp256k1'].includes(name)) return 'secp256k1'
  if (name === 'ed25519') return 'ed25519'
  throw new RangeError('Unsupported algorithm')
}

/** Algorithms of `Sign` and `Verify`: more names than those of `GetKey`. */
type SigningMode = 'secp256k1' | 'secp256k1_prehashed' | 'ed25519'

function readMode(name: string): SigningMode {
  if (name === 'k256' || name === 'secp256k1') return 'secp256k1'
  if (name === 'secp256k1_prehashed' || name === 'ed25519') return name
  throw new RangeError('Unsupported algorithm')
}

function signingKey(guest: Guest, mode: SigningMode) {
  const algorithm = mode === 'ed25519' ? 'ed25519' : 'secp256k1'
  return deriveGuestKeyV0(requireKeys(guest).k256Key, 'vms', algorithm)
}

function signData(guest: Guest, parameters: Parameters) {
  const mode = readMode(text(parameters, 'algorithm'))
  const data = bytes(parameters, 'data')
  const { key, publicKey } = signingKey(guest, mode)
  const signature = toHex(signWith(mode, key, data))
  const { k256Key, k256Signature } = requireKeys(guest)
  const link = signK256(k256Key, guestKeyClaimV0('signing', publicKey))
  return {
    signature,
    signature_chain: [signature, toHex(link), toHex(k256Signature)],
    public_key: toHex(publicKey),
  }
}

function signWith(mode: SigningMode, key: Uint8Array, data: Uint8Array): Uint8Array {
  if (mode === 'ed25519') return ed25519.sign(data, key)
  const isPrehashed = mode === 'secp256k1_prehashed'
  if (isPrehashed && data.length !== 32) {
    throw new RangeError(
      `Pre-hashed signing requires a 32-byte digest, but received ${data.length} bytes`,
    )
  }
  return secp256k1.sign(data, key, { prehash: !isPrehashed })
}

/** Needs no key. dstack keeps it for clients of 0.5. */
function verifyData(parameters: Parameters) {
  const mode = readMode(text(parameters, 'algorithm'))
  const data = bytes(parameters, 'data')
  const signature = bytes(parameters, 'signature')
  const publicKey = bytes(parameters, 'public_key')
  if (signature.length !== 64) throw new RangeError('signature error')
  if (mode === 'ed25519') {
    return { valid: ed25519.verify(signature, data, publicKey, { zip215: false }) }
  }
  return { valid: secp256k1.verify(signature, data, publicKey, { prehash: mode === 'secp256k1' }) }
}

/** A quote over the public key that `Sign` uses. */
function attestAppKey(guest: Guest, parameters: Parameters) {
  const mode = readMode(text(parameters, 'algorithm'))
  const { publicKey } = signingKey(guest, mode)
  const name = mode === 'ed25519' ? 'ed25519-pk' : 'secp256k1c-pk'
  const statement = `dip1::${name}:${Buffer.from(publicKey).toString('base64url')}`
  const reportData = new Uint8Array(64)
  reportData.set(utf8ToBytes(statement))
  return getQuote(guest, reportData)
}

function describeApp(guest: Guest, certificate: string, hidesDocuments: boolean) {
  const { identity, report } = identify(guest)
  const { app_id, instance_id, ...measured } = identity
  const { compose, name } = readCompose(guest)
  const registers = Object.fromEntries(
    report.rtmrs.map((value, index) => [`rtmr${index}`, toHex(value)]),
  )
  const tcbInfo = {
    mrtd: toHex(report.mrTd),
    ...registers,
    ...measured,
    event_log: JSON.parse(guest.cvm.eventLog('full')),
    app_compose: compose,
  }
  return {
    app_id,
    instance_id,
    app_cert: certificate,
    tcb_info: hidesDocuments ? '' : JSON.stringify(tcbInfo, null, 2),
    app_name: name,
    ...measured,
    key_provider_info: readKeyProvider(guest),
    vm_config: hidesDocuments ? '' : guest.cvm.vmConfig,
    cloud_vendor: '',
    cloud_product: '',
  }
}
