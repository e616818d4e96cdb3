/**
 * Entries of the release log. Every field is public, or known to the caller that got the answer; nothing is secret.
 * Bytes are lower-case hex.
 */
import type { DecisionBlock, KeyEpochs } from '../../chain/boot/boot.ts'
import { toHex } from '../../lib/bytes.ts'
import type { BootInfo } from '../../quote/measurements/measure.ts'

/** The facts of a boot that its quote proved and that the chain was asked about. */
export interface LoggedBoot {
  /** 20 bytes, hex. */
  readonly appId: string
  /** 32 bytes, hex. */
  readonly composeHash: string
  /** 20 bytes, hex; empty for an app without instance ids. */
  readonly instanceId: string
  /** 32 bytes, hex. */
  readonly deviceId: string
  /** 32 bytes, hex. */
  readonly mrAggregated: string
  /** 32 bytes, hex. */
  readonly mrSystem: string
  /** 32 bytes, hex. */
  readonly osImageHash: string
  /** By Intel's names. */
  readonly tcbStatus: string
  /** Such as `INTEL-SA-00837`. */
  readonly advisoryIds: readonly string[]
  /**
   * `requiredMrSystem` of the decision, 32 bytes as hex: the mr_system that the chain had to have approved, for an image
   * that the KMS could not verify itself.
   */
  readonly mustBeApproved?: string
}

/** The block of a decision; its timestamp is in Unix seconds. */
export interface LoggedBlock {
  /** Decimal text. */
  readonly number: string
  /** `0x` and 64 hexadecimal digits. */
  readonly hash: string
  /** Unix seconds. */
  readonly timestamp: number
}

/** The boot that an entry is about, and the block and evidence of the decision. */
export interface EntrySubject {
  /** RPC method. */
  readonly method: string
  /** SHA-256 of the quote. */
  readonly quote: string
  /** Facts that the quote proves. */
  readonly boot: LoggedBoot
  /** Block at which the chain decided. */
  readonly block: LoggedBlock
  /** Digest of the inclusion evidence; null if one endpoint was trusted without proofs. */
  readonly proof: string | null
}

/**
 * One entry of the release log; docs/release-log.md has a table of all kinds. A verifier counts entries of a kind that
 * it does not know and does not judge them.
 */
export type Entry =
  /** The node started. The attestation proves which CVM holds the log's key. */
  | { readonly kind: 'opened'; readonly version: string; readonly attestation: string }
  | { readonly kind: 'closed' }
  /** Older segments were deleted, as configured: those before `segments`, with all entries before `entries`. */
  | {
      readonly kind: 'archived'
      readonly segments: number
      readonly entries: number
    }
  /** An append was interrupted before its request was answered. So many bytes were dropped. */
  | { readonly kind: 'recovered'; readonly bytes: number; readonly digest: string }
  /** The root keys were created here. */
  | { readonly kind: 'bootstrapped'; readonly caPublicKey: string; readonly k256PublicKey: string }
  | {
      readonly kind: 'onboarded'
      readonly caPublicKey: string
      readonly k256PublicKey: string
      readonly source: Omit<EntrySubject, 'method'>
    }
  /** The chain allowed this node to serve: once per block, before the node's decisions at that block. */
  | (Omit<EntrySubject, 'method'> & { readonly kind: 'self' })
  /** App keys were released. `epochs` is null if the app contract has none: the keys are those of the first epoch. */
  | (EntrySubject & { readonly kind: 'release'; readonly epochs: KeyEpochs | null })
  /** The root keys were sent to a replica. */
  | (EntrySubject & { readonly kind: 'handover' })
  | (EntrySubject & { readonly kind: 'certificate'; readonly certificate: string })
  | (Partial<EntrySubject> & {
      readonly kind: 'denial'
      readonly method: string
      readonly code: string
      readonly reason?: string
    })
  /** Denials of callers without a valid quote, only counted, so that they cannot fill the disk. `since`: Unix seconds. */
  | {
      readonly kind: 'denials'
      readonly since: number
      readonly counts: Readonly<Record<string, number>>
    }
  /** The head of another node's log, as this node received it. */
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

/** The part of a boot info that entries contain. */
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

/** A block as entries contain it. */
export function loggedBlock({ number, hash, timestamp }: DecisionBlock): LoggedBlock {
  return { number: String(number), hash, timestamp }
}
