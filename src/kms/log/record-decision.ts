/**
 * What the KMS tells its release log: every decision, before anyone hears of it.
 *
 * The log itself may live in another process; all that is needed of it is here.
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

/** The log as the KMS sees it. */
export interface LogSink extends Pick<ReleaseLog, 'append'> {
  /**
   * @param onboardingNode a machine that wants the root keys: one that is named as a witness and was not seen yet may
   * get them while witnesses are missing
   * @throws KMS_LOG_ROLLED_BACK, KMS_LOG_FORKED, KMS_LOG_UNWITNESSED, KMS_LOG_HALTED: nothing may be released
   */
  requireReleasable(onboardingNode?: OnboardingNode): void
}

export interface DecisionRecorder {
  requireReleasable: LogSink['requireReleasable']
  /** That this node itself may serve: written down once a block. @throws KMS_LOG_UNWRITABLE */
  recordSelf(self: ApprovedBoot): Promise<void>
  /** @throws KMS_LOG_UNWRITABLE: then the decision must not leave */
  record(decision: ApprovedEntry): Promise<void>
  /** A denial of someone whose quote holds; of others only the number is kept. */
  refuse(refusal: DeniedEntry): Promise<void>
  /** Writes down what was only counted so far. */
  settle(): Promise<void>
}

export interface ApprovedBoot {
  readonly boot: ProvenBoot
  readonly approval: AllowedBoot
}

export type ApprovedEntry = ApprovedBoot &
  (
    | { readonly kind: 'release' | 'handover'; readonly method: string }
    | { readonly kind: 'certificate'; readonly method: string; readonly certificate: Uint8Array }
  )

export interface DeniedEntry {
  readonly method: string
  readonly error: AssentError
  readonly boot?: ProvenBoot | undefined
}

/** Proofs of denials that are kept a minute, so that nobody fills the disk by being denied. */
const denialProofsPerMinute = 30

export function createDecisionRecorder(sink: LogSink, clock: Clock): DecisionRecorder {
  let counts: Record<string, number> = {}
  let since = clock()
  let lastSelf: { readonly block: string; readonly written: Promise<void> } | undefined
  const waitForProof = createRateLimit({ perMinute: denialProofsPerMinute })
  return {
    requireReleasable: (onboardingNode) => sink.requireReleasable(onboardingNode),
    recordSelf: ({ boot, approval }) => {
      const { hash: block } = approval.block
      if (lastSelf?.block === block) return lastSelf.written
      const { evidence } = approval
      const entry: Entry = { kind: 'self', ...subjectOf(boot, approval) }
      const written = sink.append(entry, evidence && storedEvidence(evidence))
      const standing = { block, written }
      lastSelf = standing
      written.catch(() => {
        if (lastSelf === standing) lastSelf = undefined
      })
      return written
    },
    record: (decided) => {
      const { evidence } = decided.approval
      return sink.append(entryOf(decided), evidence && storedEvidence(evidence))
    },
    refuse: async ({ method, error, boot }) => {
      if (boot === undefined) {
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
        // the words of an app's contract are bounded where they are read, and here once more
        ...(typeof reason === 'string' ? { reason: reason.slice(0, 200) } : {}),
        ...attestedFields(boot),
        ...(decision ? { block: loggedBlock(decision.block) } : {}),
        proof: evidence ? storedEvidence(evidence).digest : null,
      }
      await sink.append(entry, evidence && storedEvidence(evidence))
    },
    settle: async () => {
      if (Object.keys(counts).length === 0) return
      const entry: Entry = { kind: 'denials', since, counts }
      counts = {}
      since = clock()
      await sink.append(entry)
    },
  }
}

/** For a KMS that keeps no log: nothing proves later what it released. */
export const insecureNoRecorder: DecisionRecorder = {
  requireReleasable: () => {},
  recordSelf: async () => {},
  record: async () => {},
  refuse: async () => {},
  settle: async () => {},
}

function entryOf(decided: ApprovedEntry): Entry {
  const { method, boot, approval } = decided
  const subject = { method, ...subjectOf(boot, approval) }
  switch (decided.kind) {
    case 'release':
      return { kind: decided.kind, ...subject, epochs: approval.epochs ?? null }
    case 'certificate':
      return { kind: decided.kind, ...subject, certificate: toHex(sha256(decided.certificate)) }
    case 'handover':
      return { kind: decided.kind, ...subject }
  }
}

export function subjectOf(boot: ProvenBoot, approval: AllowedBoot): Omit<EntrySubject, 'method'> {
  return {
    ...attestedFields(boot),
    block: loggedBlock(approval.block),
    proof: approval.evidence ? storedEvidence(approval.evidence).digest : null,
  }
}

function attestedFields(boot: ProvenBoot): Pick<EntrySubject, 'quote' | 'boot'> {
  const { bootInfo, mustBeApproved } = boot
  const unmeasured = mustBeApproved && { mustBeApproved: toHex(mustBeApproved) }
  return { quote: boot.quoteDigest, boot: { ...loggedBoot(bootInfo), ...unmeasured } }
}
