/**
 * Nodes watch each other's logs: each keeps the longest head that it saw of the others, and tells them.
 *
 * A node whose disk was set back, or that runs twice, cannot know it alone. It asks the others what they
 * saw of it, with a nonce, and stops for good where that is more than it has, or something else.
 */
import { randomBytes } from 'node:crypto'

import { AssentError, isAssentError } from '../../errors/index.ts'
import { equalBytes, toHex } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import { type HeadAnswer, headToJson, readAnswer, type SeenLog } from './answer.ts'
import { nextChain } from './format.ts'
import { isSealedBy } from './key.ts'
import type { ReleaseLog } from './writer.ts'

/** How to reach a witness. */
export interface Peer {
  readonly url: string
  head(nonce: string): Promise<string>
  /** Digests of its entries from this one on. */
  digests(from: number): Promise<Uint8Array>
}

export interface WitnessRules {
  readonly peers: readonly Peer[]
  /** So many must have answered within `maxAgeSeconds`, or nothing is released. */
  readonly atLeast: number
  readonly maxAgeSeconds: number
}

export interface WitnessParts {
  /** Seconds that only go forward, whatever the host does to the clock. */
  readonly uptime: Clock
  readonly logger: Logger
  /** What was seen before a restart. */
  readonly known?: readonly SeenLog[]
}

export interface Witness {
  readonly seen: () => readonly SeenLog[]
  /** One round with every peer. @throws KMS_LOG_ROLLED_BACK, KMS_LOG_FORKED: this node must stop */
  ask(): Promise<void>
  /** @throws KMS_LOG_UNWITNESSED */
  requireWitnessed(): void
  /** Peers whose own logs were found to go back or to have two continuations. */
  readonly faults: () => number
}

/** Sixteen million entries: no honest peer gets ahead of us by more. */
const pagesPerRound = 4096

export function createWitness(
  log: ReleaseLog,
  rules: WitnessRules,
  { uptime, logger, known = [] }: WitnessParts,
): Witness {
  const own = log.key.identity
  const seen = new Map<string, SeenLog>(known.map((one) => [toHex(one.publicKey), one]))
  const confirmed = new Map<string, number>()
  let faults = 0

  async function askPeer(peer: Peer): Promise<void> {
    const nonce = randomBytes(16).toString('hex')
    const answer = readAnswer(await peer.head(nonce), nonce, own.rootKey)
    if (equalBytes(answer.identity.publicKey, own.publicKey)) {
      // either this very process, by a roundabout way, or a copy of it
      await requireOurs(answer.head)
      return
    }
    for (const one of answer.seen) {
      if (equalBytes(one.publicKey, own.publicKey) && isSealedBy(own, one.head)) {
        await requireOurs(one.head)
      }
    }
    await follow(peer, answer)
    confirmed.set(peer.url, uptime())
  }

  async function requireOurs(head: SeenLog['head']): Promise<void> {
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

  /** Takes the peer's newer head only if it continues the one that we know. */
  async function follow(peer: Peer, { identity, head }: HeadAnswer): Promise<void> {
    const id = toHex(identity.publicKey)
    const last = seen.get(id)
    const next = { node: identity.node, publicKey: identity.publicKey, head }
    if (last === undefined || (await continues(peer, last.head, head))) {
      const isNews = last?.head.entries !== head.entries
      seen.set(id, next)
      if (isNews)
        await log.append({ kind: 'peer', node: next.node, publicKey: id, head: headToJson(head) })
      return
    }
    // it learns from our answer; until it does, our copy of its longer head is the proof
    faults++
    logger.error(
      {
        peer: peer.url,
        node: identity.node,
        known: headToJson(last.head),
        shown: headToJson(head),
      },
      'the log of a peer went back or split in two',
    )
  }

  async function continues(
    peer: Peer,
    from: SeenLog['head'],
    to: SeenLog['head'],
  ): Promise<boolean> {
    let { entries, chain } = from
    for (let page = 0; entries < to.entries && page < pagesPerRound; page++) {
      const digests = await peer.digests(entries)
      if (digests.length === 0) return false
      for (let at = 0; at < digests.length && entries < to.entries; at += 32) {
        chain = nextChain(chain, digests.subarray(at, at + 32))
        entries++
      }
    }
    return entries === to.entries && equalBytes(chain, to.chain)
  }

  return {
    seen: () => [...seen.values()],
    faults: () => faults,
    ask: async () => {
      const rounds = await Promise.allSettled(rules.peers.map(askPeer))
      for (const [index, round] of rounds.entries()) {
        if (round.status === 'fulfilled') continue
        const error: unknown = round.reason
        if (isAssentError(error, 'KMS_LOG_ROLLED_BACK') || isAssentError(error, 'KMS_LOG_FORKED')) {
          throw error
        }
        logger.warn({ peer: rules.peers[index]?.url, err: error }, 'a witness did not answer')
      }
    },
    requireWitnessed: () => {
      const oldest = uptime() - rules.maxAgeSeconds
      const fresh = [...confirmed.values()].filter((at) => at >= oldest)
      if (fresh.length >= rules.atLeast) return
      throw new AssentError(
        'KMS_LOG_UNWITNESSED',
        'Too few witnesses have confirmed the release log.',
        {
          facts: { confirmed: fresh.length, required: rules.atLeast },
        },
      )
    },
  }
}
