/** Compares collateral with the on-chain collateral store and builds the calls that upload newer parts. */
import {
  type Address,
  concat,
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
import { type Certificate, parseCertificate } from '../../quote/certificates/certificate.ts'
import { parseRevocationList } from '../../quote/certificates/crl.ts'
import { splitPemChain } from '../../quote/certificates/pem.ts'
import type { Collateral } from '../../quote/collateral/collateral.ts'
import type {
  EvaluationNumbers,
  EvaluationNumbersDocument,
} from '../../quote/collateral/evaluation-numbers.ts'
import { parseQeIdentity } from '../../quote/collateral/qe-identity.ts'
import { parseTcbInfo } from '../../quote/collateral/tcb-info.ts'
import { Rejection } from '../../quote/verdict.ts'
import { quoteVerifierAbi } from '../abi.ts'
import { type Call, type Clients, sendCall, toChainError } from '../call.ts'

/** The store's `Issuer`: a task. Also the number of the first issuer that has it. */
export const collateralIssuer = { root: 0, platformCa: 1, processorCa: 2, tcbSigning: 3 } as const

type IssuerId = (typeof collateralIssuer)[keyof typeof collateralIssuer]

/** The store's name for all QE identities; TCB infos go by their FMSPC. */
export const qeIdentityFamily: Hex = pad(stringToHex('TD_QE'), { dir: 'right', size: 32 })

/** The store's name for the TCB infos of a platform family: the FMSPC, right-padded. */
export function tcbInfoFamily(fmspc: Uint8Array): Hex {
  return pad(to0x(fmspc), { dir: 'right', size: 32 })
}

/** Validity of a stored part: issue date and end in unix seconds; zeros: the store has no such part. */
export interface StoredValidity {
  readonly issuedAt: number
  readonly until: number
  /** The root CRL has all certificates of this issuer, or of the document's signer. */
  readonly isRevoked?: boolean
  /** For a revocation list, keccak-256 of its serial numbers. */
  readonly listed?: Hex
}

/** One part of the collateral, such as a certificate, CRL or document. */
export interface CollateralPart {
  /**
   * Names the place in the store: `issuer:1:0x…` and `crl:1:0x…` by task of the issuer and keccak-256 of the text of its
   * chain, `crl:0` of the root, `document:0x…:17`, `numbers`.
   */
  readonly name: string
  /** Parts of lower tiers must be stored first. */
  readonly tier: 0 | 1 | 2
  /** Uploads the part. Anyone can send it. */
  readonly call: Call
  /** Issue date, Unix seconds. */
  readonly issuedAt: number
  /** First second in which it no longer counts. */
  readonly until: number
  /** Digest of the content without its dates. */
  readonly content: Hex
  /** For a revocation list, keccak-256 of its serial numbers, 20 bytes each, in the order of the list. */
  readonly listed?: Hex
}

/**
 * How the store's part stands to the offered one.
 *
 * `missing`: it holds none. `older`: an older one. `shorter`: the same, which ended sooner when its signer did.
 * `same`: this one. `newer`: one issued later. `other`: one of the same date that says something else. `revoked`: this
 * certificate, or the document's signer, is in the root CRL.
 */
export type PartState = 'missing' | 'older' | 'shorter' | 'same' | 'newer' | 'other' | 'revoked'

/** One part of a bundle, compared with the store. */
export interface ExaminedPart {
  /** The document with the call that would store it. */
  readonly part: CollateralPart
  /** The document that the store has now; zeros if it has none. */
  readonly held: StoredValidity
  /** The comparison with the stored document. */
  readonly state: PartState
}

/** States in which an upload of the part helps. */
const mendable: ReadonlySet<PartState> = new Set(['missing', 'older', 'shorter'])

/**
 * Compares a bundle with what the store holds: by content where the store keeps one (chains, lists), by number and
 * dates where only Intel's signature lets a document in.
 *
 * @throws QUOTE_* when the bundle is not what it claims to be, CHAIN_UNREACHABLE, CALL_REVERTED
 */
export async function examineCollateral(
  client: PublicClient,
  store: Address,
  collateral: Collateral,
): Promise<ExaminedPart[]> {
  const parts = collateralParts(store, collateral)
  return await Promise.all(
    parts.map(async (part) => {
      const held = await readHeld(client, store, part.name)
      return { part, held, state: stateOf(part, held) }
    }),
  )
}

function stateOf(part: CollateralPart, held: StoredValidity): PartState {
  if (held.issuedAt === 0) return 'missing'
  if (held.isRevoked) return part.tier === 2 && held.issuedAt < part.issuedAt ? 'older' : 'revoked'
  if (held.issuedAt !== part.issuedAt) return held.issuedAt < part.issuedAt ? 'older' : 'newer'
  if (held.listed !== undefined && held.listed !== part.listed) return 'other'
  return held.until < part.until ? 'shorter' : 'same'
}

/**
 * The calls that upload the missing or newer parts of a bundle, in the order in which they must be sent.
 *
 * Trusts nothing: the store checks every signature itself.
 *
 * @throws QUOTE_* when the bundle is not what it claims to be
 * @example for (const call of await missingCollateral(client, verifier, bundle)) await sendCall(clients, call)
 */
export async function missingCollateral(
  client: PublicClient,
  store: Address,
  collateral: Collateral,
): Promise<Call[]> {
  return callsOf(await examineCollateral(client, store, collateral))
}

/** Uploads of the parts that help, in the order in which they must be sent. */
export function callsOf(examined: readonly ExaminedPart[]): Call[] {
  return examined.filter(({ state }) => mendable.has(state)).map(({ part }) => part.call)
}

/**
 * Sends the calls of `missingCollateral`, one after the other.
 *
 * @example await uploadCollateral(clients, verifier, parseCollateral(JSON.parse(text)))
 */
export async function uploadCollateral(
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

/**
 * All parts of a bundle as calls: issuers first, then the parts that they sign, the root CRL before the PCK CRL.
 *
 * @example const calls = collateralCalls(verifier, bundle) // to export them, for example for a Safe
 */
export function collateralCalls(store: Address, collateral: Collateral): Call[] {
  const put = (words: string, functionName: UploadName, args: readonly Hex[]): Call => ({
    to: store,
    data: encodeFunctionData({ abi: quoteVerifierAbi, functionName, args } as UploadParameters),
    summary: `store the ${words}`,
  })
  const document = (
    words: string,
    functionName: UploadName,
    text: string,
    signature: string,
  ): Call => {
    const bytes = fromHex(signature, `signature of the ${words}`, 64)
    const halves = [to0x(bytes.subarray(0, 32)), to0x(bytes.subarray(32))]
    return put(words, functionName, [stringToHex(text), ...halves])
  }
  const { tcb_info, tcb_info_signature, qe_identity, qe_identity_signature } = collateral
  return [
    put('PCK CA', 'uploadIssuer', [stringToHex(collateral.pck_crl_issuer_chain)]),
    put('TCB signing certificate', 'uploadIssuer', [stringToHex(collateral.tcb_info_issuer_chain)]),
    put('root CRL', 'uploadCrl', [to0x(fromHex(collateral.root_ca_crl, 'root CRL'))]),
    put('PCK CRL', 'uploadCrl', [to0x(fromHex(collateral.pck_crl, 'PCK CRL'))]),
    document('TCB info', 'uploadTcbInfo', tcb_info, tcb_info_signature),
    document('QE identity', 'uploadQeIdentity', qe_identity, qe_identity_signature),
  ]
}

type UploadName = 'uploadIssuer' | 'uploadCrl' | 'uploadTcbInfo' | 'uploadQeIdentity'
type UploadParameters = Parameters<
  typeof encodeFunctionData<typeof quoteVerifierAbi, UploadName>
>[0]

/**
 * A bundle taken apart, in the order of `collateralCalls`.
 *
 * @throws QUOTE_* when the bundle is not what it claims to be
 */
export function collateralParts(store: Address, collateral: Collateral): CollateralPart[] {
  const tcbInfo = readable(() => parseTcbInfo(collateral.tcb_info))
  const qeIdentity = readable(() => parseQeIdentity(collateral.qe_identity))
  const ca = readChain(collateral.pck_crl_issuer_chain, 'PCK CA')
  const signer = readChain(collateral.tcb_info_issuer_chain, 'TCB signing certificate')
  const qeSigner = readChain(collateral.qe_identity_issuer_chain, 'TCB signing certificate')
  const described = [
    issuerPart(ca),
    issuerPart(signer),
    crlPart(collateral.root_ca_crl, 'root CRL', 'crl:0', ca.rootUntil),
    crlPart(collateral.pck_crl, 'PCK CRL', `crl:${ca.place}`, ca.until),
    documentPart(tcbInfoFamily(tcbInfo.fmspc), tcbInfo, collateral.tcb_info, signer),
    documentPart(qeIdentityFamily, qeIdentity, collateral.qe_identity, qeSigner),
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
        functionName: 'uploadEvaluationNumbers',
        args: [stringToHex(text), to0x(bytes.subarray(0, 32)), to0x(bytes.subarray(32))],
      }),
      summary: 'store the evaluation numbers',
    },
    issuedAt: issueDate,
    until: nextUpdate,
    content: contentOf(text),
  }
}

/**
 * Reads the validity of a stored part of the collateral, such as `tcb-info/…`; zeros: the store has no such part.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED, INPUT_INVALID for an unknown name
 */
export async function readHeld(
  client: PublicClient,
  store: Address,
  name: string,
  blockNumber?: bigint,
): Promise<StoredValidity> {
  const contract = {
    address: store,
    abi: quoteVerifierAbi,
    ...(blockNumber === undefined ? {} : { blockNumber }),
  } as const
  const [sort, first = '', second = ''] = name.split(':')
  try {
    if (sort === 'issuer') return await readIssuer(client, contract, Number(first), second)
    if (sort === 'crl') return await readList(client, contract, Number(first), second)
    const fresh = await client.readContract({ ...contract, functionName: 'freshness' })
    if (sort === 'document') {
      const slot = await client.readContract({
        ...contract,
        functionName: 'document',
        args: [first as Hex, BigInt(second)],
      })
      const signer = collateralIssuer.tcbSigning + slot.signer
      return { ...slotDates(slot), ...revokedOf(fresh, slot.issuedAt === 0 ? 0 : signer) }
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

interface StoreContract {
  readonly address: Address
  readonly abi: typeof quoteVerifierAbi
  readonly blockNumber?: bigint
}

/** @param text keccak-256 of a chain; without one the longest certificate of that task counts */
async function readIssuer(
  client: PublicClient,
  contract: StoreContract,
  task: number,
  text: string,
): Promise<StoredValidity> {
  if (text === '') {
    const [notBefore, notAfter] = await client.readContract({
      ...contract,
      functionName: 'issuerValidity',
      args: [task],
    })
    return { issuedAt: Number(notBefore), until: Number(notAfter) }
  }
  const [[number, , notBefore, notAfter], fresh] = await Promise.all([
    client.readContract({ ...contract, functionName: 'chainOf', args: [text as Hex] }),
    client.readContract({ ...contract, functionName: 'freshness' }),
  ])
  return { issuedAt: notBefore, until: notAfter, ...revokedOf(fresh, number) }
}

/** @param text keccak-256 of the chain of the CA; without one it is the first CA of that task, or the root */
async function readList(
  client: PublicClient,
  contract: StoreContract,
  task: number,
  text: string,
): Promise<StoredValidity> {
  let number = task
  if (text !== '') {
    const chain = await client.readContract({
      ...contract,
      functionName: 'chainOf',
      args: [text as Hex],
    })
    number = chain[0]
    if (number === 0) return { issuedAt: 0, until: 0 }
  }
  const [list, listed] = await Promise.all([
    client.readContract({ ...contract, functionName: 'crl', args: [number] }),
    client.readContract({ ...contract, functionName: 'listed', args: [number] }),
  ])
  return { issuedAt: list.thisUpdate, until: list.until, listed }
}

function slotDates({ issuedAt, until }: StoredValidity): StoredValidity {
  return { issuedAt, until }
}

/** @param number of an issuer; 0 for none */
function revokedOf(
  { revoked }: { readonly revoked: number },
  number: number,
): Partial<StoredValidity> {
  return number !== 0 && ((revoked >> (number - 1)) & 1) === 1 ? { isRevoked: true } : {}
}

type CollateralPartFields = Omit<CollateralPart, 'call'>

/** A certificate and its root, and where in the store they belong. */
interface ReadChain {
  /** task and keccak-256 of the text, as in `CollateralPart.name` */
  readonly place: string
  readonly certificate: Certificate
  /** the earlier end of both */
  readonly until: number
  readonly rootUntil: number
}

function readChain(pem: string, words: string): ReadChain {
  const [certificate, root] = splitPemChain(pem, { field: words }).map((der) =>
    parseCertificate(der, words),
  )
  if (certificate === undefined || root === undefined) {
    throw new AssentError('QUOTE_PEM_MALFORMED', `The chain of the ${words} lacks its root.`, {
      facts: { field: words },
    })
  }
  // the store keeps the text without trailing line ends
  const text = keccak256(stringToBytes(pem.replace(/[\n\0]+$/, '')))
  return {
    place: `${issuerNamed(certificate.subjectCommonName)}:${text}`,
    certificate,
    until: Math.min(certificate.notAfter, root.notAfter),
    rootUntil: root.notAfter,
  }
}

function issuerPart({ place, certificate, until }: ReadChain): CollateralPartFields {
  return {
    name: `issuer:${place}`,
    tier: 0,
    issuedAt: certificate.notBefore,
    until,
    content: keccak256(certificate.der),
  }
}

function crlPart(
  hex: string,
  words: string,
  name: string,
  issuerUntil: number,
): CollateralPartFields {
  const list = parseRevocationList(fromHex(hex, words), words)
  return {
    name,
    tier: 1,
    issuedAt: list.thisUpdate,
    until: Math.min(list.nextUpdate, issuerUntil),
    content: keccak256(stringToBytes([...list.revoked].sort().join())),
    listed: keccak256(concat([...list.revoked].map((serial) => pad(`0x${serial}`, { size: 20 })))),
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
  signer: ReadChain,
): CollateralPartFields {
  return {
    name: `document:${family}:${tcbEvaluationNumber}`,
    tier: 2,
    issuedAt: issueDate,
    until: Math.min(nextUpdate, signer.until),
    content: contentOf(text),
  }
}

/** Content without its dates: Intel signs the same document again with other dates. */
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

/** Number of the issuer with this name, only to read its dates; the store checks names itself. */
function issuerNamed(name: string): IssuerId {
  if (name.includes('PCK Platform CA')) return collateralIssuer.platformCa
  if (name.includes('PCK Processor CA')) return collateralIssuer.processorCa
  return name.includes('TCB Signing') ? collateralIssuer.tcbSigning : collateralIssuer.root
}
