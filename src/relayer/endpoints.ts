/**
 * Reads the chain through several endpoints and believes what enough of them agree on.
 *
 * With one endpoint that one is believed; with more, a second one must say the same. Too few answers
 * are an outage, different answers a disagreement: both stop the poll and decide nothing.
 */
import {
  decodeErrorResult,
  type PublicClient,
  RawContractError,
  TransactionReceiptNotFoundError,
} from 'viem'

import { AssentError } from '../errors/index.ts'
import type { Hex } from '../lib/bytes.ts'
import { classifyNodeError, combineAnswers, type NodeAnswer } from './node-errors.ts'
import type { Intent, Receipt, Setback } from './outbox.ts'
import type { Chain, Heads, Simulation } from './submit.ts'
import type { Target, Targets } from './targets.ts'
import { toSetback } from './transitions.ts'

export type Finality =
  | { readonly tag: 'finalized' | 'safe' }
  /** Blocks on top of the one that counts as final; 0 on a chain of one's own. */
  | { readonly depth: number }

export interface EndpointOptions {
  readonly clients: readonly PublicClient[]
  readonly account: Hex
  readonly finality: Finality
  readonly targets: Targets
  /** Called once for each question that the endpoints answer differently. */
  readonly onDisagreement?: (question: string) => void
  /** Called when an endpoint, by its place, is not waited for any longer, and when it has answered again. */
  readonly onLate?: (endpoint: number, isLate: boolean) => void
  /** How long the others are waited for when enough have answered. */
  readonly patienceMs?: number
}

type PanelOptions = Pick<EndpointOptions, 'clients' | 'onDisagreement' | 'onLate' | 'patienceMs'>

/** @throws RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES from each function */
export function createChain(options: EndpointOptions): Chain {
  const panel = createPanel(options)
  const { account, finality, targets } = options
  return {
    heads: () => readHeads(panel, account, finality),
    receipts: (hashes) => readReceipts(panel, hashes),
    balance: () => panel.first((client) => client.getBalance({ address: account })),
    broadcast: (raw) => broadcast(panel, raw),
    simulate: (intent) => simulate(panel, account, targets, intent),
    isDone: (intent, block) => {
      const target = requireTarget(targets, intent.kind)
      return panel.agree('isDone', (client) => target.isDone(intent, client, BigInt(block)), String)
    },
  }
}

/** Reads for what is not the outbox: by the same rules of agreement. */
export interface Reader {
  /** Newest block, and the newest final one. */
  heights(): Promise<{ readonly latest: bigint; readonly final: bigint }>
  /** @throws RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES */
  agree<T>(name: string, question: (client: PublicClient) => Promise<T>): Promise<T>
  /** The first answer that comes: for what decides nothing. */
  first<T>(question: (client: PublicClient) => Promise<T>): Promise<T>
}

export function createReader(options: PanelOptions & Pick<EndpointOptions, 'finality'>): Reader {
  const panel = createPanel(options)
  return {
    heights: () => readHeights(panel, options.finality),
    agree: (name, question) => panel.agree(name, question, stableText),
    first: panel.first,
  }
}

function stableText(value: unknown): string {
  return (
    JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `${each}n` : each)) ?? 'nothing'
  )
}

/** @throws RELAYER_CHAIN_WRONG, and the genesis block for telling chains of one id apart */
export async function identifyChain(options: PanelOptions, chainId: number): Promise<Hex> {
  const panel = createPanel(options)
  const [found, genesis] = await panel.agree(
    'chain',
    async (client) => {
      const block = await client.getBlock({ blockNumber: 0n })
      return [await client.getChainId(), block.hash] as const
    },
    String,
  )
  if (found !== chainId) {
    throw new AssentError(
      'RELAYER_CHAIN_WRONG',
      `The endpoints serve chain ${found}, not ${chainId}.`,
      {
        facts: { found, expected: chainId },
      },
    )
  }
  return genesis
}

/* AGREEMENT */

interface Panel {
  readonly clients: readonly PublicClient[]
  readonly quorum: number
  /** Every endpoint's answer, in order; a failed one, or one that takes too long, is the reason. */
  ask<T>(
    question: (client: PublicClient) => Promise<T>,
    isEnough?: (answers: readonly T[]) => boolean,
  ): Promise<PromiseSettledResult<T>[]>
  agree<T>(
    name: string,
    question: (client: PublicClient) => Promise<T>,
    identity: (answer: T) => string,
  ): Promise<T>
  /** The first answer that comes: for what does not decide anything. */
  first<T>(question: (client: PublicClient) => Promise<T>): Promise<T>
  disagree(question: string): void
}

const defaultPatienceMs = 1_000

function createPanel(options: PanelOptions): Panel {
  const { clients } = options
  const quorum = Math.min(2, clients.length)
  const wait = createPatience(options)
  const ask: Panel['ask'] = (question, isEnough = (answers) => answers.length >= quorum) =>
    wait(
      clients.map(async (client) => question(client)),
      isEnough,
    )
  const disagree = (question: string) => options.onDisagreement?.(question)
  return {
    clients,
    quorum,
    ask,
    disagree,
    agree: async (name, question, identity) => {
      const isEnough = (answers: readonly Parameters<typeof identity>[0][]) =>
        answers.length >= quorum && mostCommon(answers, identity).count >= quorum
      const answers = fulfilled(await ask(question, isEnough), quorum)
      const agreed = mostCommon(answers, identity)
      if (agreed.count < answers.length) disagree(name)
      if (agreed.count >= quorum) return agreed.answer
      throw new AssentError('RELAYER_CHAIN_DISAGREES', `The endpoints disagree about ${name}.`, {
        facts: { question: name, answers: answers.length },
      })
    },
    first: async (question) => {
      try {
        return await Promise.any(clients.map(async (client) => question(client)))
      } catch (cause) {
        throw unreachable(0, 1, cause)
      }
    },
  }
}

type Patience = <T>(
  answers: readonly Promise<T>[],
  isEnough: (answers: readonly T[]) => boolean,
) => Promise<PromiseSettledResult<T>[]>

/**
 * Waits for all answers, but once there are enough, not for long: an endpoint that hangs must not hold up those
 * that work. One that was too late is not waited for at all until it has answered again.
 */
function createPatience({ onLate, patienceMs = defaultPatienceMs }: PanelOptions): Patience {
  const late = new Set<number>()
  return <T>(answers: readonly Promise<T>[], isEnough: (answers: readonly T[]) => boolean) =>
    new Promise<PromiseSettledResult<T>[]>((resolve) => {
      const results: PromiseSettledResult<T>[] = answers.map(() => unanswered)
      const missing = new Set(answers.keys())
      let timer: NodeJS.Timeout | undefined
      const finish = () => {
        clearTimeout(timer)
        resolve([...results])
      }
      const giveUp = () => {
        for (const endpoint of missing) {
          if (!late.has(endpoint)) onLate?.(endpoint, true)
          late.add(endpoint)
        }
        finish()
      }
      const look = () => {
        if (missing.size === 0) return finish()
        if (timer !== undefined || !isEnough(valuesOf(results))) return
        if ([...missing].every((each) => late.has(each))) return giveUp()
        timer = setTimeout(giveUp, patienceMs)
      }
      for (const [endpoint, answer] of answers.entries()) {
        const settle = (result: PromiseSettledResult<T>) => {
          results[endpoint] = result
          missing.delete(endpoint)
          if (result.status === 'fulfilled' && late.delete(endpoint)) onLate?.(endpoint, false)
          look()
        }
        answer.then(
          (value) => settle({ status: 'fulfilled', value }),
          (reason) => settle({ status: 'rejected', reason }),
        )
      }
    })
}

const unanswered: PromiseRejectedResult = {
  status: 'rejected',
  reason: new Error('The request timed out: others have answered long ago.'),
}

function valuesOf<T>(results: readonly PromiseSettledResult<T>[]): T[] {
  return results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
}

function fulfilled<T>(results: readonly PromiseSettledResult<T>[], needed: number): T[] {
  const values = valuesOf(results)
  if (values.length >= needed && values.length > 0) return values
  throw unreachable(
    values.length,
    needed,
    results.find(({ status }) => status === 'rejected'),
  )
}

function unreachable(answered: number, needed: number, failure: unknown): AssentError {
  const reason = (failure as PromiseRejectedResult | undefined)?.reason ?? failure
  return new AssentError(
    'RELAYER_CHAIN_UNREACHABLE',
    `${answered} endpoints answered, ${needed} must.`,
    { cause: reason, facts: { answered, needed } },
  )
}

function mostCommon<T>(answers: readonly T[], identity: (answer: T) => string) {
  const groups = Map.groupBy(answers, identity)
  let best: T[] = []
  for (const group of groups.values()) if (group.length > best.length) best = group
  return { answer: best[0] as T, count: best.length }
}

/* HEADS */

async function readHeads(panel: Panel, account: Hex, finality: Finality): Promise<Heads> {
  const { latest, final } = await readHeights(panel, finality)
  const [at, atFinal] = await Promise.all([
    readCount(panel, account, latest),
    final === latest ? undefined : readCount(panel, account, final),
  ])
  const tip = await readTip(panel)
  return {
    latest: { number: Number(latest), count: at.count, baseFee: at.baseFee },
    final: { number: Number(final), count: (atFinal ?? at).count },
    tip,
  }
}

async function readHeights(panel: Panel, finality: Finality) {
  const tops = fulfilled(
    await panel.ask(async (client) => {
      const latest = await client.getBlock({ blockTag: 'latest' })
      const final =
        'tag' in finality ? await client.getBlock({ blockTag: finality.tag }) : undefined
      return { latest: latest.number, final: final?.number }
    }),
    panel.quorum,
  )
  const latest = supported(
    tops.map((top) => top.latest),
    panel.quorum,
  )
  const final =
    'tag' in finality
      ? minimum(
          supported(
            tops.map((top) => top.final ?? 0n),
            panel.quorum,
          ),
          latest,
        )
      : maximum(latest - BigInt(finality.depth), 0n)
  return { latest, final }
}

/** The highest number that enough endpoints have reached: one alone cannot push it up. */
function supported(numbers: readonly bigint[], quorum: number): bigint {
  const descending = [...numbers].sort((a, b) => (a < b ? 1 : -1))
  return descending[quorum - 1] ?? 0n
}

function readCount(panel: Panel, address: Hex, blockNumber: bigint) {
  return panel.agree(
    'transaction count',
    async (client) => {
      const block = await client.getBlock({ blockNumber })
      const count = await client.getTransactionCount({ address, blockNumber })
      return { hash: block.hash, count, baseFee: block.baseFeePerGas ?? 0n }
    },
    ({ hash, count }) => `${hash} ${count}`,
  )
}

/** The lowest suggestion: a single endpoint must not make everything dear. */
async function readTip(panel: Panel): Promise<bigint> {
  const tips = await panel.ask((client) => client.estimateMaxPriorityFeePerGas())
  const known = valuesOf(tips)
  return known.reduce((a, b) => minimum(a, b), known[0] ?? 0n)
}

/* RECEIPTS */

async function readReceipts(
  panel: Panel,
  hashes: readonly Hex[],
): Promise<ReadonlyMap<Hex, Receipt | null>> {
  const pairs = await Promise.all(
    hashes.map(async (hash) => [hash, await readReceipt(panel, hash)] as const),
  )
  return new Map(
    pairs.flatMap(([hash, receipt]) => (receipt === undefined ? [] : [[hash, receipt]])),
  )
}

/** Undefined while too few endpoints say the same: then nothing follows from it. */
async function readReceipt(panel: Panel, hash: Hex): Promise<Receipt | null | undefined> {
  const identity = (receipt: Receipt | null) =>
    receipt === null ? 'none' : `${receipt.blockHash} ${receipt.succeeded}`
  const agreedBy = (answers: readonly (Receipt | null)[]) =>
    answers.length === 0 ? 0 : mostCommon(answers, identity).count
  const results = await panel.ask(
    (client) => askReceipt(client, hash),
    (answers) => agreedBy(answers) >= panel.quorum,
  )
  const answers = valuesOf(results)
  if (answers.length === 0) return undefined

  const agreed = mostCommon(answers, identity)
  if (agreed.count < answers.length) panel.disagree('receipt')
  return agreed.count >= panel.quorum ? agreed.answer : undefined
}

async function askReceipt(client: PublicClient, hash: Hex): Promise<Receipt | null> {
  try {
    const receipt = await client.getTransactionReceipt({ hash })
    return {
      hash,
      blockNumber: Number(receipt.blockNumber),
      blockHash: receipt.blockHash,
      succeeded: receipt.status === 'success',
      cost: receipt.gasUsed * receipt.effectiveGasPrice,
    }
  } catch (error) {
    if (error instanceof TransactionReceiptNotFoundError) return null
    throw error
  }
}

/* SEND */

/** To every endpoint: one that swallows transactions must not hold them up. */
async function broadcast(panel: Panel, raw: Hex): Promise<NodeAnswer> {
  const results = await panel.ask(
    (client) =>
      client
        .sendRawTransaction({ serializedTransaction: raw })
        .then((): NodeAnswer => 'accepted', classifyNodeError),
    (answers) => answers.filter((answer) => answer !== 'unreachable').length >= panel.quorum,
  )
  return combineAnswers(
    results.map((each) => (each.status === 'fulfilled' ? each.value : 'unreachable')),
  )
}

/* SIMULATE */

/** One endpoint's yes is enough to go on; a no must be said by as many as a receipt needs. */
async function simulate(
  panel: Panel,
  account: Hex,
  targets: Targets,
  intent: Intent,
): Promise<Simulation> {
  const target = requireTarget(targets, intent.kind)
  const { to, data, value = 0n } = target.encode(intent)
  const call = { to, data, value }
  const answers = fulfilled(
    await panel.ask(async (client): Promise<Simulation> => {
      try {
        await client.call({ account, ...call })
        const reason = await target.refusal?.(intent, client)
        if (reason !== undefined) return { ok: false, setback: toSetback(reason) }
        const gas = await client.estimateGas({ account, ...call })
        return { ok: true, call: { ...call, gas } }
      } catch (error) {
        const refusal = describeRevert(error, target)
        if (refusal === undefined) throw error
        return { ok: false, setback: refusal }
      }
    }),
    1,
  )
  const allowed = answers.find((answer) => answer.ok)
  if (allowed) return allowed
  return fulfilled(answers.map(toFulfilled), panel.quorum)[0] as Simulation
}

function toFulfilled<T>(value: T): PromiseFulfilledResult<T> {
  return { status: 'fulfilled', value }
}

/** The decoded custom error, or undefined if the failure was not the contract's. */
export function describeRevert(
  error: unknown,
  target: Pick<Target, 'errors'>,
): Setback | undefined {
  const data = findRevertData(error)
  if (data === undefined && classifyNodeError(error) !== 'reverted') return undefined
  const { name, args } = decodeRevert(data, target)
  return toSetback(
    new AssentError('RELAYER_REVERTED', `The contract refuses: ${name}.`, {
      facts: { error: name, args, data: data ?? null },
    }),
  )
}

function decodeRevert(data: Hex | undefined, target: Pick<Target, 'errors'>) {
  if (data === undefined || data === '0x') return { name: 'no reason given', args: [] }
  try {
    const decoded = decodeErrorResult({ abi: target.errors, data })
    // bigint has no JSON form
    const args = (decoded.args ?? []).map((arg) => (typeof arg === 'bigint' ? arg.toString() : arg))
    return { name: String(decoded.errorName), args }
  } catch {
    return { name: `unknown error ${data.slice(0, 10)}`, args: [] }
  }
}

function findRevertData(error: unknown): Hex | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { data } = each as { data?: Hex | { data?: Hex } }
    const bytes = typeof data === 'object' ? data.data : data
    if (typeof bytes === 'string' && bytes.startsWith('0x')) return bytes
    if (each instanceof RawContractError) return '0x'
  }
  return undefined
}

/** @throws RELAYER_PURPOSE_UNSERVED */
export function requireTarget(targets: Targets, kind: string): Target {
  const target = Object.hasOwn(targets, kind) ? targets[kind] : undefined
  if (target === undefined) {
    throw new AssentError('RELAYER_PURPOSE_UNSERVED', `Nothing here takes quotes for ${kind}.`, {
      facts: { purpose: kind, served: Object.keys(targets) },
    })
  }
  return target
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function minimum(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
