/**
 * Asks the contracts themselves, with `eth_call`: for a node that trusts one endpoint, and for a foreign app.
 *
 * A node with storage proofs loads this file only for a foreign app, because viem needs more memory than the node.
 */
import {
  type Client,
  decodeAbiParameters,
  decodeFunctionResult,
  encodeFunctionData,
  parseAbi,
} from 'viem'
import { call, getBlock, getBlockNumber, getStorageAt } from 'viem/actions'

import { AssentError } from '../../errors/index.ts'
import { type Hex, requireLength, to0x } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { uint256 } from '../approval.ts'
import { appSlots, readAppRules } from '../proven/slots.ts'
import { decodeProbe, encodeProbe, type ProbeAnswer, type ProbeCall } from '../rpc/probe.ts'
import {
  type BootAuthorizer,
  type BootDecision,
  type BootQuestion,
  type DecisionBlock,
  type EvaluatedBoot,
  type Finality,
  type KeyEpochs,
  type KmsFacts,
  toTuple,
} from './boot.ts'

/** The chain as one trusted endpoint serves it. */
export interface BootChain {
  /** Client of the trusted endpoint. */
  readonly client: Client
  /** The endpoint is an outage if it serves another chain. */
  readonly chainId: number
  /** Address of the `KmsAuth` contract, which has the interface of dstack's `DstackKms`. */
  readonly kms: Hex
  /** The block to read. */
  readonly finality: Finality
  /** Highest block age in seconds. */
  readonly maxBlockAgeSeconds: number
  /** Milliseconds for each request. */
  readonly timeoutMs: number
  /** Unix seconds, to compare with the block's timestamp. */
  readonly clock: Clock
}

/**
 * Authorizes through one trusted endpoint, without proofs. The operator of the endpoint controls the decisions, so use it
 * only for an endpoint of your own.
 *
 * It cannot check measurement sets, so it refuses a boot whose base image needs one.
 *
 * @throws from `authorize`: IMAGE_UNKNOWN for such a boot, CHAIN_*, CONTRACT_MISSING
 * @example const authorizer = trustSingleEndpoint({ ...chain, client, chainId: 1 })
 */
export function trustSingleEndpoint(chain: BootChain): BootAuthorizer {
  return {
    chainId: chain.chainId,
    kms: chain.kms,
    authorize: async (question, boot) => {
      if (boot.requiredMrSystem === undefined) return callBootContract(chain, question, boot)
      const message = 'Images that cannot be measured need a chain that is proven.'
      throw new AssentError('IMAGE_UNKNOWN', message)
    },
    facts: () => readKmsFacts(chain),
    newestEpoch: async (appId, beforeRequest) => {
      beforeRequest?.()
      return readNewestEpoch(chain, appId)
    },
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
 * @example const { allowed, reason } = await callBootContract(chain, 'isAppAllowed', boot)
 */
export async function callBootContract(
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
