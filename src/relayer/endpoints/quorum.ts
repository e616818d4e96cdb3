/**
 * Reads the chain through several RPC endpoints and uses what a quorum of them answers.
 *
 * With one endpoint its answer counts; with more, two must give the same answer. Too few answers are an outage,
 * different answers a disagreement: both stop the poll and change nothing. For numbers in which honest endpoints differ
 * (gas, tip, balance) the highest value counts that two endpoints reach.
 *
 * The KMS has its own quorum (`src/chain/proven/header-quorum.ts`). The difference is on purpose: the KMS needs a
 * quorum for one block header only and proves all state from it, so its quorum can be any number. The relayer compares
 * answers of any kind, without proofs, because a lie can waste its gas but cannot release a key.
 */
import {
  decodeErrorResult,
  type PublicClient,
  RawContractError,
  TransactionReceiptNotFoundError,
} from 'viem'

import { AssentError } from '../../errors/index.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Target, Targets } from '../outbox/intent-targets.ts'
import type { Intent, LastError, Receipt } from '../outbox/outbox.ts'
import type { Chain, Heads, Simulation } from '../outbox/submit.ts'
import { toLastError } from '../outbox/transitions.ts'
import { classifyNodeError, combineAnswers, type NodeAnswer } from './node-errors.ts'

/** The rule for the final block. */
export type FinalityRule =
  | { readonly tag: 'finalized' | 'safe' }
  /** Number of blocks above the final one; 0 on a development chain. */
  | { readonly depth: number }

/** RPC endpoints and how to read them. */
export interface RelayerEndpointOptions {
  /** One client per endpoint. */
  readonly clients: readonly PublicClient[]
  /** Account whose transactions are counted. */
  readonly account: Hex
  /** The rule for the final block. */
  readonly finality: FinalityRule
  /** Encode the calls of intents and know when their effect is there. */
  readonly targets: Targets
  /** Called for each request that the endpoints answer differently. */
  readonly onDisagreement?: (question: string) => void
  /** Called when an endpoint (index in `clients`) becomes late, and when it answers again. */
  readonly onLate?: (endpoint: number, isLate: boolean) => void
  /** Milliseconds to wait for the other endpoints after a quorum has answered; default 1,000. */
  readonly stragglerTimeoutMs?: number
}

type EndpointGroupOptions = Pick<
  RelayerEndpointOptions,
  'clients' | 'onDisagreement' | 'onLate' | 'stragglerTimeoutMs'
>

/** The chain for the outbox. Each function throws RELAYER_CHAIN_UNREACHABLE and RELAYER_CHAIN_DISAGREES. */
export function createChain(options: RelayerEndpointOptions): Chain {
  const group = createEndpointGroup(options)
  const { account, finality, targets } = options
  return {
    heads: () => readHeads(group, account, finality),
    receipts: (hashes) => readReceipts(group, hashes),
    blockHash: (number) =>
      group.agree('block', async (client) => readHash(client, BigInt(number)), String),
    balance: () => readBalance(group, account),
    broadcast: (raw) => broadcast(group, raw),
    simulate: (intent) => simulate(group, account, targets, intent),
    isDone: (intent, block) => {
      const target = requireTarget(targets, intent.kind)
      return group.agree('isDone', (client) => target.isDone(intent, client, BigInt(block)), String)
    },
  }
}

/** Reads by RPC quorum for everything except the outbox. */
export interface QuorumReader {
  /** Numbers of the newest and of the final block. */
  heights(): Promise<{ readonly latest: bigint; readonly final: bigint }>
  /**
   * Sends one request to all endpoints and returns the answer of the quorum.
   *
   * @param name of the request, for errors and metrics
   * @throws RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES
   */
  agree<T>(name: string, question: (client: PublicClient) => Promise<T>): Promise<T>
}

/**
 * Creates a reader.
 *
 * @example
 * const reader = createReader({ clients, finality: { tag: 'finalized' } })
 * const chainId = await reader.agree('chain id', (client) => client.getChainId())
 */
export function createReader(
  options: EndpointGroupOptions & Pick<RelayerEndpointOptions, 'finality'>,
): QuorumReader {
  const group = createEndpointGroup(options)
  return {
    heights: () => readHeights(group, options.finality),
    agree: (name, question) => group.agree(name, question, stableText),
  }
}

/** Time of a block, Unix seconds. @throws RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES */
export function readBlockTime(reader: QuorumReader, blockNumber: bigint): Promise<number> {
  return reader.agree('block time', async (client) => {
    return Number((await client.getBlock({ blockNumber })).timestamp)
  })
}

/** A text that is equal for equal answers: members are sorted. */
function stableText(value: unknown): string {
  return (
    JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `${each}n` : each)) ?? 'nothing'
  )
}

/**
 * Checks the chain id. @returns the hash of block 0, because different chains can have the same id
 *
 * @throws RELAYER_CHAIN_WRONG, RELAYER_CHAIN_UNREACHABLE, RELAYER_CHAIN_DISAGREES
 */
export async function identifyChain(options: EndpointGroupOptions, chainId: number): Promise<Hex> {
  const group = createEndpointGroup(options)
  const [found, genesis] = await group.agree(
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

/* QUORUM */

interface EndpointGroup {
  readonly clients: readonly PublicClient[]
  readonly quorum: number
  /** The answers of all endpoints in their order; rejected for one that failed or is late. */
  ask<T>(
    question: (client: PublicClient) => Promise<T>,
    isEnough?: (answers: readonly T[]) => boolean,
  ): Promise<PromiseSettledResult<T>[]>
  agree<T>(
    name: string,
    question: (client: PublicClient) => Promise<T>,
    key: (answer: T) => string,
  ): Promise<T>
  disagree(question: string): void
}

const defaultStragglerTimeoutMs = 1_000

/** Asks all endpoints and waits until a quorum has answered, then a short time for the others. */
function createEndpointGroup(options: EndpointGroupOptions): EndpointGroup {
  const { clients } = options
  const quorum = Math.min(2, clients.length)
  const wait = createQuorumWait(options)
  const ask: EndpointGroup['ask'] = (question, isEnough = (answers) => answers.length >= quorum) =>
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
    agree: async (name, question, key) => {
      // an answer that has no key (for example, a missing field) is a failure of its endpoint
      const askKeyed = async (client: PublicClient) => {
        const answer = await question(client)
        return { answer, key: key(answer) }
      }
      const isEnough = (answers: readonly KeyedAnswer<unknown>[]) =>
        mostCommon(answers).length >= quorum
      const answers = fulfilled(await ask(askKeyed, isEnough), quorum)
      const agreed = mostCommon(answers)
      if (agreed.length < answers.length) disagree(name)
      const [first] = agreed
      if (agreed.length >= quorum && first !== undefined) return first.answer
      throw disagreement(name, answers.length)
    },
  }
}

function disagreement(question: string, answers: number): AssentError {
  return new AssentError(
    'RELAYER_CHAIN_DISAGREES',
    `The endpoints give different answers for: ${question}.`,
    {
      facts: { question, answers },
    },
  )
}

type QuorumWait = <T>(
  answers: readonly Promise<T>[],
  isEnough: (answers: readonly T[]) => boolean,
) => Promise<PromiseSettledResult<T>[]>

/**
 * Waits for all answers, but only a short time after a quorum has answered: an endpoint that hangs must not delay the
 * others. An endpoint that was late is not waited for until it has answered again.
 */
function createQuorumWait({
  onLate,
  stragglerTimeoutMs = defaultStragglerTimeoutMs,
}: EndpointGroupOptions): QuorumWait {
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
      const update = () => {
        if (missing.size === 0) return finish()
        if (timer !== undefined || !isEnough(valuesOf(results))) return
        if ([...missing].every((each) => late.has(each))) return giveUp()
        timer = setTimeout(giveUp, stragglerTimeoutMs)
      }
      for (const [endpoint, answer] of answers.entries()) {
        const settle = (result: PromiseSettledResult<T>) => {
          results[endpoint] = result
          missing.delete(endpoint)
          if (result.status === 'fulfilled' && late.delete(endpoint)) onLate?.(endpoint, false)
          update()
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
  reason: new Error('The request timed out: a quorum of the other endpoints has answered.'),
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
    `${answered} endpoints answered; ${needed} are needed.`,
    { cause: reason, facts: { answered, needed } },
  )
}

interface KeyedAnswer<T> {
  readonly answer: T
  /** Text that is equal for equal answers. */
  readonly key: string
}

/** The largest group of equal answers. */
function mostCommon<T>(answers: readonly KeyedAnswer<T>[]): readonly KeyedAnswer<T>[] {
  let best: readonly KeyedAnswer<T>[] = []
  for (const group of Map.groupBy(answers, ({ key }) => key).values()) {
    if (group.length > best.length) best = group
  }
  return best
}

/* HEADS */

/**
 * Newest and final block with the account's transaction counts at both. All four numbers belong to blocks on which the
 * quorum agrees.
 */
async function readHeads(
  group: EndpointGroup,
  account: Hex,
  finality: FinalityRule,
): Promise<Heads> {
  const { latest, final } = await readHeights(group, finality)
  const [at, atFinal] = await Promise.all([
    readCount(group, account, latest),
    final === latest ? undefined : readCount(group, account, final),
  ])
  const tip = await readTip(group)
  return {
    latest: { number: Number(latest), count: at.count, baseFee: at.baseFee },
    final: { number: Number(final), count: (atFinal ?? at).count },
    tip,
  }
}

/** Numbers of the newest and the final block: the highest that a quorum of the endpoints has reached. */
async function readHeights(group: EndpointGroup, finality: FinalityRule) {
  const tops = fulfilled(
    await group.ask(async (client) => {
      const latest = await client.getBlock({ blockTag: 'latest' })
      const final =
        'tag' in finality ? await client.getBlock({ blockTag: finality.tag }) : undefined
      return { latest: requireNumber(latest), final: final && requireNumber(final) }
    }),
    group.quorum,
  )
  const latest = supported(
    tops.map((top) => top.latest),
    group.quorum,
  )
  const final =
    'tag' in finality
      ? minimum(
          supported(
            tops.map((top) => top.final ?? 0n),
            group.quorum,
          ),
          latest,
        )
      : maximum(latest - BigInt(finality.depth), 0n)
  return { latest, final }
}

async function readHash(client: PublicClient, blockNumber: bigint): Promise<Hex> {
  return (await client.getBlock({ blockNumber })).hash
}

function requireNumber({ number }: { readonly number: bigint | null }): bigint {
  if (typeof number === 'bigint' && number >= 0n) return number
  throw new Error('The endpoint returned a block without a number.')
}

/** The highest number that a quorum reaches: one endpoint alone cannot raise it. */
function supported(numbers: readonly bigint[], quorum: number): bigint {
  const descending = [...numbers].sort((a, b) => (a < b ? 1 : -1))
  return descending[quorum - 1] ?? 0n
}

function readCount(group: EndpointGroup, address: Hex, blockNumber: bigint) {
  return group.agree(
    'transaction count',
    async (client) => {
      const block = await client.getBlock({ blockNumber })
      const count = await client.getTransactionCount({ address, blockNumber })
      return { hash: block.hash, count, baseFee: block.baseFeePerGas ?? 0n }
    },
    ({ hash, count, baseFee }) => `${hash} ${count} ${baseFee}`,
  )
}

/** The tip in wei per gas. With three endpoints it is the median, so that one alone cannot make it too high or too low. */
async function readTip(group: EndpointGroup): Promise<bigint> {
  const tips = await group.ask((client) => client.estimateMaxPriorityFeePerGas())
  return supported(fulfilled(tips, group.quorum), group.quorum)
}

/** In wei. Endpoints may be at different blocks; one alone cannot hide that the account is empty. */
async function readBalance(group: EndpointGroup, address: Hex): Promise<bigint> {
  const balances = await group.ask((client) => client.getBalance({ address }))
  return supported(fulfilled(balances, group.quorum), group.quorum)
}

/* RECEIPTS */

/**
 * Receipts of transactions. A receipt counts if a quorum returned the same block and status, and is absent only if a
 * quorum said so. Without a quorum the map has no entry.
 */
async function readReceipts(
  group: EndpointGroup,
  hashes: readonly Hex[],
): Promise<ReadonlyMap<Hex, Receipt | null>> {
  const pairs = await Promise.all(
    hashes.map(async (hash) => [hash, await readReceipt(group, hash)] as const),
  )
  return new Map(
    pairs.flatMap(([hash, receipt]) => (receipt === undefined ? [] : [[hash, receipt]])),
  )
}

/** Undefined if there is no quorum; the outbox then changes nothing. */
async function readReceipt(group: EndpointGroup, hash: Hex): Promise<Receipt | null | undefined> {
  const results = await group.ask(
    async (client): Promise<KeyedAnswer<Receipt | null>> => {
      const answer = await askReceipt(client, hash)
      return { answer, key: receiptKey(answer) }
    },
    (answers) => mostCommon(answers).length >= group.quorum,
  )
  const answers = valuesOf(results)
  const agreed = mostCommon(answers)
  if (agreed.length < answers.length) group.disagree('receipt')
  const [first] = agreed
  if (first === undefined || agreed.length < group.quorum) return undefined
  if (first.answer === null) return null
  // the cost is for metrics only, so it need not be equal; two endpoints must reach it
  const costs = agreed.flatMap(({ answer }) => (answer === null ? [] : [answer.cost]))
  return { ...first.answer, cost: supported(costs, group.quorum) }
}

function receiptKey(receipt: Receipt | null): string {
  if (receipt === null) return 'none'
  return `${receipt.blockHash} ${receipt.blockNumber} ${receipt.succeeded}`
}

/** One endpoint's receipt of a transaction; null if it does not know one. */
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

/** Sends to every endpoint, because one may drop transactions. */
async function broadcast(group: EndpointGroup, raw: Hex): Promise<NodeAnswer> {
  const results = await group.ask(
    (client) =>
      client
        .sendRawTransaction({ serializedTransaction: raw })
        .then((): NodeAnswer => 'accepted', classifyNodeError),
    (answers) => answers.filter((answer) => answer !== 'unreachable').length >= group.quorum,
  )
  return combineAnswers(
    results.map((each) => (each.status === 'fulfilled' ? each.value : 'unreachable')),
    group.quorum,
  )
}

/* SIMULATE */

type GasEstimateResult =
  | { readonly ok: true; readonly gas: bigint }
  | { readonly ok: false; readonly lastError: LastError }

/**
 * Simulates the call of an intent and estimates its gas. Success and refusal both need a quorum: a call that fails
 * on-chain costs gas, and an intent that is refused too often is abandoned.
 */
async function simulate(
  group: EndpointGroup,
  account: Hex,
  targets: Targets,
  intent: Intent,
): Promise<Simulation> {
  const target = requireTarget(targets, intent.kind)
  const { to, data, value = 0n } = target.encode(intent)
  const call = { to, data, value }
  const estimateOn = async (client: PublicClient): Promise<GasEstimateResult> => {
    try {
      await client.call({ account, ...call })
      const reason = await target.refusal?.(intent, client)
      if (reason !== undefined) return { ok: false, lastError: toLastError(reason) }
      return { ok: true, gas: await client.estimateGas({ account, ...call }) }
    } catch (error) {
      const refusal = describeRevert(error, target)
      if (refusal === undefined) throw error
      return { ok: false, lastError: refusal }
    }
  }
  const conclude = (estimates: readonly GasEstimateResult[]): Simulation | undefined => {
    const gas = agreedGas(
      estimates.flatMap((estimate) => (estimate.ok ? [estimate.gas] : [])),
      group.quorum,
    )
    if (gas !== undefined) return { ok: true, call: { ...call, gas } }
    const refusals = estimates.filter((estimate) => !estimate.ok)
    return refusals.length >= group.quorum ? refusals[0] : undefined
  }
  const estimates = fulfilled(
    await group.ask(estimateOn, (found) => conclude(found) !== undefined),
    group.quorum,
  )
  if (new Set(estimates.map(({ ok }) => ok)).size > 1) group.disagree('simulation')
  const concluded = conclude(estimates)
  if (concluded !== undefined) return concluded
  group.disagree('simulation')
  throw disagreement('the simulation of a call', estimates.length)
}

/** Estimates of honest nodes differ by their search method and block, but by less than a quarter. */
const estimateTolerance = { times: 5n, of: 4n }

/**
 * The highest gas estimate of a group of at least `quorum` similar estimates; undefined if there is no such group. Too
 * little gas makes the transaction fail, unused gas is not paid.
 */
export function agreedGas(estimates: readonly bigint[], quorum: number): bigint | undefined {
  const ascending = estimates.filter((gas) => gas > 0n).sort((a, b) => (a < b ? -1 : 1))
  let best: readonly bigint[] = []
  for (const [index, least] of ascending.entries()) {
    const most = (least * estimateTolerance.times) / estimateTolerance.of
    const alike = ascending.slice(index).filter((gas) => gas <= most)
    if (alike.length >= Math.max(best.length, quorum)) best = alike
  }
  return best.at(-1)
}

/** The decoded error of the contract; undefined if the endpoint failed and not the contract. */
export function describeRevert(
  error: unknown,
  target: Pick<Target, 'errors'>,
): LastError | undefined {
  const data = findRevertData(error)
  if (data === undefined && classifyNodeError(error) !== 'reverted') return undefined
  const { name, args } = decodeRevert(data, target)
  return toLastError(
    new AssentError('RELAYER_REVERTED', `The contract refuses the call: ${name}.`, {
      facts: { error: name, args, data: data?.slice(0, longestRevert) ?? null },
    }),
  )
}

/** Longest revert data that is decoded and stored, in characters; an endpoint can return any length. */
const longestRevert = 2 + 2 * 1_024

/** Decodes revert data with the errors of the target's contract. */
function decodeRevert(data: Hex | undefined, target: Pick<Target, 'errors'>) {
  if (data === undefined || data === '0x') return { name: 'no reason given', args: [] }
  if (data.length > longestRevert) return { name: `long error ${data.slice(0, 10)}`, args: [] }
  try {
    const decoded = decodeErrorResult({ abi: target.errors, data })
    // bigint has no JSON form
    const args = (decoded.args ?? []).map((arg) => (typeof arg === 'bigint' ? arg.toString() : arg))
    return { name: String(decoded.errorName), args }
  } catch {
    return { name: `unknown error ${data.slice(0, 10)}`, args: [] }
  }
}

/** Revert data in an error of viem or its causes; `0x` for a revert without data, undefined for another failure. */
function findRevertData(error: unknown): Hex | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { data } = each as { data?: Hex | { data?: Hex } }
    const bytes = typeof data === 'object' ? data.data : data
    if (typeof bytes === 'string' && bytes.startsWith('0x')) return bytes
    if (each instanceof RawContractError) return '0x'
  }
  return undefined
}

/** The target of a kind of intent. @throws RELAYER_PURPOSE_UNSERVED */
export function requireTarget(targets: Targets, kind: string): Target {
  const target = Object.hasOwn(targets, kind) ? targets[kind] : undefined
  if (target === undefined) {
    throw new AssentError(
      'RELAYER_PURPOSE_UNSERVED',
      `This relayer does not accept quotes for ${kind}.`,
      {
        facts: { purpose: kind, served: Object.keys(targets) },
      },
    )
  }
  return target
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

function minimum(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
