/** What an intent means on chain for each kind of intent, and how to see that it happened. */
import { type Abi, encodeFunctionData, type PublicClient } from 'viem'
import { z } from 'zod'

import { hostsAbi, kmsAuthAbi, quoteVerifierAbi, rootKeysAbi } from '../../chain/abi.ts'
import { revertData } from '../../chain/call.ts'
import { readHost, registerHost, registerHostFor } from '../../chain/hosts.ts'
import { proveRootKey, rootKeyId } from '../../chain/root-keys.ts'
import { AssentError } from '../../errors/index.ts'
import { equalBytes, fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { describeIssues, namesOfIssues } from '../../lib/config.ts'
import { addressSchema, bytes32Schema, bytesSchema } from '../../lib/schema.ts'
import { bootstrapReportData, mrAggregated } from '../../quote/measurements/measure.ts'
import { parseQuote } from '../../quote/parse.ts'

/** The part of an intent that a target understands. */
export interface TargetIntent {
  readonly id: string
  readonly key: string
  readonly payload: unknown
}

export interface Permit {
  /** As it is stored with the intent. */
  readonly value: unknown
  /** Unix seconds after which the contract refuses it; null if it does not expire. */
  readonly deadline: number | null
}

export interface Target {
  /** Contract and calldata; throws INPUT_INVALID for a payload that is not its own. */
  encode(intent: TargetIntent): { readonly to: Hex; readonly data: Hex; readonly value?: bigint }
  /**
   * Whether the record on chain is as the errand wants it at this block, whoever brought it there.
   * A transaction's success is not asked: it may have changed nothing.
   */
  isDone(intent: TargetIntent, client: PublicClient, blockNumber: bigint): Promise<boolean>
  /** What must hold besides what the called contract asks; the reason why it does not. */
  refusal?(intent: TargetIntent, client: PublicClient): Promise<AssentError | undefined>
  /** To decode what the contract reverts with. */
  readonly errors: Abi
}

/** A target of quotes that come in over HTTP. */
export interface QuoteTarget extends Target {
  /**
   * Checks what came with the quote for the contract.
   *
   * @throws INPUT_INVALID
   */
  parsePermit(permit: unknown, quote: Uint8Array): Permit
}

/** By kind of intent; a kind that is missing is not served. */
export type Targets = Readonly<Record<string, Target>>

export function isQuoteTarget(target: Target): target is QuoteTarget {
  return 'parsePermit' in target
}

/** @throws INPUT_INVALID naming every wrong field */
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
  /** The block whose hash the quote contains. */
  blockNumber: z.int().min(0),
  deadline: z.int().min(1),
  signature: bytesSchema.refine(
    ({ length }) => length > 2 && length <= 2 + 2 * 2048,
    '1 to 2048 bytes',
  ),
})

/** Without a signature: the relayer's own account is the operator. */
const ownPermit = z.strictObject({
  operator: addressSchema,
  blockNumber: z.int().min(0),
})

const hostPayload = z.strictObject({
  quote: z.string(),
  /** A shorter form of the quote; what is sent, and what the permit is about, if it is there. */
  encoded: bytesSchema.optional(),
  deviceId: bytes32Schema,
  permit: z.union([signedPermit, ownPermit]),
  /** A renewal: done only when the record ends later than this. */
  expiresAfter: z.int().optional(),
})

/** Registers a machine in `Hosts`: anyone may pay, the operator's signature is the authority. */
export function createHostTarget(registry: Hex): QuoteTarget {
  return {
    errors: hostsAbi,
    parsePermit(permit) {
      const value = check(signedPermit, permit, 'Permit')
      return { value, deadline: value.deadline }
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

/* KMS NODES */

/**
 * Registers the machine of a KMS node, if `KmsAuth` allows what runs on it: the registry of hosts would
 * take any machine, and the gas for one that may never hold keys would be lost.
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
      return new AssentError('RELAYER_KMS_NOT_ALLOWED', `The DAO allows no such KMS ${missing}.`, {
        facts: { measurement, deviceId, isMeasured, isDevice },
      })
    },
  }
}

/* ROOT KEYS */

const rootKeyPermit = z.strictObject({
  /** SubjectPublicKeyInfo of the root CA, 91 bytes of DER. */
  caPublicKey: z.string().regex(/^0x[0-9a-fA-F]{182}$/, '0x and 91 bytes as hexadecimal'),
  /** Compressed, 33 bytes. */
  k256PublicKey: z.string().regex(/^0x0[23][0-9a-fA-F]{64}$/, '0x and 33 bytes as hexadecimal'),
})

const rootKeyPayload = z.strictObject({
  quote: z.string(),
  deviceId: bytes32Schema,
  permit: rootKeyPermit,
})

/** Proves a pair of root keys in `RootKeys`; the quote's own report data is the authority. */
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
        throw new AssentError('INPUT_INVALID', 'Permit: the quote commits to other keys.', {
          facts: { fields: ['caPublicKey', 'k256PublicKey'] },
        })
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

/** Where the verifier keeps, or would keep, the record of this quote; undefined if it rejects the quote now. */
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
