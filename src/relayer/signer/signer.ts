/** Signs transactions: with a key in this process, or with a remote signer that keeps the key. */
import { keccak256, serializeTransaction, type TransactionSerializableEIP1559 } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

import { connectWeb3Signer, type Web3SignerOptions } from '../../chain/signer/web3signer.ts'
import type { Hex } from '../../lib/bytes.ts'
import type { Fees } from '../outbox/fees.ts'
import type { TransactionCall } from '../outbox/outbox.ts'

/** An EIP-1559 transaction to sign. */
export interface UnsignedTransaction extends TransactionCall, Fees {
  /** The signature is valid on this chain only (EIP-155). */
  readonly chainId: number
  /** From the outbox, never from a node. */
  readonly nonce: number
}

/** A signed transaction: its serialized form and its hash. */
export interface SignedTransaction {
  /** Serialized, as `eth_sendRawTransaction` takes it. */
  readonly raw: Hex
  /** keccak-256 of `raw`. */
  readonly hash: Hex
}

/** Signs for one account. */
export interface TransactionSigner {
  /** The account. */
  readonly address: Hex
  /** Signs. It sends nothing. */
  sign(transaction: UnsignedTransaction): Promise<SignedTransaction>
}

/** Signs with a key in memory, from a keystore or, on test chains, from the settings. */
export function createLocalSigner(privateKey: Hex): TransactionSigner {
  const account = privateKeyToAccount(privateKey)
  return {
    address: account.address.toLowerCase() as Hex,
    async sign(transaction) {
      const raw = await account.signTransaction(toSerializable(transaction))
      return { raw, hash: keccak256(raw) }
    },
  }
}

/**
 * Signs with a web3signer, which keeps the key.
 *
 * @throws SIGNER_UNREACHABLE, SIGNER_WRONG
 */
export async function connectRemoteSigner(options: Web3SignerOptions): Promise<TransactionSigner> {
  const { address, sign } = await connectWeb3Signer(options)
  return {
    address,
    async sign(transaction) {
      const unsigned = toSerializable(transaction)
      const raw = serializeTransaction(unsigned, await sign(serializeTransaction(unsigned)))
      return { raw, hash: keccak256(raw) }
    },
  }
}

function toSerializable(transaction: UnsignedTransaction): TransactionSerializableEIP1559 {
  const { to, data, value, gas, maxFee, tip, chainId, nonce } = transaction
  return {
    type: 'eip1559',
    to,
    data,
    value,
    gas,
    maxFeePerGas: maxFee,
    maxPriorityFeePerGas: tip,
    chainId,
    nonce,
  }
}
