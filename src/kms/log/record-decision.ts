/**
 * Writes every decision of the KMS to the release log, before the decision is sent.
 *
 * The log may be in another process; `LogSink` is all that this file needs of it.
 */
import type { AssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { createRateLimit } from '../../lib/rate-limit.ts'
import { type AllowedBoot, decisionBehind } from '../authorization/authorize.ts'
import type { ProvenBoot } from '../authorization/verify-attestation.ts'
import { type Entry, type EntrySubject, loggedBlock, loggedBoot } from './entry.ts'
import { sha256 } from './format.ts'
import { storedEvidence } from './stored-evidence.ts'
import type { OnboardingNode } from './witness.ts'
import type { ReleaseLog } from './writer.ts'

/** The part of the release log that the recorder uses. */
export interface LogSink extends Pick<ReleaseLog, 'append'> {
  /**
   * Checks that keys may be released: the log is intact and enough witnesses confirmed it.
   *
   * @param onboardingNode a node that asks for the root keys. A configured witness that was never seen may get them
   * while witnesses are missing.
   * @throws KMS_LOG_ROLLED_BACK, KMS_LOG_FORKED, KMS_LOG_UNWITNESSED, KMS_LOG_HALTED
   */
  requireReleasable(onboardingNode?: OnboardingNode): void
}

/** Records decisions. If a method throws, the decision must not be sent. */
export interface DecisionRecorder {
  requireReleasable: LogSink['requireReleasable']
  /** Records that the chain allows this node itself, once per block. @throws KMS_LOG_UNWRITABLE */
  recordSelf(self: AllowedDecision): Promise<void>
  /** A release, a handover or a certificate. @throws KMS_LOG_UNWRITABLE */
  record(decision: AllowedEntry): Promise<void>
  /** A denial. Callers without a valid quote, and too many denials in a minute, are only counted. @throws KMS_LOG_UNWRITABLE */
  recordDenial(denial: DeniedEntry): Promise<void>
  /** Appends the counts of denials since the last call. @throws KMS_LOG_UNWRITABLE */
  writeDenialCounts(): Promise<void>
}

/** A verified boot and the answer of the chain that it is allowed. */
export interface AllowedDecision {
  /** Facts that the quote proves. */
  readonly boot: ProvenBoot
  /** The chain's decision with its block and evidence. */
  readonly allowed: AllowedBoot
}

/** An approved decision; `certificate` is DER. */
export type AllowedEntry = AllowedDecision &
  (
    | { readonly kind: 'release' | 'handover'; readonly method: string }
    | { readonly kind: 'certificate'; readonly method: string; readonly certificate: Uint8Array }
  )

/** A denial. */
export interface DeniedEntry {
  /** RPC method. */
  readonly method: string
  /** Why the request was denied. */
  readonly error: AssentError
  /** Undefined if the caller has no valid quote. */
  readonly boot?: ProvenBoot | undefined
}

/**
 * Denials per minute that get an entry of their own, for all callers and for one host; the others are only counted. With
 * less than 1 KB for an entry, denied callers write at most 90 MB a day. Of these, some are stored with evidence.
 */
const denialsPerMinute = 60
const denialsPerHost = 20
const denialProofsPerMinute = 30

/** @param clock Unix seconds */
export function createDecisionRecorder(sink: LogSink, clock: Clock): DecisionRecorder {
  let counts: Record<string, number> = {}
  let since = clock()
  let lastSelf: { readonly block: string; readonly written: Promise<void> } | undefined
  const waitForProof = createRateLimit({ perMinute: denialProofsPerMinute })
  const waitForEntry = createRateLimit({ perMinute: denialsPerMinute })
  const waitForHost = createRateLimit({ perMinute: denialsPerHost })
  const isCountedOnly = (boot: ProvenBoot) =>
    waitForHost(toHex(boot.bootInfo.deviceId)) > 0 || waitForEntry('denials') > 0
  return {
    requireReleasable: (onboardingNode) => sink.requireReleasable(onboardingNode),
    recordSelf: ({ boot, allowed }) => {
      const { hash: block } = allowed.block
      if (lastSelf?.block === block) return lastSelf.written
      const { evidence } = allowed
      const entry: Entry = { kind: 'self', ...subjectOf(boot, allowed) }
      const written = sink.append(entry, evidence && storedEvidence(evidence))
      const standing = { block, written }
      lastSelf = standing
      written.catch(() => {
        if (lastSelf === standing) lastSelf = undefined
      })
      return written
    },
    record: (decided) => {
      const { evidence } = decided.allowed
      return sink.append(entryOf(decided), evidence && storedEvidence(evidence))
    },
    recordDenial: async ({ method, error, boot }) => {
      if (boot === undefined || isCountedOnly(boot)) {
        const code = `${method} ${error.code}`
        counts[code] = (counts[code] ?? 0) + 1
        return
      }
      const { reason } = error.facts
      const decision = decisionBehind(error)
      const evidence = waitForProof('denials') === 0 ? decision?.evidence : undefined
      const entry: Entry = {
        kind: 'denial',
        method,
        code: error.code,
        // reasons of app contracts are limited where they are read, and here again
        ...(typeof reason === 'string' ? { reason: reason.slice(0, 200) } : {}),
        ...attestedFields(boot),
        ...(decision ? { block: loggedBlock(decision.block) } : {}),
        proof: evidence ? storedEvidence(evidence).digest : null,
      }
      await sink.append(entry, evidence && storedEvidence(evidence))
    },
    writeDenialCounts: async () => {
      if (Object.keys(counts).length === 0) return
      const entry: Entry = { kind: 'denials', since, counts }
      counts = {}
      since = clock()
      await sink.append(entry)
    },
  }
}

/** For a KMS without a release log: nothing proves later which keys it released. */
export const insecureNoRecorder: DecisionRecorder = {
  requireReleasable: () => {},
  recordSelf: async () => {},
  record: async () => {},
  recordDenial: async () => {},
  writeDenialCounts: async () => {},
}

function entryOf(decided: AllowedEntry): Entry {
  const { method, boot, allowed } = decided
  const subject = { method, ...subjectOf(boot, allowed) }
  switch (decided.kind) {
    case 'release':
      return { kind: decided.kind, ...subject, epochs: allowed.epochs ?? null }
    case 'certificate':
      return { kind: decided.kind, ...subject, certificate: toHex(sha256(decided.certificate)) }
    case 'handover':
      return { kind: decided.kind, ...subject }
  }
}

/** The common fields of entries about an approved boot. */
export function subjectOf(boot: ProvenBoot, allowed: AllowedBoot): Omit<EntrySubject, 'method'> {
  return {
    ...attestedFields(boot),
    block: loggedBlock(allowed.block),
    proof: allowed.evidence ? storedEvidence(allowed.evidence).digest : null,
  }
}

function attestedFields(boot: ProvenBoot): Pick<EntrySubject, 'quote' | 'boot'> {
  const { bootInfo, requiredMrSystem } = boot
  const unmeasured = requiredMrSystem && { mustBeApproved: toHex(requiredMrSystem) }
  return { quote: boot.quoteDigest, boot: { ...loggedBoot(bootInfo), ...unmeasured } }
}
