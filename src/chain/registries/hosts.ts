/** The host registry (`Hosts`): report data of a host's quote, permits, calls, and reads. */
import {
  type Account,
  type Address,
  type Chain,
  decodeFunctionData,
  encodeAbiParameters,
  encodeFunctionData,
  hashTypedData,
  keccak256,
  type PublicClient,
  parseEventLogs,
  TransactionNotFoundError,
  type Transport,
  toBytes,
  type WalletClient,
} from 'viem'

import { concatBytes, fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { hostsAbi } from '../abi.ts'
import { type Call, callOf, toChainError } from '../call.ts'
import { type HistoryOptions, historyOf } from '../rpc/history.ts'
import { isSignedBy } from '../rpc/signature.ts'

/**
 * What the report data of a host's quote commits to. It prevents that a quote is used on another chain, in another
 * registry, by another operator, or much later.
 */
export interface HostBinding {
  /** EIP-155 id of the chain, so that a quote counts on one chain only. */
  readonly chainId: number
  /** Address of the `Hosts` contract. */
  readonly registry: Address
  /** Account that registers the host or signs the permit. */
  readonly operator: Address
  /** A recent block. The contract accepts it for `HostRules.window` blocks. */
  readonly block: { readonly number: bigint; readonly hash: Hex }
}

const domain = keccak256(toBytes('assent-host-v1'))

/**
 * The 64 bytes of report data with which a quote registers a host: keccak-256 of the ABI-encoded binding, then 32 zero
 * bytes (`Hosts.reportDataFor`).
 *
 * @example
 * const binding = await bindToNewestBlock(client, hosts, operator)
 * const { quote } = await quoteSource.attest(hostReportData(binding))
 */
export function hostReportData(binding: HostBinding): Uint8Array {
  const preimage = encodeAbiParameters(
    [
      { type: 'bytes32' },
      { type: 'uint256' },
      { type: 'address' },
      { type: 'address' },
      { type: 'uint256' },
      { type: 'bytes32' },
    ],
    [
      domain,
      BigInt(binding.chainId),
      binding.registry,
      binding.operator,
      binding.block.number,
      binding.block.hash,
    ],
  )
  return concatBytes(fromHex(keccak256(preimage), 'digest'), new Uint8Array(32))
}

/**
 * A binding to the block before the newest one, because a contract knows only the hashes of blocks before its own.
 *
 * @throws CHAIN_UNREACHABLE
 * @example
 * const binding = await bindToNewestBlock(client, hosts, operator)
 * const quote = await agent.quote(hostReportData(binding))
 */
export async function bindToNewestBlock(
  client: PublicClient,
  registry: Address,
  operator: Address,
): Promise<HostBinding> {
  try {
    const [chainId, block] = await Promise.all([client.getChainId(), client.getBlock()])
    // block 0 has no parent
    const bound =
      block.number === 0n
        ? { number: 0n, hash: block.hash }
        : { number: block.number - 1n, hash: block.parentHash }
    return { chainId, registry, operator, block: bound }
  } catch (cause) {
    throw toChainError(cause, 'read the newest block')
  }
}

/**
 * Registers the host on which a quote was made. The sender must be the operator in the report data.
 *
 * @param quote the raw quote, or a compact form
 * @param blockNumber the block of the binding
 * @example await sendCall(operator, registerHost(hosts, quote, binding.blockNumber))
 */
export function registerHost(registry: Address, quote: Uint8Array, blockNumber: bigint): Call {
  return {
    to: registry,
    data: encodeFunctionData({
      abi: hostsAbi,
      functionName: 'register',
      args: [to0x(quote), blockNumber],
    }),
    summary: `prove a host with a quote after block ${blockNumber}`,
  }
}

/** The operator's EIP-712 signature that lets anyone submit one quote. */
export interface HostPermit {
  /** The account that becomes or stays the operator; it signed the permit. */
  readonly operator: Address
  /** Last second in which the permit is valid, Unix seconds. */
  readonly deadline: number
  /** 65 bytes of an account with a key, or what a contract accepts (EIP-1271). */
  readonly signature: Hex
}

/**
 * Registers a host for an operator that signed a permit. Anyone can send it and pays the gas.
 *
 * @param blockNumber the block of the binding
 * @example
 * const permit = await signHostPermit(wallet, binding, quote, now + 600)
 * await sendCall(relayer, registerHostFor(hosts, quote, binding.blockNumber, permit))
 */
export function registerHostFor(
  registry: Address,
  quote: Uint8Array,
  blockNumber: bigint,
  permit: HostPermit,
): Call {
  return {
    to: registry,
    data: encodeFunctionData({
      abi: hostsAbi,
      functionName: 'registerFor',
      args: [permit.operator, to0x(quote), blockNumber, BigInt(permit.deadline), permit.signature],
    }),
    summary: `prove a host of ${permit.operator} with a quote after block ${blockNumber}`,
  }
}

const permitTypes = {
  HostRegistration: [
    { name: 'quoteHash', type: 'bytes32' },
    { name: 'blockNumber', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
  ],
} as const

/** The EIP-712 typed data that a permit signs. */
function permitData(
  { chainId, registry, block }: Pick<HostBinding, 'chainId' | 'registry' | 'block'>,
  quote: Uint8Array,
  deadline: number,
) {
  return {
    domain: { name: 'Assent Hosts', version: '1', chainId, verifyingContract: registry },
    types: permitTypes,
    primaryType: 'HostRegistration',
    message: {
      quoteHash: keccak256(quote),
      blockNumber: block.number,
      deadline: BigInt(deadline),
    },
  } as const
}

/**
 * Tells if the registry would accept the signature of a permit: of a key, or by EIP-1271 of an operator that is a contract
 * now. Its deadline and the report data of the quote are not checked.
 *
 * @throws the client's error if it cannot be found out
 * @example const isSigned = await isPermitSigned(client, binding, quote, permit)
 */
export function isPermitSigned(
  client: PublicClient,
  binding: HostBinding,
  quote: Uint8Array,
  { deadline, signature }: Omit<HostPermit, 'operator'>,
): Promise<boolean> {
  const digest = hashTypedData(permitData(binding, quote, deadline))
  return isSignedBy(client, binding.operator, digest, signature)
}

/**
 * Signs a permit with the operator's key: EIP-712, type `HostRegistration(bytes32 quoteHash,uint256 blockNumber,uint256
 * deadline)`.
 *
 * @param deadline Unix seconds
 * @example
 * const permit = await signHostPermit(walletClient, binding, quote, now + 3600)
 * await relay(registerHostFor(hosts, quote, binding.block.number, permit))
 */
export async function signHostPermit(
  walletClient: WalletClient<Transport, Chain | undefined, Account>,
  binding: Pick<HostBinding, 'chainId' | 'registry' | 'block'>,
  quote: Uint8Array,
  deadline: number,
): Promise<HostPermit> {
  const signature = await walletClient.signTypedData({
    account: walletClient.account,
    ...permitData(binding, quote, deadline),
  })
  return { operator: walletClient.account.address, deadline, signature }
}

/**
 * Ends a host proof whose quote is no longer valid, for example because its PCK certificate was revoked. Anyone can
 * send it. The contract refuses it while the quote is still valid.
 *
 * @param quote exactly the bytes with which the host was registered
 * @example await sendCall(anyone, endProof(hosts, deviceId, quote))
 */
export function endProof(registry: Address, deviceId: Hex, quote: Uint8Array): Call {
  return callOf(registry, hostsAbi, 'endProof', [deviceId, to0x(quote)], `end proof of ${deviceId}`)
}

/** Statement of an operator that a host has another device id since a firmware update. */
export interface Continuity {
  /** The old device id, which has the approval. */
  readonly from: Hex
  /** The new device id, which has a host proof by the same operator. */
  readonly to: Hex
  /** Last second in which the signature is valid, Unix seconds. */
  readonly deadline: number
}

/**
 * Signs the statement with the operator's key: EIP-712, type `HostContinuity(bytes32 from,bytes32 to,uint256
 * deadline)`.
 *
 * @returns the signature for {@link continueAs}
 * @example const signature = await signContinuity(wallet, { chainId: 1, registry: hosts }, { from, to, deadline })
 */
export async function signContinuity(
  walletClient: WalletClient<Transport, Chain | undefined, Account>,
  { chainId, registry }: Pick<HostBinding, 'chainId' | 'registry'>,
  { from, to, deadline }: Continuity,
): Promise<Hex> {
  return walletClient.signTypedData({
    account: walletClient.account,
    domain: { name: 'Assent Hosts', version: '1', chainId, verifyingContract: registry },
    types: {
      HostContinuity: [
        { name: 'from', type: 'bytes32' },
        { name: 'to', type: 'bytes32' },
        { name: 'deadline', type: 'uint256' },
      ],
    },
    primaryType: 'HostContinuity',
    message: { from, to, deadline: BigInt(deadline) },
  })
}

/**
 * Carries an approval over to the new device id. Anyone can send it with the operator's signature. The new id becomes
 * active after the continuity delay, and the old id is withdrawn.
 *
 * @example await sendCall(anyone, continueAs(hosts, { from, to, deadline }, signature))
 */
export function continueAs(
  registry: Address,
  { from, to, deadline }: Continuity,
  signature: Hex,
): Call {
  const args = [from, to, BigInt(deadline), signature] as const
  return callOf(registry, hostsAbi, 'continueAs', args, `continue ${from} as ${to}`)
}

/** The last host proof of one device id; `operator` is the zero address if the host was never proven. Times in unix seconds. */
export interface Host {
  /** The account that registered the proof; zero without one. */
  readonly operator: Address
  /** Time of the registration. */
  readonly attestedAt: number
  /** First second in which the host proof no longer counts. */
  readonly expiresAt: number
  /** Number of the TCB status in contracts/types/Report.sol; 1 is `UpToDate`. */
  readonly status: number
  /** Platform family, 6 bytes. */
  readonly fmspc: Hex
  /** TCB evaluation number of the TCB info. */
  readonly tcbEvaluationNumber: number
  /** TCB evaluation number of the QE identity. */
  readonly qeEvaluationNumber: number
  /** Version of the host's approval at the registration. A later version needs a new host proof. */
  readonly approvalVersion: number
  /** Oldest date of the matching TCB levels. */
  readonly tcbDate: number
  /** Number of the block whose hash is in the quote. */
  readonly provenAtBlock: number
  /** keccak-256 of the advisory ids; the event `HostProven` contains the ids. */
  readonly advisories: Hex
  /** 16 bytes: a platform with several packages; else zero. */
  readonly platformInstanceId: Hex
  /** First 16 bytes of the keccak-256 of the registered quote. */
  readonly quoteDigest: Hex
}

/**
 * Reads the last host proof of a device id, at a block or at the newest one.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example const { operator, expiresAt } = await readHost(client, hosts, deviceId)
 */
export async function readHost(
  client: PublicClient,
  registry: Address,
  deviceId: Hex,
  blockNumber?: bigint,
): Promise<Host> {
  try {
    return await client.readContract({
      address: registry,
      abi: hostsAbi,
      functionName: 'hostOf',
      args: [deviceId],
      ...(blockNumber === undefined ? {} : { blockNumber }),
    })
  } catch (cause) {
    throw toChainError(cause, `read host ${deviceId}`)
  }
}

/**
 * Reads whether a host may run CVMs now.
 *
 * @returns `validUntil`: Unix seconds at which the admission ends without any transaction; 0 if the host is not
 *   admitted
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED
 * @example
 * const { isAdmitted, validUntil } = await readAdmission(client, hosts, deviceId)
 */
export async function readAdmission(
  client: PublicClient,
  registry: Address,
  deviceId: Hex,
): Promise<{ isAdmitted: boolean; validUntil: number }> {
  try {
    const [isAdmitted, validUntil] = await client.readContract({
      address: registry,
      abi: hostsAbi,
      functionName: 'admission',
      args: [deviceId],
    })
    return { isAdmitted, validUntil }
  } catch (cause) {
    throw toChainError(cause, `read the admission of host ${deviceId}`)
  }
}

/**
 * The quote in the calldata of a registration; null for another call.
 *
 * @example
 * const { input } = await client.getTransaction({ hash })
 * const quote = quoteOfRegistration(input)
 */
export function quoteOfRegistration(input: Hex): Hex | null {
  try {
    const { functionName, args } = decodeFunctionData({ abi: hostsAbi, data: input })
    if (functionName === 'register') return args[0]
    return functionName === 'registerFor' ? args[1] : null
  } catch {
    return null
  }
}

/** A proof in the events of the registry. */
export interface ProvenEvent {
  readonly deviceId: Hex
  readonly operator: Address
  readonly transactionHash: Hex
}

/**
 * The last proof of each device, from events, in the order of the first ones.
 *
 * @param fromBlock a block before the first proof
 * @throws CHAIN_UNREACHABLE
 * @example const proven = await listProvenHosts(client, hosts, BigInt(record.contracts.hosts.block))
 */
export async function listProvenHosts(
  client: PublicClient,
  registry: Address,
  fromBlock: bigint,
  onProgress?: HistoryOptions['onProgress'],
): Promise<readonly ProvenEvent[]> {
  const options = { abi: hostsAbi, events: ['HostProven'], onProgress }
  const logs = parseEventLogs({
    abi: hostsAbi,
    eventName: 'HostProven',
    logs: await historyOf(client, registry, fromBlock, options),
  })
  const last = new Map<Hex, ProvenEvent>()
  for (const { args, transactionHash } of logs) {
    last.set(args.deviceId, {
      deviceId: args.deviceId,
      operator: args.operator,
      transactionHash,
    })
  }
  return [...last.values()]
}

/**
 * The quote of the last proof of a device, from the calldata of its transaction.
 *
 * @param quoteDigest of the stored proof: the first 16 bytes of the keccak-256 of the quote
 * @returns null if the registry was called by another contract, or the endpoint does not have the transaction
 * @throws CHAIN_UNREACHABLE
 * @example
 * const { quoteDigest } = await readHost(client, hosts, deviceId)
 * const quote = await findProofQuote(client, hosts, { deviceId, quoteDigest }, fromBlock)
 */
export async function findProofQuote(
  client: PublicClient,
  registry: Address,
  { deviceId, quoteDigest }: { readonly deviceId: Hex; readonly quoteDigest: Hex },
  fromBlock: bigint,
  onProgress?: HistoryOptions['onProgress'],
): Promise<Uint8Array | null> {
  const logs = await historyOf(client, registry, fromBlock, {
    abi: hostsAbi,
    events: ['HostProven'],
    args: { deviceId },
    onProgress,
  })
  const hash = logs.at(-1)?.transactionHash
  if (hash === undefined || hash === null) return null
  const { to, input } = await client.getTransaction({ hash }).catch((cause: unknown) => {
    if (cause instanceof TransactionNotFoundError) return { to: null, input: '0x' as const }
    throw toChainError(cause, 'read the transaction of a host proof')
  })
  const quote = to?.toLowerCase() === registry.toLowerCase() ? quoteOfRegistration(input) : null
  // an endpoint cannot show the quote of another proof
  if (quote === null || keccak256(quote).slice(0, 34) !== quoteDigest) return null
  return fromHex(quote, 'quote')
}

/**
 * The current device id of a host: another one after a continuation.
 *
 * @throws CHAIN_UNREACHABLE
 * @example const current = await readCurrentId(client, hosts, deviceId) // deviceId itself if it was never continued
 */
export async function readCurrentId(
  client: PublicClient,
  registry: Address,
  deviceId: Hex,
): Promise<Hex> {
  const call = { address: registry, abi: hostsAbi, functionName: 'currentIdOf' } as const
  return client.readContract({ ...call, args: [deviceId] }).catch((cause: unknown) => {
    throw toChainError(cause, `read the current id of host ${deviceId}`)
  })
}
