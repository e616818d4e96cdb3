/** Chain snapshots: the final block and the newest blocks that a view reads at one moment, and when it reads them again. */
import { AssentError, isAssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Agreement } from '../boot/evidence.ts'
import type { BlockReference, ChainCheckpoint } from './checkpoint.ts'
import { collectAnswers, withinMs } from './endpoint-health.ts'
import type { BlockHeader } from './header.ts'
import { type AgreedHeader, fetchHeader } from './header-quorum.ts'
import { askFor } from './prover.ts'
import type { Endpoint } from './rpc-endpoint.ts'
import { openState, type ProofSource } from './state.ts'
import {
  type BlockView,
  type ChainSnapshot,
  clockToleranceSeconds,
  dropHead,
  headStragglerTimeoutMs,
  ignoreOutage,
  requireNotFromFuture,
  requireRecentByClock,
  toDecisionBlock,
  type ViewContext,
} from './view-context.ts'

/** Highest age in seconds of the newest block of an endpoint that follows the chain. */
const headToleranceSeconds = 120

/**
 * Requests share a chain snapshot. A new one is started after half of its lifetime, so that requests rarely wait.
 *
 * `current()` returns a snapshot that is at most `refreshSeconds` old, or throws the error of the refresh. `trouble()`
 * returns the error code of the last refresh if it failed. `newestBlockTime()` is the time of the newest final block.
 */
export function createSnapshotRefresher(options: ViewContext) {
  const { now, observe } = options
  const validMs = options.refreshSeconds * 1000
  let last: ChainSnapshot | undefined
  let next: Promise<ChainSnapshot> | undefined
  let seen: BlockReference | undefined
  let trouble: string | undefined

  const snapshot = async (): Promise<ChainSnapshot> => {
    const takenAt = now()
    const known = await readCheckpoint(options.checkpoint, seen)
    const asked = fetchHeads(options)
    // not awaited yet; a rejection must not count as unhandled
    for (const each of asked) each.catch(() => {})
    const agreed = await options.source.newest(known)
    requireUsable(agreed.header, options)
    const [heads, signed] = await Promise.all([
      collectAnswers(
        asked,
        () => true,
        () => undefined,
      ),
      fetchSignedHead(agreed, options),
    ])
    const isNewer = known === undefined || agreed.header.number > known.number
    if (isNewer) await options.checkpoint.write(agreed.header)
    seen = agreed.header
    const taken = assemble({ takenAt, agreed, heads, signed, last, options })
    await readShared(taken, options)
    observe({
      kind: 'looked',
      block: toDecisionBlock(agreed.header),
      disagreeing: agreed.disagreeing,
      consensus: agreed.consensus,
      l1BlockTime: agreed.l1BlockTime,
    })
    return taken
  }
  const begin = () => {
    const refreshing = snapshot()
    next = refreshing
    refreshing.then(
      (taken) => {
        last = taken
        next = undefined
        trouble = undefined
      },
      (error: unknown) => {
        next = undefined
        trouble = isAssentError(error) ? error.code : 'UNEXPECTED'
        observe({ kind: 'failed', code: trouble })
      },
    )
    return refreshing
  }
  return {
    trouble: () => trouble,
    newestBlockTime: () => seen?.timestamp,
    current: async (): Promise<ChainSnapshot> => {
      const age = last === undefined ? Number.POSITIVE_INFINITY : now() - last.takenAt
      if (last !== undefined && age <= validMs / 2) return last
      const refreshing = next ?? begin()
      return last !== undefined && age <= validMs ? last : refreshing
    },
  }
}

/** With a heartbeat a node must follow the chain before it can find its nonce there. Decisions check the age. */
function requireUsable(header: BlockHeader, options: ViewContext): void {
  if (options.heartbeat === undefined) requireRecentByClock(header, options)
  else requireNotFromFuture(header, options)
}

/** The highest block that this or another process of this node accepted. */
async function readCheckpoint(
  memory: ChainCheckpoint,
  seen: BlockReference | undefined,
): Promise<BlockReference | undefined> {
  const stored = await memory.read()
  if (seen === undefined || stored === undefined || stored.number > seen.number) return stored
  if (stored.number === seen.number && stored.hash === seen.hash) return stored
  throw new AssentError(
    'CHAIN_CHECKPOINT_INVALID',
    'The trusted checkpoint went back to an older block.',
    {
      facts: { stored: String(stored.number), seen: String(seen.number) },
    },
  )
}

interface EndpointHead {
  readonly endpoint: Endpoint
  readonly header: BlockHeader
}

function fetchHeads({
  endpoints,
  withdrawals,
  heads,
  headerFields,
}: ViewContext): readonly Promise<EndpointHead | undefined>[] {
  if (withdrawals !== 'deny-when-shown-by-one') return []
  return endpoints.filter(heads.isHealthy).map(async (endpoint) => {
    const header = await fetchHeader(endpoint, 'latest', headerFields).catch(ignoreOutage)
    return header && { endpoint, header }
  })
}

/**
 * The newest block that a sync committee signed, from the first endpoint that returns it. Its hash is known, so that
 * any endpoint may serve it. A missing answer denies nothing.
 */
async function fetchSignedHead(
  { header, signedHead: hash }: AgreedHeader,
  { endpoints, withdrawals, headerFields }: ViewContext,
): Promise<EndpointHead | undefined> {
  if (withdrawals === 'insecure-wait-until-final') return undefined
  if (hash === undefined || hash === header.hash) return undefined
  const asked = endpoints.map(async (endpoint) => ({
    endpoint,
    header: await fetchHeader(endpoint, { hash }, headerFields),
  }))
  return withinMs(headStragglerTimeoutMs, Promise.any(asked)).catch(() => undefined)
}

/** Builds a snapshot. Blocks that did not change keep their cached state. */
export function assemble({
  takenAt,
  agreed,
  heads,
  signed,
  last,
  options,
}: {
  readonly takenAt: number
  readonly agreed: AgreedHeader
  readonly heads: readonly (EndpointHead | undefined)[]
  /** The newest signed block and the endpoint that returned it. */
  readonly signed?: EndpointHead | undefined
  readonly last: ChainSnapshot | undefined
  readonly options: ViewContext
}): ChainSnapshot {
  const { header, agreement, signatures, rollup } = agreed
  const isInQuorum = ({ name }: Endpoint) => agreement.endpoints.includes(name)
  const ordered = [...options.endpoints].sort(
    (a, b) => Number(isInQuorum(b)) - Number(isInQuorum(a)),
  )
  const isSame = (view: BlockView | undefined, hash: Hex) => view?.state.header.hash === hash
  const newer = heads.flatMap((head) =>
    head !== undefined && isRecentHead(head.header, header, options) ? [head] : [],
  )
  const openHead = (
    head: BlockHeader,
    names: readonly string[],
    { servers, provers }: { servers: readonly Endpoint[]; provers: readonly Endpoint[] },
  ): BlockView => {
    const known = [...(last?.heads ?? [])].find(
      (each) => isSame(each, head.hash) && isServedBy(each, servers),
    )
    if (known !== undefined) return known
    const alone = { ...agreement, required: 1, endpoints: names }
    return {
      ...openBlock(head, alone, provers, options, headStragglerTimeoutMs),
      endpoints: servers,
    }
  }
  const signedHeads = signed
    ? [openHead(signed.header, [signed.endpoint.name], { servers: [], provers: ordered })]
    : []
  return {
    takenAt,
    final: isSame(last?.final, header.hash)
      ? (last as ChainSnapshot).final
      : { ...openBlock(header, agreement, ordered, options), signatures, rollup },
    heads: new Set([
      ...signedHeads,
      // an endpoint whose newest block is the signed one adds nothing
      ...groupByHash(newer.filter((head) => head.header.hash !== signed?.header.hash)).map(
        (group) => {
          const servers = group.map(({ endpoint }) => endpoint)
          const names = servers.map(({ name }) => name)
          return openHead(group[0].header, names, { servers, provers: servers })
        },
      ),
    ]),
  }
}

function groupByHash(heads: readonly EndpointHead[]): [EndpointHead, ...EndpointHead[]][] {
  const groups = new Map<Hex, [EndpointHead, ...EndpointHead[]]>()
  for (const head of heads) {
    const group = groups.get(head.header.hash)
    if (group === undefined) groups.set(head.header.hash, [head])
    else group.push(head)
  }
  return [...groups.values()]
}

function isServedBy({ endpoints }: BlockView, servers: readonly Endpoint[]): boolean {
  return (
    endpoints.length === servers.length && endpoints.every((each, index) => each === servers[index])
  )
}

/**
 * Proofs from any of these endpoints; each proof is checked.
 *
 * This is a separate function on purpose: a closure in `assemble` would keep the previous snapshot alive, and through it
 * all earlier ones.
 */
function proofsFrom(
  endpoints: readonly Endpoint[],
  { prove, observe }: ViewContext,
  timeoutMs: number | undefined,
): ProofSource {
  const names = endpoints.map(({ name }) => name)
  return askFor(names, prove, { timeoutMs, fault: (fault) => observe({ kind: 'fault', fault }) })
}

function openBlock(
  header: BlockHeader,
  agreement: Agreement,
  endpoints: readonly Endpoint[],
  options: ViewContext,
  timeoutMs?: number,
): BlockView {
  return {
    id: options.nextId(),
    state: openState(header, proofsFrom(endpoints, options, timeoutMs), options.state),
    agreement,
    endpoints,
  }
}

/**
 * Reads the contracts that most decisions need before the snapshot is used, so that requests do not wait for them. It
 * fails without a storage proof of the KmsAuth contract.
 *
 * @throws CHAIN_*
 */
export async function readShared(snapshot: ChainSnapshot, options: ViewContext): Promise<void> {
  const { kms, shared } = options
  // the first proof contains the upper trie nodes of all others
  const readFirst = ({ state }: BlockView) => state.read().account(kms)
  const readOthers = ({ state }: BlockView) => {
    const others = [...shared].filter((address) => address !== kms)
    return Promise.all(others.map((each) => state.read().account(each).catch(ignoreOutage)))
  }
  await Promise.all([
    readFirst(snapshot.final).then(() => readOthers(snapshot.final)),
    ...[...snapshot.heads].map(async (head) => {
      try {
        await readFirst(head)
      } catch (error) {
        // the block stays: a boot that needs it finds out
        if (isAssentError(error, 'CHAIN_RATE_LIMITED')) return
        return dropHead(snapshot, head, error, options)
      }
      await withinMs(headStragglerTimeoutMs, readOthers(head)).catch(ignoreOutage)
    }),
  ])
}

/**
 * Whether a newest block is at least as new as the final block and not from the future. A recent time is enough,
 * because a forged final block can have any number, but no time after the local clock. With a heartbeat the clock is not
 * asked: a host that sets it back would hide the newest blocks, which can only deny.
 */
function isRecentHead(
  head: BlockHeader,
  final: BlockHeader,
  { clock, heartbeat }: ViewContext,
): boolean {
  if (head.hash === final.hash) return false
  if (heartbeat === undefined && head.timestamp > clock() + clockToleranceSeconds) return false
  const isRecent = head.timestamp >= Math.min(final.timestamp, clock()) - headToleranceSeconds
  return head.number >= final.number || isRecent
}
