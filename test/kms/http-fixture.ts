/** Raw HTTPS to a KMS, with any client certificate: what a peer can do, not what our client does. */
import { type Agent, request } from 'node:https'

import { p256 } from '@noble/curves/nist.js'

import {
  type CertificateAuthority,
  extensionIds,
  issueLeaf,
  issueSelfSigned,
  issueTempCa,
  keyToPem,
  type LeafRequest,
  toPem,
} from '../../src/kms/certificates/certificate.ts'
import { certificateReportData } from '../../src/kms/certificates/ratls.ts'
import { encodeSpki } from '../../src/kms/keys/derive.ts'
import type { KmsSecrets } from '../../src/kms/keys/key-store.ts'
import type { RunningKms } from '../../src/kms/service.ts'
import { at } from './fixture.ts'

export interface Asked {
  readonly path: string
  readonly method?: 'GET' | 'POST'
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array
  /** Keeps the connection for the next question. */
  readonly agent?: Agent
  readonly identity?: { readonly key: Uint8Array; readonly certificate: Uint8Array }
}

export interface Answered {
  readonly status: number
  readonly type: string | undefined
  readonly code: string | undefined
  readonly version: string | undefined
  readonly body: Buffer
  readonly text: string
}

export function ask(kms: Pick<RunningKms, 'url'>, asked: Asked): Promise<Answered> {
  const { path, method = 'POST', headers = {}, body = '', identity, agent = false } = asked
  return new Promise((resolve, reject) => {
    const outgoing = request(
      new URL(path, kms.url),
      {
        method,
        headers,
        agent,
        rejectUnauthorized: false,
        ...(identity ? { key: keyToPem(identity.key), cert: toPem(identity.certificate) } : {}),
      },
      (incoming) => {
        const chunks: Buffer[] = []
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const whole = Buffer.concat(chunks)
          const header = (name: string) => incoming.headers[name]?.toString()
          resolve({
            status: incoming.statusCode ?? 0,
            type: header('content-type'),
            code: header('x-assent-error'),
            version: header('x-app-version'),
            body: whole,
            text: whole.toString('utf8'),
          })
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

export const json = { 'content-type': 'application/json' }

/** GetAppKey in JSON with this certificate: status, code and the error's words. */
export async function askForKeys(kms: RunningKms, identity: Asked['identity'], vmConfig = '') {
  const answer = await ask(kms, {
    path: '/prpc/GetAppKey?json',
    headers: json,
    body: JSON.stringify({ api_version: 1, vm_config: vmConfig }),
    ...(identity ? { identity } : {}),
  })
  const { error } = JSON.parse(answer.text) as { error?: string }
  return { status: answer.status, code: answer.code, error }
}

export interface MintOptions {
  readonly issuer?: CertificateAuthority
  /** VersionedAttestation over the certificate's report data. */
  readonly attestation?: (reportData: Uint8Array) => Uint8Array
  readonly extensions?: (reportData: Uint8Array) => ReadonlyMap<string, Uint8Array>
}

/** A client certificate as newer guests make it: signed by its own key. */
export async function mintSelfIssued(
  attestation?: (reportData: Uint8Array) => Uint8Array,
  changed: Partial<LeafRequest> = {},
) {
  const key = p256.utils.randomSecretKey()
  const carried = new Map(changed.extensions)
  const reportData = certificateReportData(encodeSpki(key))
  if (attestation) carried.set(extensionIds.attestation, attestation(reportData))
  const leaf = { commonName: 'RA-TLS TEMP Cert', ...changed, extensions: carried }
  return { key, certificate: await issueSelfSigned(key, leaf, at) }
}

/** A client certificate as anyone can mint it with the temp CA's public private key. */
export async function mint(keys: KmsSecrets, { issuer, attestation, extensions }: MintOptions) {
  const key = p256.utils.randomSecretKey()
  const spki = encodeSpki(key)
  const tempCa = { key: keys.tempCa, certificate: await issueTempCa(keys.tempCa) }
  const reportData = certificateReportData(spki)
  const carried = new Map(extensions?.(reportData))
  if (attestation) carried.set(extensionIds.attestation, attestation(reportData))
  const leaf = { spki, commonName: 'RA-TLS TEMP Cert', extensions: carried }
  return { key, certificate: await issueLeaf(issuer ?? tempCa, leaf, at) }
}
