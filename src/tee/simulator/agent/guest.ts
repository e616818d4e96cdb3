/** Shared by both versions of the guest API: the CVM, its certificate issuer and its dstack release. */
import { sha256 } from '@noble/hashes/sha2.js'

import { concatBytes, toHex } from '../../../lib/bytes.ts'
import { mrAggregated } from '../../../quote/measurements/measure.ts'
import { parseQuote, type TdReport } from '../../../quote/parse.ts'
import type { GuestAppKeys, SimulatedCvm } from '../cvm.ts'
import type { CertificateIssuer } from './issue.ts'
import { bytes, type Parameters } from './transport.ts'

/** The release of dstack whose agent is simulated: 0.5 has API v0 only, 0.6 has v0 and v1. */
export type GuestRelease = '0.5' | '0.6'

/** The CVM behind a simulated agent. */
export interface Guest {
  /** Gives quotes and events. */
  readonly cvm: SimulatedCvm
  /** Signs certificates; undefined if the app has neither a KMS nor a CA. */
  readonly issuer: CertificateIssuer | undefined
  /** Decides which versions of the API exist. */
  readonly release: GuestRelease
}

/** Answer of `Version`, the same in both versions of the API. */
export function describeVersion({ release }: Guest) {
  return { version: release === '0.5' ? '0.5.11' : '0.6.0', rev: 'assent-simulator' }
}

/** Report data, padded with zeros to 64 bytes as the real agent does. Assent always sends 64 bytes. */
export function readReportData(parameters: Parameters): Uint8Array {
  const given = bytes(parameters, 'report_data')
  if (given.length > 64) throw new RangeError('Report data must be at most 64 bytes')
  return concatBytes(given, new Uint8Array(64 - given.length))
}

/** @throws Error before the CVM has its keys */
export function requireKeys({ cvm }: Guest): GuestAppKeys {
  if (cvm.keys === undefined) throw new Error('The app has no keys yet')
  return cvm.keys
}

/** Identity of the app, as hex. */
export interface AppIdentity {
  /** 20 bytes. */
  readonly app_id: string
  /** 20 bytes. */
  readonly instance_id: string
  /** 32 bytes. */
  readonly compose_hash: string
  readonly os_image_hash: string
  readonly mr_aggregated: string
  /** 32 bytes. */
  readonly device_id: string
}

/** Identity and the current TD report. */
export function identify({ cvm }: Guest): { identity: AppIdentity; report: TdReport } {
  const { report } = parseQuote(cvm.quote(new Uint8Array(64)))
  const identity = {
    app_id: toHex(cvm.appId),
    instance_id: toHex(cvm.instanceId),
    compose_hash: toHex(cvm.composeHash),
    os_image_hash: toHex(cvm.image.osImageHash),
    mr_aggregated: toHex(mrAggregated(report, report.rtmrs[3])),
    // the agent does not verify its own quote, so it does not know the PPID
    device_id: toHex(sha256(new Uint8Array())),
  }
  return { identity, report }
}

/** Text of the manifest, the app's name, and if the agent may show both outside the CVM (`public_tcbinfo`). */
export function readCompose({ cvm }: Guest): { compose: string; name: string; isPublic: boolean } {
  const compose = new TextDecoder().decode(cvm.compose)
  try {
    const members = JSON.parse(compose) as { name?: unknown; public_tcbinfo?: unknown }
    return {
      compose,
      name: String(members.name ?? ''),
      isPublic: members.public_tcbinfo === true,
    }
  } catch {
    // a compose file that is not JSON is measured too; it has no members
    return { compose, name: '', isPublic: false }
  }
}

/** Payload of the event `key-provider`, as JSON text; empty before the CVM has keys. */
export function readKeyProvider({ cvm }: Guest): string {
  const event = cvm.events.find(({ name }) => name === 'key-provider')
  return new TextDecoder().decode(event?.payload)
}
