/**
 * The chain view: decides what the chain allows, without trust in a single endpoint.
 *
 * To allow a boot, the view needs a final block with an RPC quorum, storage proofs under its state root, and approvals
 * that have not expired by the local clock. To deny a boot, the newest block of one endpoint is enough, so that a
 * withdrawal takes effect early. Stale, missing or contradictory data is an error, which allows nothing.
 */
import { createByteCache } from '../../lib/byte-cache.ts'
import { requireLength, to0x } from '../../lib/bytes.ts'
import type { BootAuthorizer, ChainEvent } from '../boot/boot.ts'
import type { BlockReference } from './checkpoint.ts'
import { decide } from './decide.ts'
import { createHealth } from './endpoint-health.ts'
import { proveByEndpoints } from './prover.ts'
import { gatherKmsAuth, gatherRules } from './read-boot-facts.ts'
import { assemble, createSnapshotRefresher, readShared } from './snapshot.ts'
import { createStateCache } from './state.ts'
import {
  pinnedDeploymentOf,
  requireRecent,
  requireRecentByClock,
  toDecisionBlock,
  type ViewContext,
  type ViewOptions,
} from './view-context.ts'

/** Answers questions about boots from proven chain state. */
export interface ChainView extends BootAuthorizer {
  /**
   * Reads the first final block of a new node and creates its trusted checkpoint.
   *
   * @throws CHAIN_CHECKPOINT_EXISTS, CHAIN_PROOF_REFUSED if no endpoint proves the state of a final block, CHAIN_*
   */
  bootstrap(): Promise<BlockReference>
}

/** Default for `cacheBytes`: 64 MiB. */
export const defaultCacheBytes = 64 * 2 ** 20

/**
 * Opens a chain view.
 *
 * @example
 * const view = openView({ chainId: 1, kms, pinned, source, endpoints, required: 2, ...limits })
 * const { allowed, reason } = await view.authorize('isAppAllowed', boot)
 */
export function openView(viewOptions: ViewOptions): ChainView {
  const observers: ((event: ChainEvent) => void)[] = []
  const observe = (event: ChainEvent) => {
    for (const each of observers) each(event)
  }
  const options = openContext(viewOptions, observe)
  const snapshots = createSnapshotRefresher(options)
  options.heartbeat?.start(async () => (await snapshots.current()).final.state, observe)
  return {
    watch: (each) => {
      observers.push(each)
      if (options.heartbeat) each({ kind: 'heartbeat', ...options.heartbeat.status() })
    },
    trouble: snapshots.trouble,
    newestBlockTime: snapshots.newestBlockTime,
    chainId: options.chainId,
    kms: options.kms,
    authorize: async (question, boot) => decide(await snapshots.current(), question, boot, options),
    facts: async () => {
      const { final } = await snapshots.current()
      requireRecent(final.state.header, options)
      const facts = await gatherKmsAuth(final.state.read(), pinnedDeploymentOf(options))
      return { ...facts, block: toDecisionBlock(final.state.header) }
    },
    newestEpoch: async (appId, beforeRequest) => {
      const { final } = await snapshots.current()
      requireRecent(final.state.header, options)
      requireLength(appId, 'app id', 20)
      const reading = final.state.read({ client: 'no boot', beforeRequest })
      const rules = await gatherRules(reading, pinnedDeploymentOf(options), to0x(appId))
      return rules === undefined ? undefined : rules.epochsOpened + 1
    },
    bootstrap: async () => {
      const agreed = await options.source.newest(undefined)
      const { header } = agreed
      requireRecentByClock(header, options)
      // fails here if the endpoints serve no storage proofs, before the node depends on them
      const taken = assemble({ takenAt: 0, agreed, heads: [], last: undefined, options })
      await readShared(taken, options)
      await options.checkpoint.start(header)
      return header
    },
  }
}

function openContext(options: ViewOptions, observe: ViewContext['observe']): ViewContext {
  const { now = () => performance.now(), cacheBytes = defaultCacheBytes } = options
  const state = createStateCache(Math.floor(cacheBytes * 0.75))
  let blocks = 0
  return {
    ...options,
    observe,
    now,
    prove: options.prove ?? proveByEndpoints(options.endpoints, now, state.nodes),
    heads: createHealth(now),
    state,
    decisions: createByteCache(Math.floor(cacheBytes * 0.25)),
    shared: new Set([options.kms]),
    nextId: () => ++blocks,
  }
}
