/** Targets: for each kind of intent, how to encode its call and how to find out that its effect is on-chain. */
import { type Abi, encodeFunctionData, type PublicClient } from 'viem'
import { z } from 'zod'

import { hostsAbi, kmsAuthAbi, quoteVerifierAbi, rootKeysAbi } from '../../chain/abi.ts'
import { revertData } from '../../chain/call.ts'
import {
  hostReportData,
  isPermitSigned,
  readHost,
  registerHost,
  registerHostFor,
} from '../../chain/registries/hosts.ts'
import { proveRootKey, rootKeyId } from '../../chain/registries/root-keys.ts'
import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { describeIssues, namesOfIssues } from '../../lib/config.ts'
import { addressSchema, bytes32Schema, bytesSchema } from '../../lib/schema.ts'
import { bootstrapReportData, mrAggregated } from '../../quote/measurements/measure.ts'
import { parseQuote } from '../../quote/parse.ts'
import type { QuorumReader } from '../endpoints/quorum.ts'

/** The part of an intent that a target reads. */
export interface TargetIntent {
  /** Names the intent in errors. */
  readonly id: string
  /** Identity inside its kind. */
  readonly key: string
  /** Stored JSON; each target parses it with its own schema. */
  readonly payload: unknown
}

/** Authority that came with a quote: an operator's signature, or root public keys. */
export interface Permit {
  /** The checked value that is stored with the intent. */
  readonly value: unknown
  /** Unix seconds after which the contract refuses it; null: it does not expire. */
  readonly deadline: number | null
}

/** One kind of effect on-chain. */
export interface Target {
  /** Contract, calldata and value (wei). @throws INPUT_INVALID if the payload is not of this kind */
  encode(intent: TargetIntent): { readonly to: Hex; readonly data: Hex; readonly value?: bigint }
  /**
   * Whether the effect is in the state of this block, no matter whose transaction caused it. The success of a
   * transaction is not used: it may have changed nothing.
   */
  isDone(intent: TargetIntent, client: PublicClient, blockNumber: bigint): Promise<boolean>
  /** A reason not to send the call although the contract would accept it. */
  refusal?(intent: TargetIntent, client: PublicClient): Promise<AssentError | undefined>
  /** ABI with the contract's errors, to decode a revert. */
  readonly errors: Abi
}

/** A target of quotes that operators submit over HTTP. */
export interface QuoteTarget extends Target {
  /**
   * Checks the permit that was submitted with the quote.
   *
   * @throws INPUT_INVALID
   */
  parsePermit(permit: unknown, quote: Uint8Array): Permit
  /**
   * Checks what only the chain knows about the permit, before the quote is stored: the first permit for a quote is the one
   * that is used.
   *
   * @throws INPUT_INVALID if the contract can never accept it, RELAYER_CHAIN_* if it cannot be found out
   */
  requirePermit?(permit: Permit, quote: Uint8Array, chain: PermitChain): Promise<void>
}

/** The chain for which a permit is checked. */
export interface PermitChain {
  readonly chainId: number
  readonly reader: Pick<QuorumReader, 'agree'>
}

/** Targets by kind of intent. Intents of other kinds are refused. */
export type Targets = Readonly<Record<string, Target>>

/** Whether this kind of intent needs a quote. */
export function isQuoteTarget(target: Target): target is QuoteTarget {
  return 'parsePermit' in target
}

/** Parses a value with a schema. @throws INPUT_INVALID that names every wrong field */
export function check<S extends z.ZodType>(schema: S, value: unknown, name: string): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new AssentError('INPUT_INVALID', `${name}: ${describeIssues(parsed.error)}`, {
    facts: { fields: namesOfIssues(parsed.error) },
  })
}

/* HOSTS */

const signedPermit = z.strictObject({
  operator: addressSchema,
  /** Number of the block whose hash is in the report data of the quote. */
  blockNumber: z.int().min(0),
  deadline: z.int().min(1),
  signature: bytesSchema.refine(
    ({ length }) => length > 2 && length <= 2 + 2 * 2048,
    '1 to 2048 bytes',
  ),
})

/** Permit without a signature: the relayer's own account is the operator. */
const ownPermit = z.strictObject({
  operator: addressSchema,
  blockNumber: z.int().min(0),
})

const hostPayload = z.strictObject({
  quote: z.string(),
  /** The compact quote, if the permit signs it; it is sent in place of `quote`. */
  encoded: bytesSchema.optional(),
  deviceId: bytes32Schema,
  permit: z.union([signedPermit, ownPermit]),
  /** For a renewal, unix seconds: done when the host proof ends later. */
  expiresAfter: z.int().optional(),
})

/** Registers a host in `Hosts`. The operator's permit is the authority; the relayer only pays the gas. */
export function createHostTarget(registry: Hex): QuoteTarget {
  return {
    errors: hostsAbi,
    parsePermit(permit) {
      const value = check(signedPermit, permit, 'Permit')
      return { value, deadline: value.deadline }
    },
    async requirePermit({ value }, quote, { chainId, reader }) {
      const permit = check(signedPermit, value, 'Permit')
      const { operator, blockNumber } = permit
      const number = BigInt(blockNumber)
      const hash = await reader.agree('block of a permit', async (client) => {
        return (await client.getBlock({ blockNumber: number })).hash
      })
      const binding = { chainId, registry, operator, block: { number, hash } }
      if (!equalBytes(parseQuote(quote).report.reportData, hostReportData(binding))) {
        throw uselessPermit(
          'the report data of the quote names another chain, registry, operator or block',
        )
      }
      const isSigned = await reader.agree('signature of a permit', (client) =>
        isPermitSigned(client, binding, quote, permit),
      )
      if (!isSigned) throw uselessPermit('its operator did not sign it for this quote')
    },
    encode({ payload }) {
      const { quote, encoded, permit } = check(hostPayload, payload, 'Payload')
      const bytes = fromHex(encoded ?? quote, 'quote')
      const block = BigInt(permit.blockNumber)
      return 'signature' in permit
        ? registerHostFor(registry, bytes, block, permit)
        : registerHost(registry, bytes, block)
    },
    async isDone({ payload }, client, blockNumber) {
      const { deviceId, permit, expiresAfter } = check(hostPayload, payload, 'Payload')
      const host = await readHost(client, registry, deviceId, blockNumber)
      const isSameOperator = host.operator.toLowerCase() === permit.operator
      const isLonger = expiresAfter === undefined || host.expiresAt > expiresAfter
      return isSameOperator && isLonger && host.provenAtBlock >= permit.blockNumber
    },
  }
}

function uselessPermit(why: string): AssentError {
  return new AssentError('INPUT_INVALID', `Permit: ${why}.`, { facts: { fields: ['permit'] } })
}

/* KMS NODES */

/**
 * Registers the host of a KMS node, if `KmsAuth` allows its KMS measurement and KMS device. The host registry would
 * accept any host, and the gas for a node that can never get root keys would be wasted.
 */
export function createKmsNodeTarget(registry: Hex, kmsAuth: Hex): QuoteTarget {
  const host = createHostTarget(registry)
  return {
    ...host,
    async refusal({ payload }, client) {
      const { quote, deviceId } = check(hostPayload, payload, 'Payload')
      const { report } = parseQuote(fromHex(quote, 'quote'))
      const measurement = to0x(mrAggregated(report, report.rtmrs[3]))
      const contract = { address: kmsAuth, abi: kmsAuthAbi } as const
      const [isMeasured, isDevice] = await Promise.all([
        client.readContract({
          ...contract,
          functionName: 'kmsAllowedAggregatedMrs',
          args: [measurement],
        }),
        client.readContract({ ...contract, functionName: 'kmsAllowedDeviceIds', args: [deviceId] }),
      ])
      if (isMeasured && isDevice) return undefined
      const missing = isMeasured ? 'device' : 'measurement'
      return new AssentError(
        'RELAYER_KMS_NOT_ALLOWED',
        `The DAO has not approved this KMS ${missing}.`,
        {
          facts: { measurement, deviceId, isMeasured, isDevice },
        },
      )
    },
  }
}

/* ROOT KEYS */

const rootKeyPermit = z.strictObject({
  /** SubjectPublicKeyInfo of the root CA's P-256 key: 91 bytes of DER. */
  caPublicKey: z.string().regex(/^0x[0-9a-fA-F]{182}$/, '0x and 91 bytes as hexadecimal'),
  /** Compressed secp256k1 public key, 33 bytes. */
  k256PublicKey: z.string().regex(/^0x0[23][0-9a-fA-F]{64}$/, '0x and 33 bytes as hexadecimal'),
})

const rootKeyPayload = z.strictObject({
  quote: z.string(),
  deviceId: bytes32Schema,
  permit: rootKeyPermit,
})

/** Registers a pair of root keys in `RootKeys`. The root key commitment in the quote is the authority. */
export function createRootKeyTarget(registry: Hex): QuoteTarget {
  const keysOf = ({ caPublicKey, k256PublicKey }: z.output<typeof rootKeyPermit>) => ({
    caPublicKey: fromHex(caPublicKey, 'caPublicKey', 91),
    k256PublicKey: fromHex(k256PublicKey, 'k256PublicKey', 33),
  })
  return {
    errors: rootKeysAbi,
    parsePermit(permit, quote) {
      const value = check(rootKeyPermit, permit, 'Permit')
      const { caPublicKey, k256PublicKey } = keysOf(value)
      const expected = bootstrapReportData(caPublicKey, k256PublicKey)
      if (!equalBytes(parseQuote(quote).report.reportData, expected)) {
        throw new AssentError(
          'INPUT_INVALID',
          'Permit: the report data of the quote commits to other root keys.',
          {
            facts: { fields: ['caPublicKey', 'k256PublicKey'] },
          },
        )
      }
      return { value, deadline: null }
    },
    encode({ payload }) {
      const { quote, permit } = check(rootKeyPayload, payload, 'Payload')
      return proveRootKey(registry, fromHex(quote, 'quote'), keysOf(permit))
    },
    async isDone({ payload }, client, blockNumber) {
      const { permit } = check(rootKeyPayload, payload, 'Payload')
      const { provenAt } = await client.readContract({
        address: registry,
        abi: rootKeysAbi,
        functionName: 'proofOf',
        args: [rootKeyId(keysOf(permit))],
        blockNumber,
      })
      return provenAt > 0
    },
  }
}

/* VERIFICATION RECORDS */

/** Kind of the intents that store a verification record. */
export const recordKind = 'record'

const recordPayload = z.strictObject({
  quote: z.string(),
  deviceId: bytes32Schema,
  /** Stored by older relayers, which searched events from this block on. Not used any more. */
  fromBlock: z.int().min(0).optional(),
})

/**
 * Stores the verification record of a platform in the quote verifier, so that later quotes of the platform cost less.
 *
 * The address of a record follows from its content. `isDone` asks the verifier for that address and looks for code
 * there: two reads at one block. A search for the event `RecordWritten` would need a range of blocks, which RPC
 * services limit (Alchemy's free plan: 10 blocks).
 */
export function createRecordTarget(verifier: Hex): Target {
  return {
    errors: quoteVerifierAbi,
    encode({ payload }) {
      const { quote } = check(recordPayload, payload, 'Payload')
      const args = [to0x(fromHex(quote, 'quote'))] as const
      return {
        to: verifier,
        data: encodeFunctionData({ abi: quoteVerifierAbi, functionName: 'register', args }),
      }
    },
    async isDone({ payload }, client, blockNumber) {
      const { quote } = check(recordPayload, payload, 'Payload')
      const record = await recordAddress(
        client,
        verifier,
        to0x(fromHex(quote, 'quote')),
        blockNumber,
      )
      if (record === undefined) return false
      const code = await client.getCode({ address: record, blockNumber })
      return code !== undefined && code !== '0x'
    },
  }
}

/** Address of the verification record of this quote, stored or not; undefined if the verifier rejects the quote now. */
async function recordAddress(
  client: PublicClient,
  verifier: Hex,
  quote: Hex,
  blockNumber: bigint,
): Promise<Hex | undefined> {
  try {
    const { result } = await client.simulateContract({
      address: verifier,
      abi: quoteVerifierAbi,
      functionName: 'register',
      args: [quote],
      blockNumber,
    })
    return result[1]
  } catch (error) {
    if (revertData(error) !== undefined) return undefined
    throw error
  }
}
