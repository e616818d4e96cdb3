/**
 * What a proof about an instance's key commits to, byte for byte as in contracts/instances/Instances.sol.
 *
 * The KMS imports this file, so it imports nothing large.
 */
import { keccak_256 } from '@noble/hashes/sha3.js'

import { concatBytes, fromHex, type Hex, requireLength, utf8ToBytes } from '../../lib/bytes.ts'

/** An instance's key in one app, registry and chain, after one block. */
export interface InstanceBinding {
  /** EIP-155 id of the chain. */
  readonly chainId: number
  /** Address of the `Instances` contract. */
  readonly registry: Hex
  /** Address of the app contract: the app id. */
  readonly app: Hex
  /** Address of the instance's secp256k1 key. */
  readonly key: Hex
  /** A recent block. The contract accepts it for its `window`. */
  readonly block: { readonly number: bigint; readonly hash: Hex }
}

const domain = keccak_256(utf8ToBytes('assent-instance-v1'))
const statementDomain = keccak_256(utf8ToBytes('assent-instance-statement-v1'))

/**
 * The digest of a binding, 32 bytes (`Instances.bindingOf`). The instance's key signs it, and it is the first half of the
 * report data.
 *
 * @throws LENGTH_WRONG, HEX_INVALID
 */
export function instanceBindingDigest(binding: InstanceBinding): Uint8Array {
  return keccak_256(
    concatBytes(
      domain,
      numberWord(BigInt(binding.chainId)),
      addressWord(binding.registry, 'registry'),
      addressWord(binding.app, 'app'),
      addressWord(binding.key, 'key'),
      numberWord(binding.block.number),
      fromHex(binding.block.hash, 'block hash', 32),
    ),
  )
}

/**
 * The 64 bytes of report data with which a quote registers a key: the digest of the binding, then 32 zero bytes.
 *
 * @example
 * const { quote } = await agent.attest(instanceReportData(binding))
 */
export function instanceReportData(binding: InstanceBinding): Uint8Array {
  return concatBytes(instanceBindingDigest(binding), new Uint8Array(32))
}

/**
 * The digest that the KMS signs about one key (`Instances.statementOf`), 32 bytes.
 *
 * @param composeHash release that the KMS verified, 32 bytes
 */
export function instanceStatementDigest(
  binding: InstanceBinding,
  composeHash: Uint8Array,
): Uint8Array {
  requireLength(composeHash, 'compose hash', 32)
  return keccak_256(concatBytes(statementDomain, instanceBindingDigest(binding), composeHash))
}

/**
 * The message that the root key signs, after Keccak-256, about the instance signer of an app and key epoch
 * (`Instances.signerDigest`). No other message of the root key begins like this.
 *
 * @param appId 20 bytes
 * @param signer address of the instance signer, 20 bytes
 */
export function instanceSignerMessage(
  appId: Uint8Array,
  epoch: number,
  signer: Uint8Array,
): Uint8Array {
  requireLength(appId, 'app id', 20)
  requireLength(signer, 'instance signer', 20)
  const number = new Uint8Array(4)
  new DataView(number.buffer).setUint32(0, epoch)
  return concatBytes(utf8ToBytes('assent-instance-signer:'), appId, number, signer)
}

function numberWord(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0'), 'number', 32)
}

function addressWord(address: Hex, name: string): Uint8Array {
  return concatBytes(new Uint8Array(12), fromHex(address, name, 20))
}
