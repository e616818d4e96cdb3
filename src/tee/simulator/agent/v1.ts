/** Guest API v1, from dstack 0.6 on. Source: `docs/guest-api-v1.md` of dstack's repository. */
import { toHex } from '../../../lib/bytes.ts'
import { signK256 } from '../../../lib/k256.ts'
import { deriveGuestKeyV1, type GuestKeyAlgorithm, guestKeyClaimV1 } from '../../guest-keys.ts'
import {
  describeVersion,
  type Guest,
  identify,
  readCompose,
  readKeyProvider,
  readReportData,
  requireKeys,
} from './guest.ts'
import { issueCertificate, readCertificateFields } from './issue.ts'
import { type AgentMethod, bytes, type Parameters, text } from './transport.ts'

/** Methods for the app, below `/v1` on the socket inside its CVM. */
export function guestMethodsV1(guest: Guest): Record<string, AgentMethod> {
  return {
    IssueCert: (parameters) =>
      issueCertificate(guest.cvm, guest.issuer, readCertificateFields(parameters)),
    GetKey: (parameters) => getKey(guest, parameters),
    Attest: (parameters) => ({
      attestation: toHex(guest.cvm.attestation(readReportData(parameters))),
      // a host without a GPU has no record of a GPU boot
      boottime_gpu_evidence: [],
    }),
    AttestGpu: attestGpu,
    Info: () => describeApp(guest, false),
    Version: () => describeVersion(guest),
  }
}

/** Methods for everyone who can reach the CVM, below `/prpc/v1`. */
export function workerMethodsV1(guest: Guest): Record<string, AgentMethod> {
  return {
    Info: () => describeApp(guest, !readCompose(guest).isPublic),
    Version: () => describeVersion(guest),
    // an app without a health check is healthy
    Health: () => ({ healthy: true, unhealthy: [], error: '' }),
  }
}

function getKey(guest: Guest, parameters: Parameters) {
  const algorithm = readAlgorithm(text(parameters, 'algorithm'))
  const name = { domain: text(parameters, 'domain'), algorithm }
  const { k256Key, k256Signature } = requireKeys(guest)
  const { key, publicKey } = deriveGuestKeyV1(k256Key, name)
  return {
    key: toHex(key),
    public_key: toHex(publicKey),
    signature_chain: [
      toHex(signK256(k256Key, guestKeyClaimV1(name, publicKey))),
      toHex(k256Signature),
    ],
  }
}

/** No default and no alias, unlike v0. */
function readAlgorithm(name: string): GuestKeyAlgorithm {
  if (name === 'secp256k1' || name === 'ed25519') return name
  throw new RangeError('unsupported algorithm, expected secp256k1 or ed25519')
}

function attestGpu(parameters: Parameters): never {
  if (bytes(parameters, 'nonce').length !== 32) throw new RangeError('nonce must be 32 bytes')
  throw new Error('GPU attestation failed: this machine has no GPU')
}

function describeApp(guest: Guest, hidesDocuments: boolean) {
  const { compose, name } = readCompose(guest)
  const document = (content: string) => (hidesDocuments ? '' : content)
  return {
    ...identify(guest).identity,
    app_name: name,
    app_compose: document(compose),
    vm_config: document(guest.cvm.vmConfig),
    key_provider_info: document(readKeyProvider(guest)),
    cloud_vendor: '',
    cloud_product: '',
  }
}
