/** What a node writes down. Every field is public or already known to whoever was answered; nothing is secret. */
import type { DecisionBlock, KeyEpochs } from '../../chain/boot.ts'
import { toHex } from '../../lib/bytes.ts'
import type { BootInfo } from '../../quote/measurements/measure.ts'

/** What a quote proved about a boot, as the chain was asked about it. */
export interface LoggedBoot {
  readonly appId: string
  readonly composeHash: string
  readonly instanceId: string
  readonly deviceId: string
  readonly mrAggregated: string
  readonly mrSystem: string
  readonly osImageHash: string
  readonly tcbStatus: string
  readonly advisoryIds: readonly string[]
  /** Registers that the chain had to have approved for the image, which could not be measured. */
  readonly mustBeApproved?: string
}

export interface LoggedBlock {
  readonly number: string
  readonly hash: string
  readonly timestamp: number
}

/** Whom the entry is about and on what grounds. */
export interface EntrySubject {
  readonly method: string
  /** SHA-256 of the quote. */
  readonly quote: string
  readonly boot: LoggedBoot
  readonly block: LoggedBlock
  /** Digest of the chain's proofs, or null where an endpoint was believed. */
  readonly proof: string | null
}

export type Entry =
  /** The node began to serve; the attestation proves which CVM holds the log's key. */
  | { readonly kind: 'opened'; readonly version: string; readonly attestation: string }
  | { readonly kind: 'closed' }
  /** Files before this one were dropped, as the settings say; the entries before `entries` are in none any more. */
  | {
      readonly kind: 'archived'
      readonly segments: number
      readonly entries: number
    }
  /** An append was cut off before anyone was answered; so much was dropped. */
  | { readonly kind: 'recovered'; readonly bytes: number; readonly digest: string }
  /** The root keys were made here, or came from another node. */
  | { readonly kind: 'bootstrapped'; readonly caPublicKey: string; readonly k256PublicKey: string }
  | {
      readonly kind: 'onboarded'
      readonly caPublicKey: string
      readonly k256PublicKey: string
      readonly source: Omit<EntrySubject, 'method'>
    }
  /** This node itself was allowed to serve; once a block, before what it decides at it. */
  | (Omit<EntrySubject, 'method'> & { readonly kind: 'self' })
  /** Epochs as the chain counts them; null where it knows none, and the keys are those of the first. */
  | (EntrySubject & { readonly kind: 'release'; readonly epochs: KeyEpochs | null })
  /** The root keys were given to a replica. */
  | (EntrySubject & { readonly kind: 'handover' })
  | (EntrySubject & { readonly kind: 'certificate'; readonly certificate: string })
  | (Partial<EntrySubject> & {
      readonly kind: 'denial'
      readonly method: string
      readonly code: string
      readonly reason?: string
    })
  /** Denials of callers that proved nothing, counted, so that they cannot fill the disk. */
  | {
      readonly kind: 'denials'
      readonly since: number
      readonly counts: Readonly<Record<string, number>>
    }
  /** Another node's head, as this node saw it. */
  | {
      readonly kind: 'peer'
      readonly node: string
      readonly publicKey: string
      readonly head: {
        readonly entries: number
        readonly chain: string
        readonly at: number
        readonly signature: string
      }
    }

export function loggedBoot(boot: BootInfo): LoggedBoot {
  return {
    appId: toHex(boot.appId),
    composeHash: toHex(boot.composeHash),
    instanceId: toHex(boot.instanceId),
    deviceId: toHex(boot.deviceId),
    mrAggregated: toHex(boot.mrAggregated),
    mrSystem: toHex(boot.mrSystem),
    osImageHash: toHex(boot.osImageHash),
    tcbStatus: boot.tcbStatus,
    advisoryIds: boot.advisoryIds,
  }
}

export function loggedBlock({ number, hash, timestamp }: DecisionBlock): LoggedBlock {
  return { number: String(number), hash, timestamp }
}
