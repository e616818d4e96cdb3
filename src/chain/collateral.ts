/** Keeps the on-chain collateral store current: submits what Intel signed and the store does not have yet. */
import {
  type Address,
  encodeFunctionData,
  type PublicClient,
  pad,
  stringToHex,
  type TransactionReceipt,
} from 'viem'

import { AssentError } from '../errors/index.ts'
import { fromHex, type Hex, to0x } from '../lib/bytes.ts'
import { parseCertificate } from '../quote/certificate.ts'
import type { Collateral } from '../quote/collateral.ts'
import { parseRevocationList } from '../quote/crl.ts'
import { splitPemChain } from '../quote/pem.ts'
import { parseQeIdentity } from '../quote/qe-identity.ts'
import { parseTcbInfo } from '../quote/tcb-info.ts'
import { Rejection } from '../quote/verdict.ts'
import { quoteVerifierAbi } from './abi.ts'
import { type Call, type Clients, sendCall } from './call.ts'

/** The store's `Issuer`. */
export const collateralIssuer = { root: 0, platformCa: 1, processorCa: 2, tcbSigning: 3 } as const

type IssuerId = (typeof collateralIssuer)[keyof typeof collateralIssuer]

/** The store's name for all QE identities; TCB infos go by their FMSPC. */
export const qeIdentityFamily: Hex = pad(stringToHex('TD_QE'), { dir: 'right', size: 32 })

export function tcbInfoFamily(fmspc: Uint8Array): Hex {
  return pad(to0x(fmspc), { dir: 'right', size: 32 })
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
  const calls = collateralCalls(store, collateral)
  const dates = issueDates(collateral)
  const held = await Promise.all(
    dates.map(({ functionName, args }) =>
      client.readContract({ address: store, abi: quoteVerifierAbi, functionName, args } as never),
    ),
  )
  return calls.filter((_, index) => {
    const date = dates[index] as IssueDate
    return date.issuedAt > date.read(held[index])
  })
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

/** When one part of a bundle was issued, and how to ask the store for the date of its own. */
interface IssueDate {
  readonly issuedAt: number
  readonly functionName: 'issuerValidity' | 'crl' | 'document'
  readonly args: readonly unknown[]
  readonly read: (held: unknown) => number
}

/** In the order of `collateralCalls`. */
function issueDates(collateral: Collateral): IssueDate[] {
  const tcbInfo = readable(() => parseTcbInfo(collateral.tcb_info))
  const qeIdentity = readable(() => parseQeIdentity(collateral.qe_identity))
  return [
    issuerDate(collateral.pck_crl_issuer_chain, 'PCK CA'),
    issuerDate(collateral.tcb_info_issuer_chain, 'TCB signing certificate'),
    crlDate(collateral.root_ca_crl, 'root CRL'),
    crlDate(collateral.pck_crl, 'PCK CRL'),
    documentDate(tcbInfoFamily(tcbInfo.fmspc), tcbInfo),
    documentDate(qeIdentityFamily, qeIdentity),
  ]
}

function issuerDate(chain: string, words: string): IssueDate {
  const [der] = splitPemChain(chain, { field: words })
  const certificate = parseCertificate(der ?? new Uint8Array(), words)
  return {
    issuedAt: certificate.notBefore,
    functionName: 'issuerValidity',
    args: [issuerNamed(certificate.subjectCommonName)],
    read: (held) => Number((held as readonly bigint[])[0]),
  }
}

function crlDate(hex: string, words: string): IssueDate {
  const list = parseRevocationList(fromHex(hex, words), words)
  return {
    issuedAt: list.thisUpdate,
    functionName: 'crl',
    args: [issuerNamed(Buffer.from(list.issuer).toString('latin1'))],
    read: (held) => (held as { thisUpdate: number }).thisUpdate,
  }
}

function documentDate(
  family: Hex,
  { issueDate, tcbEvaluationNumber }: { issueDate: number; tcbEvaluationNumber: number },
): IssueDate {
  return {
    issuedAt: issueDate,
    functionName: 'document',
    args: [family, BigInt(tcbEvaluationNumber)],
    read: (held) => (held as { issuedAt: number }).issuedAt,
  }
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
