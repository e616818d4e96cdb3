/** The host registry (`Hosts`): report data of a host's quote, permits, calls, and reads. */
import {
  type Account,
  type Address,
  type Chain,
  encodeAbiParameters,
  encodeFunctionData,
  keccak256,
  type PublicClient,
  type Transport,
  toBytes,
  type WalletClient,
} from 'viem'

import { concatBytes, fromHex, type Hex, to0x } from '../lib/bytes.ts'
import { hostsAbi } from './abi.ts'
import { type Call, callOf, toChainError } from './call.ts'

/** What the report data of a host's quote contains. */
export interface HostBinding {
  readonly chainId: number
  /** The Hosts contract. */
  readonly registry: Address
  readonly operator: Address
  readonly block: { readonly number: bigint; readonly hash: Hex }
}

const domain = keccak256(toBytes('assent-host-v1'))

/** The 64 bytes of report data with which a quote registers a host. They bind chain, registry, operator and block. */
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
 * A binding to the second newest block. A contract knows only the hashes of blocks before the one that it runs in.
 *
 * @throws CHAIN_UNREACHABLE
 */
export async function bindToHead(
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

/** Registers a host; sent by the operator. `blockNumber` is the bound block. */
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

/** Permit: the operator lets anyone submit this quote until `deadline` (unix seconds). */
export interface HostPermit {
  readonly operator: Address
  readonly deadline: number
  readonly signature: Hex
}

/** Registers a host with the operator's permit; anyone may send it. */
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

/** Signs a permit with the operator's key (EIP-712). */
export async function signHostPermit(
  walletClient: WalletClient<Transport, Chain | undefined, Account>,
  binding: Pick<HostBinding, 'chainId' | 'registry' | 'block'>,
  quote: Uint8Array,
  deadline: number,
): Promise<HostPermit> {
  const signature = await walletClient.signTypedData({
    account: walletClient.account,
    domain: {
      name: 'Assent Hosts',
      version: '1',
      chainId: binding.chainId,
      verifyingContract: binding.registry,
    },
    types: permitTypes,
    primaryType: 'HostRegistration',
    message: {
      quoteHash: keccak256(quote),
      blockNumber: binding.block.number,
      deadline: BigInt(deadline),
    },
  })
  return { operator: walletClient.account.address, deadline, signature }
}

/** Ends a host proof that newer collateral cannot make valid again; anyone may send it. @param quote the quote of the host proof */
export function endProof(registry: Address, deviceId: Hex, quote: Uint8Array): Call {
  return callOf(registry, hostsAbi, 'endProof', [deviceId, to0x(quote)], `end proof of ${deviceId}`)
}

/** Continuity: the operator states that a host has another device id since a firmware update. `deadline` in unix seconds. */
export interface Continuity {
  readonly from: Hex
  readonly to: Hex
  readonly deadline: number
}

/** Signs a continuity statement with the operator's key (EIP-712). */
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

/** Carries the approval over to the new device id; anyone may send it with the operator's signature. */
export function continueAs(
  registry: Address,
  { from, to, deadline }: Continuity,
  signature: Hex,
): Call {
  const args = [from, to, BigInt(deadline), signature] as const
  return callOf(registry, hostsAbi, 'continueAs', args, `continue ${from} as ${to}`)
}

/** The last host proof of one device id; `operator` is the zero address if there is none. Times in unix seconds. */
export interface Host {
  readonly operator: Address
  readonly attestedAt: number
  readonly expiresAt: number
  /** Number of the TCB status in contracts/types/Report.sol. */
  readonly status: number
  readonly fmspc: Hex
  readonly tcbEvaluationNumber: number
  readonly qeEvaluationNumber: number
  readonly approvalVersion: number
  readonly tcbDate: number
  readonly provenAtBlock: number
  readonly advisories: Hex
}

/** Reads a host at a block, or at the newest one. @throws CHAIN_UNREACHABLE, CALL_REVERTED */
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

/** Admission of a host now, and until when it holds (unix seconds; 0: not admitted, or no end). */
export async function readAdmission(
  client: PublicClient,
  registry: Address,
  deviceId: Hex,
): Promise<{ isAdmitted: boolean; holdsUntil: number }> {
  try {
    const [isAdmitted, holdsUntil] = await client.readContract({
      address: registry,
      abi: hostsAbi,
      functionName: 'admission',
      args: [deviceId],
    })
    return { isAdmitted, holdsUntil }
  } catch (cause) {
    throw toChainError(cause, `read the admission of host ${deviceId}`)
  }
}
