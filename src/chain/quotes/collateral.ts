/** Keeps the on-chain collateral store current: submits what Intel signed and the store does not have yet. */
import {
  type Address,
  encodeFunctionData,
  keccak256,
  type PublicClient,
  pad,
  stringToBytes,
  stringToHex,
  type TransactionReceipt,
} from 'viem'

import { AssentError } from '../../errors/index.ts'
import { fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { parseCertificate } from '../../quote/certificate.ts'
import type { Collateral } from '../../quote/collateral.ts'
import { parseRevocationList } from '../../quote/crl.ts'
import type {
  EvaluationNumbers,
  EvaluationNumbersDocument,
} from '../../quote/evaluation-numbers.ts'
import { splitPemChain } from '../../quote/pem.ts'
import { parseQeIdentity } from '../../quote/qe-identity.ts'
import { parseTcbInfo } from '../../quote/tcb-info.ts'
import { Rejection } from '../../quote/verdict.ts'
import { quoteVerifierAbi } from '../abi.ts'
import { type Call, type Clients, sendCall, toChainError } from '../call.ts'

/** The store's `Issuer`. */
export const collateralIssuer = { root: 0, platformCa: 1, processorCa: 2, tcbSigning: 3 } as const

type IssuerId = (typeof collateralIssuer)[keyof typeof collateralIssuer]

/** The store's name for all QE identities; TCB infos go by their FMSPC. */
export const qeIdentityFamily: Hex = pad(stringToHex('TD_QE'), { dir: 'right', size: 32 })

export function tcbInfoFamily(fmspc: Uint8Array): Hex {
  return pad(to0x(fmspc), { dir: 'right', size: 32 })
}

/** What the store holds of one name: when it was issued and until when it counts; zeros for nothing. */
export interface Held {
  readonly issuedAt: number
  readonly until: number
}

/** One thing that the store can hold. */
export interface CollateralPart {
  /** Names the place in the store: `issuer:1`, `crl:0`, `document:0x…:17`, `numbers`. */
  readonly name: string
  /** A part can be stored once those of lower tiers are. */
  readonly tier: 0 | 1 | 2
  readonly call: Call
  readonly issuedAt: number
  readonly until: number
  /** The same for two parts that differ in nothing but their dates. */
  readonly content: Hex
}

/**
 * What of a bundle is newer than what the store holds, as calls in the order in which they must be sent.
 *
 * Trusts nothing: the store checks every signature itself.
 *
 * @throws QUOTE_* when the bundle is not what it claims to be
 */
export async function missingCollateral(
  client: PublicClient,
  store: Address,
  collateral: Collateral,
): Promise<Call[]> {
  const parts = collateralParts(store, collateral)
  const held = await Promise.all(parts.map(({ name }) => readHeld(client, store, name)))
  return parts
    .filter(({ issuedAt }, index) => issuedAt > (held[index] as Held).issuedAt)
    .map(({ call }) => call)
}

/** Sends what `missingCollateral` finds, one after the other. */
export async function putCollateral(
  clients: Clients,
  store: Address,
  collateral: Collateral,
): Promise<TransactionReceipt[]> {
  const receipts: TransactionReceipt[] = []
  for (const call of await missingCollateral(clients.publicClient, store, collateral)) {
    receipts.push(await sendCall(clients, call))
  }
  return receipts
}

/** Everything in a bundle as calls: issuers first, then what they sign, the root's list before its CAs'. */
export function collateralCalls(store: Address, collateral: Collateral): Call[] {
  const put = (words: string, functionName: PutName, args: readonly Hex[]): Call => ({
    to: store,
    data: encodeFunctionData({ abi: quoteVerifierAbi, functionName, args } as PutParameters),
    words: `store the ${words}`,
  })
  const document = (
    words: string,
    functionName: PutName,
    text: string,
    signature: string,
  ): Call => {
    const bytes = fromHex(signature, `signature of the ${words}`, 64)
    const halves = [to0x(bytes.subarray(0, 32)), to0x(bytes.subarray(32))]
    return put(words, functionName, [stringToHex(text), ...halves])
  }
  const { tcb_info, tcb_info_signature, qe_identity, qe_identity_signature } = collateral
  return [
    put('PCK CA', 'putIssuer', [stringToHex(collateral.pck_crl_issuer_chain)]),
    put('TCB signing certificate', 'putIssuer', [stringToHex(collateral.tcb_info_issuer_chain)]),
    put('root CRL', 'putCrl', [to0x(fromHex(collateral.root_ca_crl, 'root CRL'))]),
    put('PCK CRL', 'putCrl', [to0x(fromHex(collateral.pck_crl, 'PCK CRL'))]),
    document('TCB info', 'putTcbInfo', tcb_info, tcb_info_signature),
    document('QE identity', 'putQeIdentity', qe_identity, qe_identity_signature),
  ]
}

type PutName = 'putIssuer' | 'putCrl' | 'putTcbInfo' | 'putQeIdentity'
type PutParameters = Parameters<typeof encodeFunctionData<typeof quoteVerifierAbi, PutName>>[0]

/**
 * A bundle taken apart, in the order of `collateralCalls`.
 *
 * @throws QUOTE_* when the bundle is not what it claims to be
 */
export function collateralParts(store: Address, collateral: Collateral): CollateralPart[] {
  const tcbInfo = readable(() => parseTcbInfo(collateral.tcb_info))
  const qeIdentity = readable(() => parseQeIdentity(collateral.qe_identity))
  const described = [
    issuerPart(collateral.pck_crl_issuer_chain, 'PCK CA'),
    issuerPart(collateral.tcb_info_issuer_chain, 'TCB signing certificate'),
    crlPart(collateral.root_ca_crl, 'root CRL'),
    crlPart(collateral.pck_crl, 'PCK CRL'),
    documentPart(tcbInfoFamily(tcbInfo.fmspc), tcbInfo, collateral.tcb_info),
    documentPart(qeIdentityFamily, qeIdentity, collateral.qe_identity),
  ]
  return collateralCalls(store, collateral).map((call, index) => ({
    ...(described[index] as Omit<CollateralPart, 'call'>),
    call,
  }))
}

/** The list of evaluation numbers as a part. */
export function evaluationNumbersPart(
  store: Address,
  { text, signature }: EvaluationNumbersDocument,
  { issueDate, nextUpdate }: EvaluationNumbers,
): CollateralPart {
  const bytes = fromHex(signature, 'signature of the evaluation numbers', 64)
  return {
    name: 'numbers',
    tier: 1,
    call: {
      to: store,
      data: encodeFunctionData({
        abi: quoteVerifierAbi,
        functionName: 'putEvaluationNumbers',
        args: [stringToHex(text), to0x(bytes.subarray(0, 32)), to0x(bytes.subarray(32))],
      }),
      words: 'store the evaluation numbers',
    },
    issuedAt: issueDate,
    until: nextUpdate,
    content: contentOf(text),
  }
}

/** @throws CHAIN_UNREACHABLE, CALL_REVERTED, INPUT_INVALID for a name that is none */
export async function readHeld(
  client: PublicClient,
  store: Address,
  name: string,
  blockNumber?: bigint,
): Promise<Held> {
  const contract = {
    address: store,
    abi: quoteVerifierAbi,
    ...(blockNumber === undefined ? {} : { blockNumber }),
  } as const
  const [sort, first = '', second = ''] = name.split(':')
  try {
    if (sort === 'issuer') {
      const [notBefore, notAfter] = await client.readContract({
        ...contract,
        functionName: 'issuerValidity',
        args: [Number(first)],
      })
      return { issuedAt: Number(notBefore), until: Number(notAfter) }
    }
    if (sort === 'document') {
      const slot = await client.readContract({
        ...contract,
        functionName: 'document',
        args: [first as Hex, BigInt(second)],
      })
      return { issuedAt: slot.issuedAt, until: slot.until }
    }
    const fresh = await client.readContract({ ...contract, functionName: 'freshness' })
    if (sort === 'crl') {
      const list = await client.readContract({
        ...contract,
        functionName: 'crl',
        args: [Number(first)],
      })
      const ends = [fresh.rootCrlUntil, fresh.platformCrlUntil, fresh.processorCrlUntil]
      return { issuedAt: list.thisUpdate, until: ends[Number(first)] ?? 0 }
    }
    if (sort === 'numbers') {
      const issuedAt = await client.readContract({
        ...contract,
        functionName: 'evaluationNumbersIssuedAt',
      })
      return { issuedAt: Number(issuedAt), until: fresh.standardUntil }
    }
  } catch (cause) {
    throw toChainError(cause, `read ${name} of the collateral store`)
  }
  throw new AssentError('INPUT_INVALID', `The store holds nothing named ${name}.`, {
    facts: { name },
  })
}

type Described = Omit<CollateralPart, 'call'>

function issuerPart(chain: string, words: string): Described {
  const [der] = splitPemChain(chain, { field: words })
  const certificate = parseCertificate(der ?? new Uint8Array(), words)
  return {
    name: `issuer:${issuerNamed(certificate.subjectCommonName)}`,
    tier: 0,
    issuedAt: certificate.notBefore,
    until: certificate.notAfter,
    content: keccak256(der ?? new Uint8Array()),
  }
}

function crlPart(hex: string, words: string): Described {
  const list = parseRevocationList(fromHex(hex, words), words)
  return {
    name: `crl:${issuerNamed(Buffer.from(list.issuer).toString('latin1'))}`,
    tier: 1,
    issuedAt: list.thisUpdate,
    until: list.nextUpdate,
    content: keccak256(stringToBytes([...list.revoked].sort().join())),
  }
}

interface Dated {
  readonly issueDate: number
  readonly nextUpdate: number
  readonly tcbEvaluationNumber: number
}

function documentPart(
  family: Hex,
  { issueDate, nextUpdate, tcbEvaluationNumber }: Dated,
  text: string,
): Described {
  return {
    name: `document:${family}:${tcbEvaluationNumber}`,
    tier: 2,
    issuedAt: issueDate,
    until: nextUpdate,
    content: contentOf(text),
  }
}

/** Intel signs the same document anew with other dates. */
function contentOf(text: string): Hex {
  return keccak256(stringToBytes(text.replace(/"(issueDate|nextUpdate)":"[^"]*"/g, '')))
}

/** A document that is for something else is no verdict here, but the wrong argument. */
function readable<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    const { code, message, facts } = error.verdict
    throw new AssentError(code, message, { facts })
  }
}

/** Only to ask the store for the right date: the store judges names itself. */
function issuerNamed(name: string): IssuerId {
  if (name.includes('PCK Platform CA')) return collateralIssuer.platformCa
  if (name.includes('PCK Processor CA')) return collateralIssuer.processorCa
  return name.includes('TCB Signing') ? collateralIssuer.tcbSigning : collateralIssuer.root
}
