/**
 * The release log in a worker. Only one process of a node writes, so the node has one hash chain.
 *
 * The writer decides at each append if keys may be released. The status that it sends to workers only saves them work
 * that would be refused.
 */
import { join } from 'node:path'
import type { TriePath } from '../../chain/boot/evidence.ts'
import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Entry } from '../log/entry.ts'
import { systemDisk } from '../log/file-system.ts'
import type { LogStatus, NodeLog } from '../log/node-log.ts'
import { openSealedSegment, segmentName } from '../log/segment.ts'
import type { StoredEvidence } from '../log/stored-evidence.ts'
import { isExpectedReplica } from '../log/witness.ts'
import { type Channel, describe, type Handlers, revive } from './channel.ts'

/** Status of the log, sent by the writer to all workers. */
export interface LogStatusMessage {
  /** State at the time of sending. */
  readonly status: LogStatus
  /** Why no keys may be released; undefined if they may. */
  readonly failure: ReturnType<typeof describe> | undefined
}

interface Append {
  readonly entry: Entry
  /** Id of the evidence. */
  readonly part: string | undefined
  /** Name of the last light-client message in it; undefined: it has none. */
  readonly signed: Hex | undefined
  /** The evidence without its messages, if the writer asked for it: most of the time it has it already. */
  readonly evidence?: StoredEvidence
  /** The messages, which are large and which all decisions at one block share, if the writer asked for them. */
  readonly signatures?: TriePath
}

type Appended = 'written' | { readonly wanted: readonly ('evidence' | 'signatures')[] }

/** Time between two reports of the writer's status. */
export const statusEveryMs = 1_000
/** Without a status for this time, a worker releases nothing. */
const statusMaxAgeMs = 10_000
/** Evidence of this many blocks and apps is kept by the writer. */
const evidenceKept = 256
/** Light-client messages of this many blocks are kept by the writer: workers can be at different blocks. */
const signaturesKept = 16

/** The writer's side: handlers for the channel. */
export function serveLog(
  log: NodeLog,
): Handlers & { readonly readLogStatus: () => LogStatusMessage } {
  const known = new Map<string, StoredEvidence>()
  const remember = (evidence: StoredEvidence) => {
    known.delete(evidence.part)
    known.set(evidence.part, evidence)
    if (known.size > evidenceKept) known.delete(known.keys().next().value ?? '')
    return evidence
  }
  const signaturesByName = new Map<Hex, TriePath>()
  const rememberSignatures = (name: Hex, signatures: TriePath) => {
    signaturesByName.set(name, signatures)
    const [oldest] = signaturesByName.keys()
    if (oldest !== undefined && signaturesByName.size > signaturesKept) {
      signaturesByName.delete(oldest)
    }
  }
  const append = async (asked: Append): Promise<Appended> => {
    const { entry, part, signed } = asked
    if (part === undefined) {
      await log.append(entry)
      return 'written'
    }
    if (signed !== undefined && asked.signatures) rememberSignatures(signed, asked.signatures)
    const evidence = known.get(part) ?? asked.evidence
    if (evidence === undefined) {
      const hasSignatures = signed === undefined || signaturesByName.has(signed)
      return { wanted: hasSignatures ? ['evidence'] : ['evidence', 'signatures'] }
    }
    const signatures = signed === undefined ? [] : signaturesByName.get(signed)
    // an entry never refers to messages that the log does not have
    if (signatures === undefined) return { wanted: ['evidence', 'signatures'] }
    await log.append(entry, remember({ ...evidence, signatures }))
    return 'written'
  }
  return {
    append,
    answer: (nonce: string) => log.answer(nonce),
    digests: (from: number) => log.digests(from),
    readLogStatus: () => ({ status: log.status(), failure: failureOf(log) }),
  }
}

function failureOf(log: NodeLog): LogStatusMessage['failure'] {
  try {
    log.requireReleasable()
    return undefined
  } catch (error) {
    return describe(error)
  }
}

/** The log in a worker. */
export interface RemoteLog extends NodeLog {
  /** Stores a status from the writer. */
  update(message: LogStatusMessage): void
}

/**
 * The worker's side.
 *
 * @param folder folder of the segments, which workers read themselves
 * @param first the status at the worker's start
 * @param now monotonic milliseconds
 */
export function remoteLog(
  channel: Channel,
  folder: string,
  first: LogStatusMessage,
  now: () => number = () => performance.now(),
): RemoteLog {
  let latest = first
  let receivedAt = now()
  return {
    update: (fresh) => {
      latest = fresh
      receivedAt = now()
    },
    requireReleasable: (onboardingNode) => {
      const isExpected = isExpectedReplica(latest.status.expectedDevices, onboardingNode)
      const { failure } = latest
      if (failure && !(isExpected && failure.code === 'KMS_LOG_UNWITNESSED')) throw revive(failure)
      if (now() - receivedAt <= statusMaxAgeMs) return
      throw new AssentError(
        'KMS_LOG_UNWRITABLE',
        'The process that writes the log does not answer.',
      )
    },
    append: async (entry, evidence) => {
      const question = { entry, part: evidence?.part, signed: evidence?.signatures.at(-1)?.[0] }
      const appended = await channel.ask<Appended>('append', question)
      if (appended === 'written' || evidence === undefined) return
      const { signatures } = evidence
      const again = await channel.ask<Appended>('append', {
        ...question,
        evidence: { ...evidence, signatures: [] },
        ...(appended.wanted.includes('signatures') ? { signatures } : {}),
      })
      if (again === 'written') return
      // other workers displaced the messages meanwhile
      await channel.ask('append', { ...question, evidence, signatures })
    },
    answer: (nonce) => channel.ask<string>('answer', nonce),
    digests: async (from) => new Uint8Array(await channel.ask<Uint8Array>('digests', from)),
    segment: async (number) => {
      const { segments, bytes } = (await channel.ask<LogStatusMessage>('readLogStatus')).status
      if (number >= segments) return undefined
      // the worker reads the file itself; the newest one only as far as the writer has sealed it
      const path = join(folder, segmentName(number))
      const sealedBytes = number === segments - 1 ? bytes : undefined
      return openSealedSegment({ disk: systemDisk, path }, sealedBytes)
    },
    status: () => latest.status,
  }
}
