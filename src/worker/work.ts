/**
 * One round of a worker: takes the requests that are assigned to its key, asks the handler, and puts answers and refusals
 * into the outbox.
 */
import {
  decodeInputReference,
  judgeRequest,
  type RequestRecord,
  type RequestsContract,
  readRequest,
} from '../chain/registries/requests.ts'
import { AssentError, isAssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Database } from '../relayer/database/database.ts'
import { type QuorumReader, readBlockTime } from '../relayer/endpoints/quorum.ts'
import { enqueueIntent } from '../relayer/outbox/intents.ts'
import type { AskedRequest, WorkerContext } from './answer-request.ts'
import type { AppKeys } from './app-keys.ts'
import type { AssignmentFeed } from './assignments.ts'
import { epochOfInput } from './sealed-message.ts'
import { answerOnce, declineIntent } from './targets.ts'

/** Everything that a round needs. */
export interface WorkOptions {
  readonly db: Database
  readonly reader: QuorumReader
  readonly requests: RequestsContract
  /** Address of the key of this instance. */
  readonly key: Hex
  readonly worker: Omit<WorkerContext, 'appKeys'>
  /** Undefined: only public inputs are answered. */
  readonly appKeys: AppKeys | undefined
  readonly feed: AssignmentFeed
  /** Seconds before a request is due from which it is declined. */
  readonly declineBefore: number
  readonly clock: Clock
  readonly log: Logger
  readonly onAccepted: () => void
  /** Called with `answered`, `declined`, `lost` or an error code, for metrics. */
  readonly onOutcome: (outcome: string) => void
}

/** Does what is possible now. Two calls never run at the same time. */
export interface Work {
  /** @throws RELAYER_CHAIN_*, RELAYER_DATABASE_* */
  round(): Promise<void>
}

/** Seconds after a failure of the handler, doubled with each failure, and the longest pause. By the monotonic clock. */
const firstPause = 5
const longestPause = 300
/** Seconds until a request whose answer is in the outbox is looked at again. */
const answeredPause = 60

/** @example for (;;) await work.round() */
export function createWork(options: WorkOptions): Work {
  const { feed } = options
  const waiting = new Map<Hex, { readonly failures: number; readonly notBefore: number }>()
  const handle = async (asked: AskedRequest, latest: bigint, at: number) => {
    const pause = waiting.get(asked.id)
    if (pause !== undefined && seconds() < pause.notBefore) return
    const next = await answer(options, asked, { latest, at, failures: pause?.failures ?? 0 })
    if (next !== 'gone') {
      waiting.set(asked.id, next)
      return
    }
    waiting.delete(asked.id)
    feed.open.delete(asked.id)
  }
  return {
    async round() {
      if (feed.open.size === 0) return
      const { latest } = await options.reader.heights()
      const at = await readBlockTime(options.reader, latest)
      // a worker has at most its capacity of requests, so the list is short
      await Promise.all([...feed.open.values()].map((asked) => handle(asked, latest, at)))
    },
  }
}

function seconds(): number {
  return performance.now() / 1_000
}

type Next = 'gone' | { readonly failures: number; readonly notBefore: number }

async function answer(
  options: WorkOptions,
  asked: AskedRequest,
  {
    latest,
    at,
    failures,
  }: { readonly latest: bigint; readonly at: number; readonly failures: number },
): Promise<Next> {
  const { reader, requests, key, clock, onOutcome } = options
  const { id } = asked
  const record = await reader.agree('request state', (client) =>
    readRequest(client, requests.requests, id, latest),
  )
  if (!isMine(record, key, at)) {
    onOutcome('lost')
    return 'gone'
  }
  const times = { chainId: requests.chainId, at: clock(), expiresAt: asked.deadline }
  try {
    await refreshKeys(options, asked)
    const worker = { ...options.worker, appKeys: options.appKeys?.byEpoch ?? new Map() }
    const { isNew } = await answerOnce(options.db, asked, worker, times)
    if (isNew) {
      onOutcome('answered')
      options.onAccepted()
    }
    return { failures: 0, notBefore: seconds() + answeredPause }
  } catch (error) {
    if (!(error instanceof AssentError)) throw error
    const isRefused = isAssentError(error, 'WORKER_INPUT_REFUSED')
    if (!isRefused && !isAssentError(error, 'WORKER_HANDLER_FAILED')) throw error
    options.log.warn({ request: id, code: error.code, failures }, 'a request is not answered')
    onOutcome(error.code)
    const pause = Math.min(firstPause * 2 ** failures, longestPause)
    const isLate = at + pause > record.due - options.declineBefore
    if (!isRefused && !isLate) return { failures: failures + 1, notBefore: seconds() + pause }
    return decline(options, asked, record, at)
  }
}

/** Assigned to this key, and in time or still without another worker. */
function isMine(record: RequestRecord, key: Hex, now: number): boolean {
  const state = judgeRequest(record, now)
  const isOpen = state === 'assigned' || state === 'late' || state === 'refundable'
  return isOpen && record.worker.toLowerCase() === key && now <= record.deadline
}

/** An input that was encrypted to an epoch which this worker does not know yet. */
async function refreshKeys({ appKeys, log }: WorkOptions, asked: AskedRequest): Promise<void> {
  if (appKeys === undefined) return
  const reference = decodeInputReference(asked.inputReference)
  // an input in no known form is refused later
  const epoch =
    reference?.kind === 'inline' && reference.input[0] === 1 && reference.input.length >= 5
      ? epochOfInput(reference.input)
      : undefined
  if (epoch === undefined || appKeys.byEpoch.has(epoch)) return
  await appKeys.refresh().catch((error: unknown) => {
    if (!(error instanceof AssentError)) throw error
    log.warn({ err: error }, 'the KMS gives no newer keys')
    throw new AssentError('WORKER_HANDLER_FAILED', 'The keys of the epoch are not known yet.', {
      cause: error,
      facts: { epoch },
    })
  })
}

async function decline(
  options: WorkOptions,
  { id, deadline }: AskedRequest,
  { assignments, due }: RequestRecord,
  chainTime: number,
): Promise<Next> {
  const { db, requests, key, clock } = options
  // after it is due nobody can decline: another worker may be assigned
  if (chainTime > due) return 'gone'
  const times = { chainId: requests.chainId, at: clock(), expiresAt: Math.min(due, deadline) }
  const { isNew } = await enqueueIntent(
    db,
    declineIntent({ id, key, assignment: assignments }, times),
  )
  if (isNew) {
    options.onOutcome('declined')
    options.onAccepted()
  }
  return { failures: 0, notBefore: seconds() + answeredPause }
}
