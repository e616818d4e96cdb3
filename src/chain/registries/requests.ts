/** Paid work by attested instances (`Requests`): requests, workers, calls, and the same decision as the contract. */
import {
  type Address,
  concat,
  encodeAbiParameters,
  keccak256,
  type PublicClient,
  parseEventLogs,
  toBytes,
} from 'viem'

import { AssentError } from '../../errors/index.ts'
import { fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { mapWithConcurrency } from '../../lib/map-with-concurrency.ts'
import { requestsAbi } from '../abi.ts'
import { type Call, callOf, toChainError } from '../call.ts'
import { historyOf } from '../rpc/history.ts'

/** Where a request is, at the position of its number on-chain (`IRequests.State`). */
export const requestStates = [
  'unknown',
  'waiting',
  'assigned',
  'late',
  'refundable',
  'fulfilled',
  'refunded',
] as const

/** One of {@link requestStates}. */
export type RequestState = (typeof requestStates)[number]

/** A request as the contract stores it. Times in Unix seconds, amounts in wei, shares in hundredths of a percent. */
export interface RequestRecord {
  readonly requester: Address
  readonly fee: bigint
  readonly app: Address
  /** Last second in which a result counts. */
  readonly deadline: number
  /** Last second in which the present worker is on time. */
  readonly due: number
  readonly ownerShare: number
  /** Zero: no worker. */
  readonly worker: Address
  /** 0: the requester is not called. */
  readonly callbackGas: number
  /** Seconds that each worker has. */
  readonly answerTime: number
  /** How often a worker was assigned. */
  readonly assignments: number
  /** Number of `waiting` while it is open, then of `fulfilled` or `refunded`. */
  readonly settled: number
}

/** A worker as the contract stores it. */
export interface WorkerRecord {
  readonly app: Address
  /** Place in the list of its app, from 1; 0: not in the list. */
  readonly place: number
  /** The most requests at the same time. */
  readonly capacity: number
  /** Requests that it has now. */
  readonly open: number
  /** Late answers for which its bond was not slashed yet. */
  readonly lates: number
  readonly owesContradiction: boolean
  readonly isExcluded: boolean
  readonly operator: Address
  /** The host whose bond counts. */
  readonly deviceId: Hex
}

/** Terms of an app. */
export interface RequestTerms {
  /** Receives the owner's share. */
  readonly payee: Address
  /** Least fee, wei. */
  readonly minFee: bigint
  /** Hundredths of a percent, at most 5,000. */
  readonly ownerShare: number
  /** Seconds that each worker has; 0: the app takes no requests. */
  readonly answerTime: number
}

/** The most workers that one request has. */
export const maxAssignments = 5
/** Longest input reference and longest result, bytes. */
export const maxRequestBytes = 4_096

const noWorker = /^0x0{40}$/

/**
 * The decision of `Requests.stateOf`, from the same record in the same order.
 *
 * @param at Unix seconds: the time of the block
 */
export function judgeRequest(record: RequestRecord, at: number): RequestState {
  const settled = requestStates[record.settled] ?? 'unknown'
  if (settled !== 'waiting') return settled
  const hasWorker = !noWorker.test(record.worker)
  if (hasWorker && at <= record.due) return 'assigned'
  const mayAssign = record.assignments < maxAssignments && at + record.answerTime <= record.deadline
  if (!mayAssign) return 'refundable'
  return hasWorker ? 'late' : 'waiting'
}

/* WHAT IS SIGNED */

/** A `Requests` contract on a chain. */
export interface RequestsContract {
  /** EIP-155 id of the chain. */
  readonly chainId: number
  readonly requests: Address
}

const domainOf = (text: string) => keccak256(toBytes(text))

/** What makes the id of a request. */
export interface RequestIdentity {
  /** Counts the requests of the contract, from 1. */
  readonly number: bigint
  readonly requester: Address
  readonly app: Address
  /** keccak-256 of the input, as the worker gets it. */
  readonly inputDigest: Hex
  /** Unix seconds. */
  readonly deadline: number
}

/** The id of a request (`Requests.idOf`), 32 bytes. */
export function requestId({ chainId, requests }: RequestsContract, made: RequestIdentity): Hex {
  const { number, requester, app, inputDigest, deadline } = made
  const types = [
    'bytes32',
    'uint256',
    'address',
    'uint256',
    'address',
    'address',
    'bytes32',
    'uint40',
  ]
  return keccak256(
    encodeAbiParameters(
      types.map((type) => ({ type })),
      [
        domainOf('assent-request-v1'),
        BigInt(chainId),
        requests,
        number,
        requester,
        app,
        inputDigest,
        deadline,
      ],
    ),
  )
}

/** The digest that a worker signs about a result (`Requests.resultDigest`), 32 bytes. */
export function resultDigest(
  { chainId, requests }: RequestsContract,
  id: Hex,
  result: Uint8Array,
): Uint8Array {
  const types = ['bytes32', 'uint256', 'address', 'bytes32', 'bytes32']
  const values = [
    domainOf('assent-request-result-v1'),
    BigInt(chainId),
    requests,
    id,
    keccak256(result),
  ]
  return fromHex(
    keccak256(
      encodeAbiParameters(
        types.map((type) => ({ type })),
        values,
      ),
    ),
    'digest',
    32,
  )
}

/** The digest with which a key says for whom it works (`Requests.workerDigest`), 32 bytes. */
export function workerDigest(
  { chainId, requests }: RequestsContract,
  { app, operator, deviceId }: Pick<WorkerRecord, 'app' | 'operator' | 'deviceId'>,
): Uint8Array {
  const types = ['bytes32', 'uint256', 'address', 'address', 'address', 'bytes32']
  const values = [
    domainOf('assent-request-worker-v1'),
    BigInt(chainId),
    requests,
    app,
    operator,
    deviceId,
  ]
  return fromHex(
    keccak256(
      encodeAbiParameters(
        types.map((type) => ({ type })),
        values,
      ),
    ),
    'digest',
    32,
  )
}

/**
 * A signature in the form that `Requests` takes: the last byte is 27 or 28.
 *
 * @param signature r ‖ s ‖ recovery id (0 or 1), 65 bytes
 */
export function toContractSignature(signature: Uint8Array): Hex {
  const bytes = signature.slice()
  bytes[64] = 27 + (bytes[64] ?? 0)
  return to0x(bytes)
}

/* INPUTS */

/** Where the input of a request is: in the reference itself, or at an address that serves it. */
export type InputReference =
  | { readonly kind: 'inline'; readonly input: Uint8Array }
  | { readonly kind: 'url'; readonly url: string }

/**
 * Encodes an input reference: one byte (0 inline, 1 address), then the input or the address.
 *
 * @throws INPUT_INVALID if it is longer than a request may have
 */
export function encodeInputReference(reference: InputReference): Hex {
  const isInline = reference.kind === 'inline'
  const rest = isInline ? to0x(reference.input) : to0x(toBytes(reference.url))
  const encoded = concat([isInline ? '0x00' : '0x01', rest])
  if ((encoded.length - 2) / 2 > maxRequestBytes) {
    throw new AssentError('INPUT_INVALID', 'The input is too long to be inside a request.', {
      facts: { found: (encoded.length - 2) / 2, expected: `at most ${maxRequestBytes} bytes` },
    })
  }
  return encoded
}

/** Decodes an input reference; undefined for any other form. */
export function decodeInputReference(encoded: Hex): InputReference | undefined {
  const bytes = fromHex(encoded, 'input reference')
  const rest = bytes.subarray(1)
  if (bytes[0] === 0) return { kind: 'inline', input: rest }
  if (bytes[0] !== 1) return undefined
  try {
    const url = new URL(new TextDecoder('utf-8', { fatal: true }).decode(rest))
    return url.protocol === 'https:' ? { kind: 'url', url: url.href } : undefined
  } catch {
    return undefined
  }
}

/* READS */

/**
 * A request as it is stored; `settled` is 0 if it is unknown.
 *
 * @param blockNumber default: the newest block
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 */
export async function readRequest(
  client: PublicClient,
  requests: Address,
  id: Hex,
  blockNumber?: bigint,
): Promise<RequestRecord> {
  return read(client, requests, 'requestOf', id, blockNumber)
}

/** A worker as it is stored; `app` is zero if it is unknown. @throws CHAIN_UNREACHABLE, CALL_REVERTED */
export async function readWorker(
  client: PublicClient,
  requests: Address,
  key: Address,
  blockNumber?: bigint,
): Promise<WorkerRecord> {
  return read(client, requests, 'workerOf', key, blockNumber)
}

/** The terms of an app; `answerTime` is 0 if it takes no requests. @throws CHAIN_UNREACHABLE, CALL_REVERTED */
export async function readRequestTerms(
  client: PublicClient,
  requests: Address,
  app: Address,
): Promise<RequestTerms> {
  return read(client, requests, 'termsOf', app)
}

/** What an account can withdraw, wei. @throws CHAIN_UNREACHABLE, CALL_REVERTED */
export async function readRequestBalance(
  client: PublicClient,
  requests: Address,
  account: Address,
): Promise<bigint> {
  return read(client, requests, 'balanceOf', account)
}

async function read<T>(
  client: PublicClient,
  address: Address,
  functionName: 'requestOf' | 'workerOf' | 'termsOf' | 'balanceOf',
  key: Hex,
  blockNumber?: bigint,
): Promise<T> {
  const at = blockNumber === undefined ? {} : { blockNumber }
  try {
    const question = { address, abi: requestsAbi, functionName, args: [key], ...at }
    return (await client.readContract(question as Parameters<typeof client.readContract>[0])) as T
  } catch (cause) {
    throw toChainError(cause, `read ${functionName} of ${key}`)
  }
}

/** A request with its event and where it is now. */
export interface ListedRequest extends RequestRecord {
  readonly id: Hex
  readonly state: RequestState
  readonly inputDigest: Hex
  readonly inputReference: Hex
}

/**
 * Requests of an app, oldest first, by the events of `Requests`.
 *
 * @param options block of the deployment, the time of the question in Unix seconds, and how many of the newest to read
 * @throws CHAIN_UNREACHABLE
 */
export async function listRequests(
  client: PublicClient,
  requests: Address,
  app: Address,
  options: { readonly fromBlock: bigint; readonly at: number; readonly most: number },
): Promise<ListedRequest[]> {
  const logs = parseEventLogs({
    abi: requestsAbi,
    eventName: 'Requested',
    logs: await historyOf(client, requests, options.fromBlock, {
      abi: requestsAbi,
      events: ['Requested'],
      args: { app },
    }),
  })
  return mapWithConcurrency(logs.slice(-options.most), async ({ args }) => {
    const { id, inputDigest, inputReference } = args
    const record = await readRequest(client, requests, id)
    return { ...record, id, inputDigest, inputReference, state: judgeRequest(record, options.at) }
  })
}

/** The result of a request with what was paid, wei. */
export interface RequestResult {
  readonly key: Address
  readonly operator: Address
  readonly result: Hex
  readonly isOnTime: boolean
  readonly operatorPart: bigint
  readonly ownerPart: bigint
  readonly daoPart: bigint
}

/**
 * The result of a request, from its event; undefined before an instance has answered.
 *
 * @param fromBlock block of the deployment, or of the request
 * @throws CHAIN_UNREACHABLE
 */
export async function readResult(
  client: PublicClient,
  requests: Address,
  id: Hex,
  fromBlock: bigint,
): Promise<RequestResult | undefined> {
  const args = { id }
  const filter = { abi: requestsAbi, events: ['Fulfilled'], args }
  const found = await historyOf(client, requests, fromBlock, filter)
  const [log] = parseEventLogs({ abi: requestsAbi, eventName: 'Fulfilled', logs: found })
  return log?.args
}

/** How an operator worked, from the events of `Requests`. */
export interface WorkRecord {
  readonly onTime: number
  /** Answered after its time, before another worker was assigned. */
  readonly late: number
  readonly declined: number
  /** Lost because it neither answered nor declined in time, as a fault. */
  readonly missed: number
  /** Lost although its key had lost an approval: no fault. */
  readonly excused: number
  readonly contradictions: number
}

/**
 * Counts what an operator did, from events.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function readWorkRecord(
  client: PublicClient,
  requests: Address,
  operator: Address,
  fromBlock: bigint,
): Promise<WorkRecord> {
  const eventsOf = async (name: 'Fulfilled' | 'Declined' | 'MissedDue' | 'ContradictionProven') =>
    historyOf(client, requests, fromBlock, {
      abi: requestsAbi,
      events: [name],
      args: { operator },
    })
  const [fulfilled, declined, missed, contradictions] = await Promise.all([
    eventsOf('Fulfilled'),
    eventsOf('Declined'),
    eventsOf('MissedDue'),
    eventsOf('ContradictionProven'),
  ])
  const answers = parseEventLogs({ abi: requestsAbi, eventName: 'Fulfilled', logs: fulfilled })
  const misses = parseEventLogs({ abi: requestsAbi, eventName: 'MissedDue', logs: missed })
  const onTime = answers.filter(({ args }) => args.isOnTime).length
  const faults = misses.filter(({ args }) => args.isFault).length
  return {
    onTime,
    late: answers.length - onTime,
    declined: declined.length,
    missed: faults,
    excused: misses.length - faults,
    contradictions: contradictions.length,
  }
}

/* CALLS */

/** What to ask an app. */
export interface NewRequest {
  readonly app: Address
  /** keccak-256 of the input. */
  readonly inputDigest: Hex
  /** From {@link encodeInputReference}. */
  readonly inputReference: Hex
  /** Unix seconds. */
  readonly deadline: number
  /** Wei. */
  readonly fee: bigint
  /** Gas for `onResult` of the sender, which must be a contract; default 0: it is not called. */
  readonly callbackGas?: number
}

/** Asks an app and pays the fee. */
export function requestWork(requests: Address, made: NewRequest): Call {
  const { app, inputDigest, inputReference, deadline, fee, callbackGas = 0 } = made
  const args = [app, inputDigest, inputReference, deadline, callbackGas] as const
  const words = `ask app ${app} for ${fee} wei`
  return { ...callOf(requests, requestsAbi, 'request', args, words), value: fee }
}

/** Assigns a worker to a request that waits or whose worker is late. Anyone. */
export function assignRequest(requests: Address, id: Hex): Call {
  return callOf(requests, requestsAbi, 'assign', [id], `assign a worker to request ${id}`)
}

/** Returns the fee of a request that nobody can answer any more. Anyone. */
export function refundRequest(requests: Address, id: Hex): Call {
  return callOf(requests, requestsAbi, 'refund', [id], `refund request ${id}`)
}

/** Records that the last worker of a refunded request missed its time. Anyone. */
export function recordMissed(requests: Address, id: Hex): Call {
  return callOf(requests, requestsAbi, 'recordMissed', [id], `record the missed request ${id}`)
}

/** Brings a signed result. Anyone. @param signature from {@link toContractSignature} */
export function fulfilRequest(requests: Address, id: Hex, result: Hex, signature: Hex): Call {
  const args = [id, result, signature] as const
  return callOf(requests, requestsAbi, 'fulfil', args, `bring the result of request ${id}`)
}

/** Gives a request back in time. The sender must be the operator or the worker. */
export function declineRequest(requests: Address, id: Hex): Call {
  return callOf(requests, requestsAbi, 'decline', [id], `decline request ${id}`)
}

/** Lets a key work for its app; the sender is its operator. */
export function joinWorkers(
  requests: Address,
  worker: Pick<WorkerRecord, 'app' | 'deviceId' | 'capacity'> & { readonly key: Address },
  signature: Hex,
): Call {
  const { app, key, deviceId, capacity } = worker
  const args = [app, key, deviceId, capacity, signature] as const
  return callOf(requests, requestsAbi, 'join', args, `let ${key} work for app ${app}`)
}

/** Takes a key from the list of its app. The sender must be the operator or the key. */
export function retireWorker(requests: Address, key: Address): Call {
  return callOf(requests, requestsAbi, 'retire', [key], `take ${key} from the workers`)
}

/** Sets the terms of an app. The sender must be its owner. */
export function setRequestTerms(requests: Address, app: Address, terms: RequestTerms): Call {
  const words = `set the terms for requests of app ${app}`
  return callOf(requests, requestsAbi, 'setTerms', [app, terms], words)
}

/** Pays an account's balance to it. Anyone. */
export function withdrawFees(requests: Address, account: Address): Call {
  return callOf(requests, requestsAbi, 'withdraw', [account], `pay ${account} its balance`)
}

/** Slashes the bond of a worker for one fault. Anyone. */
export function slashWorker(requests: Address, key: Address): Call {
  return callOf(requests, requestsAbi, 'slash', [key], `slash the bond of worker ${key}`)
}

/** Two results that one worker signed for one request. Signatures from {@link toContractSignature}. */
export interface Contradiction {
  readonly id: Hex
  readonly key: Address
  readonly results: readonly [Uint8Array, Uint8Array]
  readonly signatures: readonly [Hex, Hex]
}

/** Shows that a worker signed two results. Anyone. */
export function proveContradiction(requests: Address, shown: Contradiction): Call {
  const { id, key, results, signatures } = shown
  const [first, second] = [keccak256(results[0]), keccak256(results[1])]
  const args = [id, key, first, signatures[0], second, signatures[1]] as const
  return callOf(
    requests,
    requestsAbi,
    'proveContradiction',
    args,
    `show that ${key} contradicts itself`,
  )
}
