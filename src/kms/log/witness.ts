/**
 * Nodes watch each other's logs: each keeps the longest head that it saw of the others, and tells them.
 *
 * A node whose disk was set back, or that runs twice, cannot know it alone. It asks the others what they
 * saw of it, with a nonce, and stops for good where that is more than it has, or something else.
 *
 * A witness is who signs, never an address: all names that lead to one replica count once.
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

/** How to reach a witness. A call ends at the signal, whatever the other side does. */
export interface WitnessClient {
  readonly url: string
  head(nonce: string, signal?: AbortSignal): Promise<string>
  /** Digests of its entries from this one on. */
  digests(from: number, signal?: AbortSignal): Promise<Uint8Array>
}

/** A witness as the settings state it. */
export interface WitnessNode {
  readonly url: string
  /** Name of its log: an answer under another name does not count. Absent: who answers says who it is. */
  readonly node?: string | undefined
  /** Machine on which it will run, hex. It may get the root keys while witnesses are still missing. */
  readonly device?: string | undefined
}

/** Who asks to become a replica: the device that its quote proves, or somebody who has not shown one yet. */
export type OnboardingNode = { readonly device: string } | 'not-known-yet'

export interface WitnessRules {
  readonly witnesses: readonly (WitnessNode & { readonly peer: WitnessClient })[]
  /** So many must have answered within `maxAgeSeconds`, or nothing is released. */
  readonly atLeast: number
  readonly maxAgeSeconds: number
}

export interface WitnessParts {
  /** Seconds that only go forward, whatever the host does to the clock. */
  readonly uptime: Clock
  readonly logger: Logger
  /** What was seen before a restart. */
  readonly known?: readonly KnownLog[]
  /** Told at once of what breaks the trust in this node's own log: it must stop. */
  readonly halt: (error: AssentError) => Promise<void>
  /** For all questions of a round to one witness. */
  readonly turnMs?: number
}

export interface Witness {
  readonly seen: () => readonly KnownLog[]
  /** One round. Each witness has its own turn with a deadline; one that still has it is not asked again. */
  ask(): Promise<void>
  /** @throws KMS_LOG_UNWITNESSED */
  requireWitnessed(): void
  /** Devices of witnesses that this node has not seen yet. */
  readonly expectedDevices: () => readonly string[]
  /** Peers whose own logs were found to go back or to have two continuations. */
  readonly faults: () => number
}

const defaultTurnMs = 20_000

/** Another log as far as it was followed, and the last question that was under way when its head was taken over. */
interface FollowedLog extends KnownLog {
  readonly turn: number
}

/** What a restart does not heal. */
export function isPermanentFailure(error: unknown): error is AssentError {
  const codes = ['KMS_LOG_ROLLED_BACK', 'KMS_LOG_FORKED', 'KMS_LOG_BROKEN', 'KMS_LOG_CUT']
  return isAssentError(error) && codes.includes(error.code)
}

/** Whether a onboardingNode is one of the machines that are waited for. */
export function isExpectedReplica(
  expectedDevices: readonly string[],
  onboardingNode: OnboardingNode | undefined,
): boolean {
  if (onboardingNode === undefined) return false
  return onboardingNode === 'not-known-yet'
    ? expectedDevices.length > 0
    : expectedDevices.includes(onboardingNode.device)
}

export function createWitness(log: ReleaseLog, rules: WitnessRules, parts: WitnessParts): Witness {
  const { uptime, logger, known = [], halt, turnMs = defaultTurnMs } = parts
  const own = log.key.identity
  const seen = new Map<string, FollowedLog>(
    known.map((one) => [toHex(one.publicKey), { ...one, turn: 0 }]),
  )
  /** By the key that signed, when it was asked. */
  const confirmed = new Map<string, number>()
  /** How far a long way to a peer's head was gone, for the next turn. */
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
    const text = await orAbortAt(signal, peer.head(nonce, signal))
    const answer = readAnswer(text, nonce, own.rootKey)
    const { identity } = answer
    if (equalBytes(identity.publicKey, own.publicKey)) {
      // either this very process, by a roundabout way, or a copy of it
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

  async function requireOurs(head: KnownLog['head']): Promise<void> {
    const { entries } = log.head()
    const facts = { entries, seen: headToJson(head) }
    if (head.entries > entries) {
      const message = 'A witness has seen a longer log of this node.'
      throw new AssentError('KMS_LOG_ROLLED_BACK', message, { facts })
    }
    if (equalBytes(await log.chainAt(head.entries), head.chain)) return
    const message = 'A witness has seen another log of this node.'
    throw new AssentError('KMS_LOG_FORKED', message, { facts })
  }

  /** Takes the peer's newer head only if it continues the one that we know. False: its log does not. */
  async function follow(
    peer: WitnessClient,
    { identity, head }: HeadAnswer,
    turn: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const id = toHex(identity.publicKey)
    const last = seen.get(id)
    // by another address the same node has told more since this question was sent
    if (last !== undefined && last.head.entries > head.entries && last.turn >= turn) return true
    if (last !== undefined && !(await continues(peer, id, last.head, head, signal))) {
      // it learns from our answer; until it does, our copy of its longer head is the proof
      faults++
      const shown = { known: headToJson(last.head), shown: headToJson(head) }
      const who = { peer: peer.url, node: identity.node }
      logger.error({ ...who, ...shown }, 'the log of a peer went back or split in two')
      return false
    }
    const { node, publicKey } = identity
    if (last?.head.entries !== head.entries) {
      // written down before it is taken as known, or a full disk would lose it
      await log.append({ kind: 'peer', node, publicKey: id, head: headToJson(head) })
    }
    if ((seen.get(id)?.head.entries ?? 0) > head.entries) return true
    seen.delete(id)
    seen.set(id, { node, publicKey, head, turn: turns })
    if (seen.size > maxKnownLogs) seen.delete(seen.keys().next().value ?? '')
    return true
  }

  /** What a turn leaves undone of a long way is gone on with in the next one. */
  async function continues(
    peer: WitnessClient,
    id: string,
    from: Position,
    to: Position,
    signal: AbortSignal,
  ): Promise<boolean> {
    const begun = partialWalks.get(id)
    const isOnTheWay = begun && begun.entries > from.entries && begun.entries <= to.entries
    let { entries, chain } = isOnTheWay ? begun : from
    partialWalks.delete(id)
    while (entries < to.entries) {
      const digests = await orAbortAt(signal, peer.digests(entries, signal))
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

  async function take(witness: WitnessRules['witnesses'][number]): Promise<void> {
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
        const running = asking.get(witness.peer) ?? take(witness)
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

/** Ends at the signal, also where the other side takes no notice of it. */
async function orAbortAt<T>(signal: AbortSignal, running: Promise<T>): Promise<T> {
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
