/**
 * Witnesses: replicas remember the longest head that they saw of each other's logs.
 *
 * A node cannot detect alone that its disk was rolled back or that a copy of it runs. It asks the witnesses, with a
 * nonce, for the head of its log that they know. If that head is longer than its log or differs, the node stops
 * permanently.
 *
 * Witnesses are counted by the key that signs, not by address: several names of one replica count once.
 */
import { randomBytes } from 'node:crypto'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { equalBytes, toHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { nextChain } from './format.ts'
import type { Position } from './head-file.ts'
import { isSealedBy } from './key.ts'
import {
  type HeadAnswer,
  headToJson,
  type KnownLog,
  maxKnownLogs,
  readAnswer,
} from './witness-response.ts'
import type { ReleaseLog } from './writer.ts'

/** Client of one witness. A call ends when its signal is aborted. */
export interface WitnessClient {
  /** `https://host:port` of the replica. */
  readonly url: string
  /** The text of a signed answer; see witness-response.ts. */
  head(nonce: string, signal?: AbortSignal): Promise<string>
  /** Digests of its entries from this number on, concatenated: as many as fit in one answer. */
  digests(from: number, signal?: AbortSignal): Promise<Uint8Array>
}

/** A witness in the settings. */
export interface WitnessNode {
  /** `https://host:port` of the replica. */
  readonly url: string
  /** Name of its log. An answer with another name does not count. Undefined accepts any name. */
  readonly node?: string | undefined
  /** Device id of its host, hex. It may get the root keys while witnesses are missing. */
  readonly device?: string | undefined
}

/** A node that asks to become a replica: the device id of its quote, or a caller without a quote so far. */
export type OnboardingNode = { readonly device: string } | 'caller-unknown'

/** The witnesses, and how many of them must answer. */
export interface WitnessRules {
  readonly witnesses: readonly (WitnessNode & { readonly peer: WitnessClient })[]
  /** Number of witnesses that must have answered within `maxAgeSeconds`, or no keys are released. */
  readonly atLeast: number
  /** How long the answer of a witness counts. */
  readonly maxAgeSeconds: number
}

/** Dependencies of witnessing. */
export interface WitnessParts {
  /** Monotonic seconds: the host can change the wall clock. */
  readonly uptime: Clock
  readonly logger: Logger
  /** Logs that were known before a restart. */
  readonly known?: readonly KnownLog[]
  /** Called immediately if this node's own log was rolled back or forked: the node must stop. */
  readonly halt: (error: AssentError) => Promise<void>
  /** Time limit for all questions to one witness in one round. */
  readonly turnMs?: number
}

/** Detects a rollback or fork of this node's log by comparing heads with its replicas. */
export interface Witness {
  /** The newest known head of each other log. */
  readonly seen: () => readonly KnownLog[]
  /** Asks all witnesses once, in parallel. A witness that is still being asked is not asked again. */
  ask(): Promise<void>
  /** Checks that enough witnesses confirmed the log recently. @throws KMS_LOG_UNWITNESSED */
  requireWitnessed(): void
  /** Device ids of configured witnesses that never answered. */
  readonly expectedDevices: () => readonly string[]
  /** How often another node's log was found rolled back or forked. */
  readonly faults: () => number
}

const defaultTurnMs = 20_000

/** A known log, and the number of the last question that was open when its head was stored. */
interface FollowedLog extends KnownLog {
  readonly turn: number
}

/** Tells if an error stops the node permanently: a restart cannot repair it. */
export function isPermanentFailure(error: unknown): error is AssentError {
  const codes = ['KMS_LOG_ROLLED_BACK', 'KMS_LOG_FORKED', 'KMS_LOG_BROKEN', 'KMS_LOG_CUT']
  return isAssentError(error) && codes.includes(error.code)
}

/** Tells if an onboarding node is a configured witness that never answered. */
export function isExpectedReplica(
  expectedDevices: readonly string[],
  onboardingNode: OnboardingNode | undefined,
): boolean {
  if (onboardingNode === undefined) return false
  return onboardingNode === 'caller-unknown'
    ? expectedDevices.length > 0
    : expectedDevices.includes(onboardingNode.device)
}

/**
 * Watches this node's log with the help of its witnesses, and theirs.
 *
 * Each round sends this node's head and the newest known heads of other logs to all witnesses, and checks that the
 * heads they return continue the known ones. A log that has fewer entries than before was rolled back; two different
 * heads with the same number of entries are a fork.
 *
 * @param log this node's own log
 */
export function createWitness(log: ReleaseLog, rules: WitnessRules, parts: WitnessParts): Witness {
  const { uptime, logger, known = [], halt, turnMs = defaultTurnMs } = parts
  const own = log.key.identity
  const seen = new Map<string, FollowedLog>(
    known.map((one) => [toHex(one.publicKey), { ...one, turn: 0 }]),
  )
  /** For each witness, by its key: when the question of its last confirmation was sent. */
  const confirmed = new Map<string, number>()
  /** Progress towards a peer's head that needs more than one round, for the next round. */
  const partialWalks = new Map<string, Position>()
  const asking = new Map<WitnessClient, Promise<void>>()
  let turns = 0
  let faults = 0

  async function askPeer(
    { peer, node }: WitnessNode & { peer: WitnessClient },
    signal: AbortSignal,
  ) {
    const turn = ++turns
    const askedAt = uptime()
    const nonce = randomBytes(16).toString('hex')
    const text = await raceAbort(signal, peer.head(nonce, signal))
    const answer = readAnswer(text, nonce, own.rootKey)
    const { identity } = answer
    if (equalBytes(identity.publicKey, own.publicKey)) {
      // the address leads to this process itself, or to a copy of it
      await requireOurs(answer.head)
      return
    }
    for (const one of answer.seen) {
      if (equalBytes(one.publicKey, own.publicKey) && isSealedBy(own, one.head)) {
        await requireOurs(one.head)
      }
    }
    if (node !== undefined && identity.node !== node) {
      throw new AssentError(
        'KMS_LOG_PEER_INVALID',
        `The witness ${node} answers as another node.`,
        {
          facts: { url: peer.url, expected: node, found: identity.node },
        },
      )
    }
    const id = toHex(identity.publicKey)
    if (await follow(peer, answer, turn, signal)) confirmed.set(id, askedAt)
    else confirmed.delete(id)
  }

  /** Compares a head of this node's log that another node observed with the log. */
  async function requireOurs(head: KnownLog['head']): Promise<void> {
    const { entries } = log.head()
    const facts = { entries, seen: headToJson(head) }
    if (head.entries > entries) {
      const message = 'A witness knows a longer log of this node.'
      throw new AssentError('KMS_LOG_ROLLED_BACK', message, { facts })
    }
    if (equalBytes(await log.chainAt(head.entries), head.chain)) return
    const message = 'A witness knows a different log of this node.'
    throw new AssentError('KMS_LOG_FORKED', message, { facts })
  }

  /** Stores the peer's newer head if it continues the known one. @returns false if it does not continue it */
  async function follow(
    peer: WitnessClient,
    { identity, head }: HeadAnswer,
    turn: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const id = toHex(identity.publicKey)
    const last = seen.get(id)
    // the same node gave a newer head at another address since this question was sent
    if (last !== undefined && last.head.entries > head.entries && last.turn >= turn) return true
    if (last !== undefined && !(await continues(peer, id, last.head, head, signal))) {
      // the peer detects it in our next answer; our copy of its longer head is the proof
      faults++
      const shown = { known: headToJson(last.head), shown: headToJson(head) }
      const who = { peer: peer.url, node: identity.node }
      logger.error({ ...who, ...shown }, 'the log of a replica was rolled back or forked')
      return false
    }
    const { node, publicKey } = identity
    if (last?.head.entries !== head.entries) {
      // logged before it is stored as known, so that a full disk does not lose it
      await log.append({ kind: 'peer', node, publicKey: id, head: headToJson(head) })
    }
    if ((seen.get(id)?.head.entries ?? 0) > head.entries) return true
    seen.delete(id)
    seen.set(id, { node, publicKey, head, turn: turns })
    if (seen.size > maxKnownLogs) seen.delete(seen.keys().next().value ?? '')
    return true
  }

  /** Tells if `to` continues `from`. If a round ends before, the next one continues from there. */
  async function continues(
    peer: WitnessClient,
    id: string,
    from: Position,
    to: Position,
    signal: AbortSignal,
  ): Promise<boolean> {
    const begun = partialWalks.get(id)
    const canResume = begun && begun.entries > from.entries && begun.entries <= to.entries
    let { entries, chain } = canResume ? begun : from
    partialWalks.delete(id)
    while (entries < to.entries) {
      const digests = await raceAbort(signal, peer.digests(entries, signal))
      if (digests.length < 32) return false
      for (let at = 0; at + 32 <= digests.length && entries < to.entries; at += 32) {
        chain = nextChain(chain, digests.subarray(at, at + 32))
        entries++
      }
      if (entries < to.entries) partialWalks.set(id, { entries, chain })
    }
    partialWalks.delete(id)
    return entries === to.entries && equalBytes(chain, to.chain)
  }

  async function askOne(witness: WitnessRules['witnesses'][number]): Promise<void> {
    try {
      await askPeer(witness, AbortSignal.timeout(turnMs))
    } catch (error) {
      if (isPermanentFailure(error)) await halt(error)
      else logger.warn({ peer: witness.url, err: error }, 'a witness did not answer')
    } finally {
      asking.delete(witness.peer)
    }
  }

  return {
    seen: () => [...seen.values()].map(({ node, publicKey, head }) => ({ node, publicKey, head })),
    faults: () => faults,
    expectedDevices: () => {
      const there = new Set([...seen.values()].map(({ node }) => node))
      return rules.witnesses.flatMap(({ node, device }) =>
        node === undefined || device === undefined || there.has(node) ? [] : [device],
      )
    },
    ask: async () => {
      const round = rules.witnesses.map((witness) => {
        const running = asking.get(witness.peer) ?? askOne(witness)
        asking.set(witness.peer, running)
        return running
      })
      await Promise.all(round)
    },
    requireWitnessed: () => {
      const oldest = uptime() - rules.maxAgeSeconds
      const fresh = [...confirmed.values()].filter((at) => at >= oldest)
      if (fresh.length >= rules.atLeast) return
      const message = 'Too few witnesses have confirmed the release log.'
      const facts = { confirmed: fresh.length, required: rules.atLeast }
      throw new AssentError('KMS_LOG_UNWITNESSED', message, { facts })
    },
  }
}

/** Rejects when the signal is aborted, also if the running call ignores the signal. */
async function raceAbort<T>(signal: AbortSignal, running: Promise<T>): Promise<T> {
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new AssentError('KMS_UNREACHABLE', 'The witness took too long.'))
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([running, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
