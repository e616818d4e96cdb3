/**
 * Asks the chain if a boot may have its keys.
 *
 * All reads of an answer are at one block. A denial is a value with a reason. An outage is an error, so the two cannot
 * be confused.
 */
import {
  type Client,
  decodeAbiParameters,
  decodeFunctionResult,
  encodeFunctionData,
  parseAbi,
  zeroAddress,
} from 'viem'
import { call, getBlock, getBlockNumber, getStorageAt } from 'viem/actions'

import { AssentError } from '../errors/index.ts'
import { type Hex, requireLength, to0x } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import type { BootInfo } from '../quote/measurements/measure.ts'
import { uint256 } from './approval.ts'
import type { ChainEvidence } from './evidence.ts'
import { decodeProbe, encodeProbe, type ProbeAnswer, type ProbeCall } from './probe.ts'
import { appSlots, readAppRules } from './proven/slots.ts'

/** Finality: a tag of the chain, or the newest block minus a number of confirmations. */
export type Finality = 'finalized' | 'safe' | { readonly confirmations: number }

/** The chain as one trusted endpoint serves it. */
export interface BootChain {
  readonly client: Client
  readonly chainId: number
  /** Address of the `KmsAuth` contract, which has the interface of dstack's `DstackKms`. */
  readonly kms: Hex
  /** Which block is read. */
  readonly finality: Finality
  /** Highest block age in seconds. */
  readonly maxBlockAgeSeconds: number
  /** Milliseconds for each request. */
  readonly timeoutMs: number
  readonly clock: Clock
}

/** The block at which a decision was made. Its timestamp is in Unix seconds. */
export interface DecisionBlock {
  readonly number: bigint
  readonly hash: Hex
  readonly timestamp: number
}

/** Key epochs of a release, counted from 1: `write` for new data, `read` the oldest that it may read. */
export interface KeyEpochs {
  /** Epoch of the key for new data. */
  readonly write: number
  /** Oldest epoch whose key the release also gets: `write`, or the one before during a migration. */
  readonly read: number
}

/**
 * Where a denial comes from:
 *
 * - `contract-rules`: approvals and rules of the registries;
 * - `contract-failure`: the app's contract reverted, ran out of gas or returned malformed data;
 * - `foreign-app`: the code of the app's contract is not pinned, and the settings refuse such apps;
 * - `unconfirmed-withdrawal`: the newest block of one endpoint shows a withdrawal that is not final yet.
 */
export type DenialSource =
  | 'contract-rules'
  | 'contract-failure'
  | 'foreign-app'
  | 'unconfirmed-withdrawal'

/** The answer of the chain about one boot. An outage is not a decision: it is thrown. */
export type BootDecision = {
  /** Reason of the contract; empty if the boot is allowed. */
  readonly reason: string
  /** App id of the dstack gateway, as `KmsAuth` stores it. dstack passes it on to the guest. */
  readonly gatewayAppId: string
  readonly block: DecisionBlock
  /** Storage proofs of the decision; undefined if a single endpoint was trusted. */
  readonly evidence?: ChainEvidence
  /** Key epochs of an allowed app, if it counts epochs. */
  readonly epochs?: KeyEpochs
} & ({ readonly allowed: true } | { readonly allowed: false; readonly refusedBy: DenialSource })

/** Facts of a boot for the contracts. Callers of the auth webhook can send any TCB status. */
export type EvaluatedBoot = Omit<BootInfo, 'teeVariant' | 'tcbStatus' | 'keyProviderInfo'> & {
  /** TCB status by Intel's names, such as `UpToDate`. */
  readonly tcbStatus: string
  /**
   * mr_system at boot time, for a base image that could not be measured. A measurement set with it must be approved for
   * the image, even if the image is not closed.
   */
  readonly requiredMrSystem?: Uint8Array
}

/** The two questions of dstack's interface: may this app boot, and may this KMS node run. */
export type BootQuestion = 'isAppAllowed' | 'isKmsAllowed'

/** What dstack's `GET /` and `GetMeta` say about the contract. */
export interface KmsFacts {
  readonly gatewayAppId: string
  /** Code that new apps of this `KmsAuth` get. */
  readonly appImplementation: Hex
  readonly block: DecisionBlock
}

/** Decides by the chain: through one trusted endpoint, or with proven state. */
export interface BootAuthorizer {
  /** EIP-155 chain id. */
  readonly chainId: number
  /** The KmsAuth (DstackKms) contract. */
  readonly kms: Hex
  /** Decides about a boot. @throws CHAIN_*, CONTRACT_* for an outage */
  authorize(question: BootQuestion, boot: EvaluatedBoot): Promise<BootDecision>
  /** Facts about the contract for `GET /` and `GetMeta`. @throws CHAIN_*, CONTRACT_* */
  facts(): Promise<KmsFacts>
  /** The newest key epoch of an app; undefined if the app has no epochs. @throws CHAIN_* */
  newestEpoch?(appId: Uint8Array): Promise<number | undefined>
  /** Registers an observer of chain snapshots and endpoint faults. */
  watch?(observe: (event: ChainEvent) => void): void
  /** Error code of the last failed snapshot; undefined if the last one succeeded. */
  trouble?(): string | undefined
}

/** An endpoint that returned other data than the quorum, or none, with an error code. */
export interface EndpointFault {
  /** Name of the endpoint: its host, without credentials. */
  readonly endpoint: string
  /** Error code, for example `CHAIN_TIMEOUT` or `CHAIN_PROOF_REFUSED`. */
  readonly code: string
}

/**
 * What an observer of a chain view is told: `looked`: a new snapshot was read; `failed`: no snapshot could be read,
 * with the error code; `dissent`: one endpoint served unusable data, and the view continued without it.
 */
export type ChainEvent =
  | {
      readonly kind: 'looked'
      readonly block: DecisionBlock
      readonly disagreeing: readonly EndpointFault[]
    }
  | { readonly kind: 'failed'; readonly code: string }
  | { readonly kind: 'dissent'; readonly dissent: EndpointFault }

/**
 * Authorizes through one trusted endpoint, without proofs. The operator of the endpoint controls the decisions, so use it
 * only for an endpoint of your own.
 *
 * It cannot check measurement sets, so it refuses a boot whose base image needs one.
 *
 * @throws from `authorize`: IMAGE_UNKNOWN for such a boot, CHAIN_*, CONTRACT_MISSING
 */
export function believeEndpoint(chain: BootChain): BootAuthorizer {
  return {
    chainId: chain.chainId,
    kms: chain.kms,
    authorize: async (question, boot) => {
      if (boot.requiredMrSystem === undefined) return askBoot(chain, question, boot)
      const message = 'Images that cannot be measured need a chain that is proven.'
      throw new AssentError('IMAGE_UNKNOWN', message)
    },
    facts: () => readKmsFacts(chain),
    newestEpoch: (appId) => readNewestEpoch(chain, appId),
  }
}

const bootAbi = parseAbi([
  'struct AppBootInfo { address appId; bytes32 composeHash; address instanceId; bytes32 deviceId; bytes32 mrAggregated; bytes32 mrSystem; bytes32 osImageHash; string tcbStatus; string[] advisoryIds; }',
  'function isAppAllowed(AppBootInfo bootInfo) view returns (bool isAllowed, string reason)',
  'function isKmsAllowed(AppBootInfo bootInfo) view returns (bool isAllowed, string reason)',
  'function gatewayAppId() view returns (string)',
  'function appImplementation() view returns (address)',
  'function epochsOf(bytes32 composeHash) view returns (uint32 write, uint32 read)',
])

/** Gas limit of a call; an app contract that needs more fails. All calls of a probe stay below EIP-7825's cap. */
const questionGas = 4_000_000
const readGas = 500_000
/**
 * Gas limit of a whole `eth_call` with all its parts: below the cap of EIP-7825 for one transaction, which some nodes
 * also apply to calls.
 */
export const callGas = 16_000_000n

/**
 * Asks one endpoint about a boot, in a single `eth_call` at one block.
 *
 * @returns a denial for each failure of a contract, because a contract that cannot answer allows nothing
 * @throws CHAIN_* if the answer cannot be known now, CONTRACT_MISSING, LENGTH_WRONG
 */
export async function askBoot(
  chain: BootChain,
  question: BootQuestion,
  boot: EvaluatedBoot,
): Promise<BootDecision> {
  const calls = [questionCall(chain.kms, question, boot), readCall(chain, 'gatewayAppId')]
  const { appId, composeHash } = toTuple(boot)
  if (question === 'isAppAllowed') calls.push(epochsCall(appId, composeHash))
  const { block, answers } = await probe(chain, calls)
  const seen = { gatewayAppId: decodeRead(chain, answers[1], decodeGateway), block }
  const answer = decodeAnswer(question, answers[0])
  const epochs = answer.allowed ? decodeEpochs(answers[2]) : undefined
  if (epochs === 'none of ours') {
    const reason = 'app contract returned epochs that cannot be'
    return { allowed: false, refusedBy: 'contract-failure', reason, ...seen }
  }
  return { ...answer, ...seen, ...(epochs ? { epochs } : {}) }
}

/** Key epochs that an app grants; undefined if it has no epochs. */
function decodeEpochs(answer: ProbeAnswer | undefined): KeyEpochs | 'none of ours' | undefined {
  if (!answer?.succeeded || answer.data?.length !== 64) return undefined
  const [write, read] = [0, 32].map((at) =>
    Number(BigInt(to0x(answer.data?.subarray(at, at + 32) ?? new Uint8Array()))),
  ) as [number, number]
  const isPossible = write >= 1 && write < 2 ** 32 && (read === write || read === write - 1)
  return isPossible && read >= 1 ? { write, read } : 'none of ours'
}

/** The app's newest key epoch, if it has epochs. @throws CHAIN_* */
async function readNewestEpoch(chain: BootChain, appId: Uint8Array): Promise<number | undefined> {
  requireLength(appId, 'app id', 20)
  const address = to0x(appId)
  const calls = [readCall(chain, 'gatewayAppId'), epochsCall(address, uint256(0n))]
  const { block, answers } = await probe(chain, calls)
  const counts = answers[1]?.succeeded && answers[1].data?.length === 64
  if (!counts) return undefined
  const slot = appSlots.rules
  const word = await answerOf(chain, 'eth_getStorageAt', () =>
    getStorageAt(chain.client, { address, slot, blockNumber: block.number }),
  )
  return readAppRules(BigInt(word ?? '0x0'), 0n).epochsOpened + 1
}

function epochsCall(to: Hex, composeHash: Hex): ProbeCall {
  const functionName = 'epochsOf'
  const data = encodeFunctionData({ abi: bootAbi, functionName, args: [composeHash] })
  return { to, data, gas: readGas }
}

/**
 * Encodes the question as one part of a probe, with its own gas limit. An app's contract that needs more gas fails
 * alone.
 */
export function questionCall(kms: Hex, question: BootQuestion, boot: EvaluatedBoot): ProbeCall {
  const data = encodeFunctionData({
    abi: bootAbi,
    functionName: question,
    args: [toTuple(boot)],
  })
  return { to: kms, data, gas: questionGas }
}

/**
 * Reads gateway app id and app implementation at one block.
 *
 * @throws CHAIN_*, CONTRACT_MISSING
 */
export async function readKmsFacts(chain: BootChain): Promise<KmsFacts> {
  const { block, answers } = await probe(chain, [
    readCall(chain, 'gatewayAppId'),
    readCall(chain, 'appImplementation'),
  ])
  return {
    gatewayAppId: decodeRead(chain, answers[0], decodeGateway),
    appImplementation: decodeRead(chain, answers[1], decodeImplementation),
    block,
  }
}

/**
 * The boot info tuple of dstack's ABI (`AppBootInfo`). A boot without an instance id has the zero address there.
 *
 * @throws LENGTH_WRONG if an id does not have its length
 */
export function toTuple(boot: EvaluatedBoot) {
  const fixed = (name: keyof EvaluatedBoot, length: number): Hex => {
    const bytes = boot[name] as Uint8Array
    requireLength(bytes, name, length)
    return to0x(bytes)
  }
  return {
    appId: fixed('appId', 20),
    composeHash: fixed('composeHash', 32),
    instanceId: boot.instanceId.length === 0 ? zeroAddress : fixed('instanceId', 20),
    deviceId: fixed('deviceId', 32),
    mrAggregated: fixed('mrAggregated', 32),
    mrSystem: fixed('mrSystem', 32),
    osImageHash: fixed('osImageHash', 32),
    tcbStatus: boot.tcbStatus,
    advisoryIds: boot.advisoryIds,
  }
}

function readCall({ kms }: BootChain, functionName: 'gatewayAppId' | 'appImplementation') {
  return { to: kms, data: encodeFunctionData({ abi: bootAbi, functionName }), gas: readGas }
}

async function probe(chain: BootChain, calls: Parameters<typeof encodeProbe>[0]) {
  const block = await believedBlock(chain)
  const { data } = await answerOf(chain, 'eth_call', () =>
    call(chain.client, { data: encodeProbe(calls), gas: callGas, blockNumber: block.number }),
  )
  const { chainId, codeSizes, answers } = decodeProbe(data, calls.length)
  if (chainId !== BigInt(chain.chainId)) {
    throw new AssentError(
      'CHAIN_ID_WRONG',
      `The endpoint serves chain ${chainId}, not ${chain.chainId}.`,
      { facts: { expected: chain.chainId, found: String(chainId) } },
    )
  }
  const isMissing = calls.some(({ to }, index) => to === chain.kms && codeSizes[index] === 0)
  if (isMissing) {
    throw new AssentError('CONTRACT_MISSING', `There is no contract at ${chain.kms}.`, {
      facts: { address: chain.kms, chainId: chain.chainId, block: String(block.number) },
    })
  }
  return { block, answers }
}

/** @throws CHAIN_STALE, CHAIN_HEAD_TOO_LOW, CHAIN_UNREACHABLE, CHAIN_TIMEOUT */
async function believedBlock(chain: BootChain): Promise<DecisionBlock> {
  const { client, finality } = chain
  const block = await answerOf(chain, 'eth_getBlockByNumber', async () => {
    if (typeof finality === 'string') return getBlock(client, { blockTag: finality })
    const head = await getBlockNumber(client, { cacheTime: 0 })
    const number = head - BigInt(finality.confirmations)
    if (number < 0n) {
      throw new AssentError('CHAIN_HEAD_TOO_LOW', 'The chain is shorter than the confirmations.', {
        facts: { head: String(head), confirmations: finality.confirmations },
      })
    }
    return getBlock(client, { blockNumber: number })
  })
  const age = chain.clock() - Number(block.timestamp)
  if (age > chain.maxBlockAgeSeconds) {
    throw new AssentError('CHAIN_STALE', `The newest believed block is ${age} seconds old.`, {
      facts: { block: String(block.number), age, bound: chain.maxBlockAgeSeconds },
    })
  }
  return { number: block.number, hash: block.hash, timestamp: Number(block.timestamp) }
}

/**
 * Decodes the contract's answer. A revert, a missing answer and malformed data are denials with the source
 * `contract-failure`.
 */
export function decodeAnswer(question: BootQuestion, answer: ProbeAnswer | undefined) {
  const failure = (reason: string) =>
    ({ allowed: false, refusedBy: 'contract-failure', reason }) as const
  if (answer?.data === undefined) return failure('app contract returned too much data')
  if (!answer.succeeded) return failure(revertReason(answer.data))
  try {
    const [allowed, reason] = decodeFunctionResult({
      abi: bootAbi,
      functionName: question,
      data: to0x(answer.data),
    })
    if (allowed) return { allowed, reason }
    return { allowed, refusedBy: 'contract-rules', reason } as const
  } catch {
    return failure('app contract returned malformed data')
  }
}

/** Text of `Error(string)`, or our own text for other reverts; shortened, because it is untrusted. */
function revertReason(data: Uint8Array): string {
  if (to0x(data.subarray(0, 4)) === '0x08c379a0') {
    try {
      const [text] = decodeAbiParameters([{ type: 'string' }], to0x(data.subarray(4)))
      return `app contract reverted: ${text.slice(0, 200)}`
    } catch {
      return 'app contract reverted with malformed data'
    }
  }
  if (data.length === 0) return 'app contract reverted or ran out of gas'
  return `app contract reverted: ${to0x(data.subarray(0, 4))}`
}

/** @throws CONTRACT_MISMATCH if the contract at the address is not a KmsAuth */
function decodeRead<T>(
  { kms, chainId }: BootChain,
  answer: ProbeAnswer | undefined,
  decode: (data: Hex) => T,
): T {
  try {
    if (answer?.data === undefined || !answer.succeeded) throw new TypeError('The call failed.')
    return decode(to0x(answer.data))
  } catch (cause) {
    const message = `The contract at ${kms} does not answer as a KmsAuth does.`
    throw new AssentError('CONTRACT_MISMATCH', message, {
      cause,
      facts: { address: kms, chainId },
    })
  }
}

function decodeGateway(data: Hex): string {
  return decodeFunctionResult({ abi: bootAbi, functionName: 'gatewayAppId', data })
}

function decodeImplementation(data: Hex): Hex {
  return decodeFunctionResult({ abi: bootAbi, functionName: 'appImplementation', data })
}

/** Runs one request with a time limit; each failure counts as an outage of the endpoint. */
async function answerOf<T>(chain: BootChain, method: string, ask: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new AssentError('CHAIN_TIMEOUT', `No answer within ${chain.timeoutMs} ms.`, {
      facts: { method, timeoutMs: chain.timeoutMs },
    })
    timer = setTimeout(() => reject(error), chain.timeoutMs)
  })
  try {
    return await Promise.race([ask(), late])
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw new AssentError('CHAIN_UNREACHABLE', `The endpoint did not answer ${method}.`, {
      cause,
      facts: { method },
    })
  } finally {
    clearTimeout(timer)
  }
}
