/**
 * Verifies quotes with the verifier contract on a local chain whose clock and state we control: it starts with an empty
 * store, uploads the collateral and verifies the quote, all at one time. `assent quote verify --onchain` and the parity
 * tests use it.
 */
import {
  type Account,
  type Address,
  type Chain,
  createPublicClient,
  createWalletClient,
  custom,
  decodeFunctionResult,
  type EIP1193Provider,
  encodeFunctionData,
  type PublicClient,
  stringToHex,
  type Transport,
  toHex,
  type WalletClient,
} from 'viem'
import { hardhat } from 'viem/chains'

import { type AssentError, isAssentError } from '../../errors/index.ts'
import { equalBytes, fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { parseCertificate } from '../../quote/certificates/certificate.ts'
import {
  readTrustedRoot,
  requireUnixSeconds,
  type TrustedRoot,
} from '../../quote/certificates/certificate-chain.ts'
import { SPKI_BYTES } from '../../quote/certificates/p256.ts'
import { splitPemChain } from '../../quote/certificates/pem.ts'
import type { TrustAnchor } from '../../quote/certificates/trust-anchor.ts'
import type { Collateral } from '../../quote/collateral/collateral.ts'
import { type BodyType, parseTdReport, type TdReport } from '../../quote/parse.ts'
import type { Rejected, TcbStatus } from '../../quote/verdict.ts'
import { quoteVerifierAbi } from '../abi.ts'
import { type Call, toChainError } from '../call.ts'
import { collateralCalls } from './collateral.ts'
import {
  contractVerdicts,
  type EvidencePart,
  explainRefusal,
  explainRevert,
  readAdvisories,
  readStatus,
} from './verdicts.ts'
import { deployVerifier, type LinkableArtifact } from './verifier.ts'

/** A chain with an unlocked account whose blocks may have any time, and the same one twice. */
export interface LocalChain {
  /** EIP-1193 provider of a development chain; `evm_snapshot` and `evm_revert` must work. */
  readonly provider: { request(call: { method: string; params?: unknown }): Promise<unknown> }
  /** what the compiler made of a contract of ours */
  readonly artifacts: (contract: string) => Promise<LinkableArtifact>
}

/** Fields of the contract's `Report` for a verified quote. */
export interface OnchainVerified {
  readonly verdict: 'verified'
  readonly status: TcbStatus
  /** ISO 8601, as in Intel's TCB info. */
  readonly tcbDate: string
  readonly advisoryIds: readonly string[]
  /** Unix seconds of the block in which the quote was verified. */
  readonly at: number
  /** Unix seconds: first expiry of the collateral that was used. */
  readonly expiresAt: number
  /** 6 bytes. */
  readonly fmspc: Uint8Array
  /** 32 bytes. */
  readonly deviceId: Uint8Array
  /** 16 bytes; absent if the PCK certificate has no such extension. */
  readonly platformInstanceId?: Uint8Array
  /** Evaluation numbers of the collateral that was used. */
  readonly tcbEvaluationNumbers: { readonly tcbInfo: number; readonly qeIdentity: number }
  /** oldest of TCB info, QE identity and PCK CRL, the latter counted in whole hours */
  readonly collateralIssuedAt: number
  /** Rating of the TDX module with which the TD was launched. */
  readonly launch: { readonly status: TcbStatus }
  /** body types 3 and 4 */
  readonly current?: { readonly status: TcbStatus }
  /** The fields of the quote that the report contains. */
  readonly quote: {
    readonly version: number
    readonly bodyType: BodyType
    readonly report: TdReport
  }
}

/** Verifies quotes with the compiled contracts on a local chain, to compare them with `verifyQuote`. */
export interface OnchainVerifier {
  /**
   * Malformed evidence throws, evidence that is not genuine is a `rejected` verdict, as `verifyQuote` does it.
   *
   * @throws QUOTE_* of the `malformedErrors` table, CALL_REVERTED, CHAIN_UNREACHABLE
   */
  verify(
    quote: Uint8Array,
    collateral: Collateral,
    question: VerifyRequest,
  ): Promise<OnchainVerified | Rejected>
}

/** The time and the root of trust for one verification. */
export interface VerifyRequest {
  /** unix seconds: the time of every block that the verdict rests on */
  readonly at: number
  /** Intel, a root certificate (DER), or its public key (SubjectPublicKeyInfo). */
  readonly root: TrustAnchor
}

/** As much as EIP-7825 lets a transaction have. */
const TRANSACTION_GAS = 16_777_216n

/** Takes the whole chain: before each bundle its state is what it was after the verifier was deployed. */
export async function createOnchainVerifier(chain: LocalChain): Promise<OnchainVerifier> {
  const clients = await connect(chain.provider)
  const { request } = clients
  let empty = await request<string>('evm_snapshot', [])
  let bench: VerifierInstance | undefined
  return { verify }

  async function verify(quote: Uint8Array, collateral: Collateral, { at, root }: VerifyRequest) {
    requireUnixSeconds(at)
    const trusted = readTrustedRoot(root)
    const isKey = root === 'intel' || root.length === SPKI_BYTES
    const certificate = isKey ? rootOf(collateral, trusted) : root
    if (certificate === undefined) return untrustedRoot()
    if (bench === undefined || !equalBytes(bench.root, certificate)) {
      bench = undefined
      await request('evm_revert', [empty])
      empty = await request<string>('evm_snapshot', [])
      try {
        bench = await createBench(clients, chain, certificate)
      } catch (error) {
        // the bundle's word for the root is evidence, the caller's is not
        if (!isKey || !isAssentError(error, 'CALL_REVERTED')) throw error
        return explainRevert(error, 'issuer')
      }
    }
    return await bench.verify(quote, collateral, at)
  }
}

interface LocalClients {
  readonly account: Address
  readonly publicClient: PublicClient
  readonly walletClient: WalletClient<Transport, Chain, Account>
  request<T>(method: string, params: readonly unknown[]): Promise<T>
}

async function connect(provider: LocalChain['provider']): Promise<LocalClients> {
  const transport = custom(provider as unknown as EIP1193Provider, { retryCount: 0 })
  const publicClient = createPublicClient({
    chain: hardhat,
    transport,
    pollingInterval: 5,
    cacheTime: 0,
  }) as PublicClient
  const request = async <T>(method: string, params: readonly unknown[]) =>
    (await publicClient.request({ method, params } as never)) as T
  const [account] = await request<Address[]>('eth_accounts', [])
  if (account === undefined) throw new TypeError('The local chain has no unlocked account.')
  const wallet = createWalletClient({ account, chain: hardhat, transport })
  const walletClient = wallet as unknown as LocalClients['walletClient']
  return { account, publicClient, walletClient, request }
}

/** A verifier under one root. */
interface VerifierInstance {
  readonly root: Uint8Array
  verify(quote: Uint8Array, collateral: Collateral, at: number): Promise<OnchainVerified | Rejected>
}

async function createBench(
  { account, publicClient, walletClient, request }: LocalClients,
  { artifacts }: LocalChain,
  root: Uint8Array,
): Promise<VerifierInstance> {
  const verifier = await deployVerifier({ publicClient, walletClient, artifacts, root })
  let clean = await request<string>('evm_snapshot', [])
  /** The bundle and the time that the store is left with, and what came of them. */
  let stored: { collateral: Collateral; at: number; refusal: UploadFailure | undefined } | undefined
  return { root, verify }

  async function verify(quote: Uint8Array, collateral: Collateral, at: number) {
    if (stored === undefined || stored.at !== at || !isSame(stored.collateral, collateral)) {
      stored = undefined
      await request('evm_revert', [clean])
      clean = await request<string>('evm_snapshot', [])
      stored = { collateral, at, refusal: await upload(collateral, at) }
    }
    if (stored.refusal !== undefined) return explainRevert(...stored.refusal)
    return await callVerifier(quote, at)
  }

  async function upload(collateral: Collateral, at: number): Promise<UploadFailure | undefined> {
    for (const { call, part, mayBeHeld } of uploadsOf(verifier, collateral)) {
      const transaction = {
        from: account,
        to: call.to,
        data: call.data,
        gas: toHex(TRANSACTION_GAS),
      }
      await request('evm_setNextBlockTimestamp', [toHex(at)])
      try {
        await request('eth_sendTransaction', [transaction])
      } catch (cause) {
        const error = toChainError(cause, call.summary)
        if (!isAssentError(error, 'CALL_REVERTED')) throw error
        if (mayBeHeld && error.facts.error === 'CollateralNotNewer') continue
        return [error, part]
      }
    }
    return undefined
  }

  async function callVerifier(quote: Uint8Array, at: number): Promise<OnchainVerified | Rejected> {
    const call = { abi: quoteVerifierAbi, functionName: 'verify' } as const
    const data = encodeFunctionData({ ...call, args: [to0x(quote)] })
    try {
      const answer = await request<Hex>('eth_call', [{ to: verifier, data }, 'latest'])
      return describe(decodeFunctionResult({ ...call, data: answer }), at)
    } catch (cause) {
      const error = toChainError(cause, 'verify the quote')
      if (!isAssentError(error, 'CALL_REVERTED')) throw error
      return explainRevert(error, 'quote')
    }
  }
}

type UploadFailure = [error: AssentError, part: EvidencePart]

interface Upload {
  readonly call: Call
  readonly part: EvidencePart
  readonly mayBeHeld?: boolean
}

/** The bundle's calls, and before the QE identity the chain of its signer where that is another text. */
function uploadsOf(verifier: Address, collateral: Collateral): Upload[] {
  const parts: EvidencePart[] = ['issuer', 'issuer', 'list', 'list', 'tcbInfo', 'qeIdentity']
  const uploads: Upload[] = collateralCalls(verifier, collateral).map((call, index) => ({
    call,
    part: parts[index] as EvidencePart,
  }))
  const chain = collateral.qe_identity_issuer_chain
  if (chain === collateral.tcb_info_issuer_chain) return uploads
  const args = [stringToHex(chain)] as const
  const data = encodeFunctionData({ abi: quoteVerifierAbi, functionName: 'uploadIssuer', args })
  const call = { to: verifier, data, summary: "store the QE identity's signer" }
  return uploads.toSpliced(5, 0, { call, part: 'issuer', mayBeHeld: true })
}

function describe(report: VerifierReport, at: number): OnchainVerified | Rejected {
  if (contractVerdicts[report.verdict] !== 'Verified') return explainRefusal(report.verdict)
  const bodyType = report.bodyType as BodyType
  const instance = fromHex(report.platformInstanceId, 'platform instance id', 16)
  return {
    verdict: 'verified',
    status: readStatus(report.status),
    tcbDate: isoSeconds(report.tcbDate),
    advisoryIds: readAdvisories(report.advisories),
    at,
    expiresAt: Number(report.expiresAt),
    fmspc: fromHex(report.fmspc, 'fmspc', 6),
    deviceId: fromHex(report.deviceId, 'device id', 32),
    ...(instance.some((byte) => byte !== 0) ? { platformInstanceId: instance } : {}),
    tcbEvaluationNumbers: {
      tcbInfo: report.tcbEvaluationNumber,
      qeIdentity: report.qeEvaluationNumber,
    },
    collateralIssuedAt: Number(report.collateralIssuedAt),
    launch: { status: readStatus(report.launchStatus) },
    ...(bodyType === 2 ? {} : { current: { status: readStatus(report.currentStatus) } }),
    quote: {
      version: report.version,
      bodyType,
      report: parseTdReport(fromHex(report.td, 'TD report'), bodyType),
    },
  }
}

type VerifierReport = ReturnType<typeof decodeFunctionResult<typeof quoteVerifierAbi, 'verify'>>

/** `2025-05-14T00:00:00Z`, as Intel writes it. */
function isoSeconds(seconds: bigint): string {
  return new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z')
}

function isSame(a: Collateral, b: Collateral): boolean {
  return (Object.keys(a) as (keyof Collateral)[]).every((field) => a[field] === b[field])
}

/** The contract wants a certificate where we trust a key: the bundle's, if it has that very key. */
function rootOf(collateral: Collateral, trusted: TrustedRoot): Uint8Array | undefined {
  const chain = splitPemChain(collateral.pck_crl_issuer_chain, { field: 'PCK CRL issuer chain' })
  const der = chain.at(-1) as Uint8Array
  const { key } = parseCertificate(der, 'PCK CRL issuer chain')
  return equalBytes(key.point, trusted.key.point) ? der : undefined
}

function untrustedRoot(): Rejected {
  const message = 'The PCK CRL issuer chain ends in another root.'
  return { verdict: 'rejected', code: 'QUOTE_ROOT_UNTRUSTED', message, facts: {} }
}
