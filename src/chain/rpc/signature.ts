/** Checks signatures as OpenZeppelin's `SignatureChecker` does, so that a contract with it comes to the same result. */
import { type Address, encodeFunctionData, type PublicClient, parseAbi, recoverAddress } from 'viem'

import { fromHex, type Hex } from '../../lib/bytes.ts'
import { revertData } from '../call.ts'

const abi = parseAbi(['function isValidSignature(bytes32, bytes) view returns (bytes4)'])
/** EIP-1271: the word that a contract returns for a valid signature. */
const validSignature = `0x1626ba7e${'00'.repeat(28)}`

/** Half of the order of secp256k1. EIP-2: a larger s is refused, because every signature has a second form. */
const highestS = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

/**
 * Tells if an account signed a digest: with its key if it has no code, by EIP-1271 if it has.
 *
 * @param digest 32 bytes that were signed, for example of EIP-712
 * @throws the client's error if it cannot be found out
 *
 * @example
 * const isSigned = await isSignedBy(client, operator, hashTypedData(typedData), signature)
 */
export async function isSignedBy(
  client: PublicClient,
  account: Address,
  digest: Hex,
  signature: Hex,
): Promise<boolean> {
  const code = await client.getCode({ address: account })
  if (code === undefined || code === '0x') return isSignedByKey(account, digest, signature)
  const data = encodeFunctionData({ abi, args: [digest, signature] })
  try {
    const answer = await client.call({ to: account, data })
    return answer.data?.slice(0, 66) === validSignature
  } catch (error) {
    if (revertData(error) !== undefined) return false
    throw error
  }
}

/** 65 bytes: r, s, and 27 or 28. Other forms of the same signature are refused, as by the contract. */
async function isSignedByKey(account: Address, digest: Hex, signature: Hex): Promise<boolean> {
  const bytes = fromHex(signature, 'signature')
  const isLow = BigInt(`0x${signature.slice(66, 130) || '0'}`) <= highestS
  if (bytes.length !== 65 || !isLow || (bytes[64] !== 27 && bytes[64] !== 28)) return false
  const signer = await recoverAddress({ hash: digest, signature }).catch(() => undefined)
  return signer?.toLowerCase() === account.toLowerCase()
}
