/** The answer of the host registry to a quote: today, and once Intel's early collateral is the standard. */
import type { Address, PublicClient } from 'viem'

import { concatBytes, equalBytes, fromHex, type Hex, to0x } from '../../lib/bytes.ts'
import { intelRootKey } from '../../quote/certificates/intel-root.ts'
import { SPKI_PREFIX } from '../../quote/certificates/p256.ts'
import { nextStandard, readEvaluationNumbers } from '../../quote/collateral/evaluation-numbers.ts'
import {
  fetchCollateral,
  fetchEvaluationNumbers,
  type PccsOptions,
  platformFamily,
} from '../../quote/collateral/pccs.ts'
import { parseQuote } from '../../quote/parse.ts'
import { verifyQuote } from '../../quote/verify.ts'
import { hostsAbi, quoteVerifierAbi } from '../abi.ts'
import { toChainError } from '../call.ts'
import {
  advisoryWord,
  contractStatuses,
  contractVerdicts,
  readAdvisories,
} from '../verifier/verdicts.ts'

/** A verdict under one set of collateral, and whether the rules of the registry accept it. */
export interface AssessedSet {
  /** Where the quote was verified: by the verifier on the chain, or here with collateral of a PCCS. */
  readonly from: 'chain' | 'pccs'
  /** TCB status; null: the quote is rejected. */
  readonly status: string | null
  readonly advisories: readonly string[]
  /** Lower TCB evaluation number of TCB info and QE identity; 0: the quote is rejected. */
  readonly evaluationNumber: number
  /** Why the registry would refuse it; empty: it would accept it. */
  readonly problems: readonly string[]
}

/**
 * The result for one set in a sentence part: status, advisories, evaluation number and problems.
 *
 * @example describeSet(assessed.today) // 'TCB UpToDate, evaluation number 17'
 */
export function describeSet({
  status,
  advisories,
  evaluationNumber,
  problems,
}: AssessedSet): string {
  const affected = advisories.length === 0 ? '' : ` with ${advisories.join(', ')}`
  const proven =
    status === null ? [] : [`TCB ${status}${affected}, evaluation number ${evaluationNumber}`]
  return [...proven, ...problems].join('; ')
}

export interface HostAssessment {
  /** Under the collateral that the chain has now. */
  readonly today: AssessedSet
  /** Under Intel's early collateral; null: nobody has it. */
  readonly early: AssessedSet | null
  /** When the early number becomes the standard, unix seconds; null: not known. */
  readonly nextStandardAt: number | null
  /** What could not be asked, in sentences. */
  readonly notes: readonly string[]
}

export interface AssessmentQuestion {
  /** Contract `Hosts`. */
  readonly hosts: Address
  /** Raw quote, or a compact form. */
  readonly quote: Uint8Array
  /** Unix seconds. */
  readonly now: number
  /** A PCCS, for early documents that the chain does not have. */
  readonly pccs?: Pick<PccsOptions, 'urls' | 'ca'> | undefined
}

/** With this number the verifier uses the newest documents that it has. */
const anyNumber = 0xffff_ffff

/**
 * Asks the verifier of the registry about a quote, applies the rules of the registry, and does the same for the early collateral.
 *
 * The early collateral is the one of the PCCS, or else the one that is on the chain. An outage of the PCCS becomes a note.
 *
 * @throws CHAIN_UNREACHABLE, CALL_REVERTED for a malformed quote
 */
export async function assessHost(
  client: PublicClient,
  question: AssessmentQuestion,
): Promise<HostAssessment> {
  const { hosts, quote, now } = question
  const verifier = await readVerifier(client, hosts)
  const accept = createAcceptance(client, hosts, now)
  const today = await judgeOnChain(client, verifier, quote, undefined, accept)
  const newest = await judgeOnChain(client, verifier, quote, anyNumber, accept)
  const onChain = newest.evaluationNumber > today.evaluationNumber ? newest : null
  const fromPccs = await askPccs(client, verifier, question, accept)
  return {
    today,
    early: fromPccs.early ?? onChain,
    nextStandardAt: fromPccs.nextStandardAt,
    notes: fromPccs.notes,
  }
}

const intelService = 'https://api.trustedservices.intel.com'

function isIntels(root: Uint8Array): boolean {
  return equalBytes(root.slice(SPKI_PREFIX.length), intelRootKey)
}

type Judged = Omit<AssessedSet, 'problems'>

/** Adds what the rules of the registry say. */
type Acceptance = (judged: Judged, refusal: string | undefined) => Promise<AssessedSet>

async function judgeOnChain(
  client: PublicClient,
  verifier: Address,
  quote: Uint8Array,
  number: number | undefined,
  accept: Acceptance,
): Promise<AssessedSet> {
  const contract = { address: verifier, abi: quoteVerifierAbi } as const
  const bytes = to0x(quote)
  const report = await read('verify the quote on the chain', () =>
    number === undefined
      ? client.readContract({ ...contract, functionName: 'verify', args: [bytes] })
      : client.readContract({ ...contract, functionName: 'verifyUnder', args: [bytes, number] }),
  )
  const verdict = contractVerdicts[report.verdict] ?? String(report.verdict)
  const isVerified = verdict === 'Verified'
  return accept(
    {
      from: 'chain',
      status: isVerified ? (contractStatuses[report.status] ?? String(report.status)) : null,
      advisories: readAdvisories(report.advisories),
      evaluationNumber: isVerified
        ? Math.min(report.tcbEvaluationNumber, report.qeEvaluationNumber)
        : 0,
    },
    isVerified ? undefined : `the verifier says ${verdict}`,
  )
}

interface PccsAnswer {
  readonly early: AssessedSet | null
  readonly nextStandardAt: number | null
  readonly notes: readonly string[]
}

async function askPccs(
  client: PublicClient,
  verifier: Address,
  { quote, now, pccs }: AssessmentQuestion,
  accept: Acceptance,
): Promise<PccsAnswer> {
  if (pccs === undefined) {
    return { early: null, nextStandardAt: null, notes: ['No PCCS is set (--pccs).'] }
  }
  const notes: string[] = []
  const note = (what: string) => (error: unknown) => {
    const reason = error instanceof Error ? error.message : 'no reason'
    notes.push(`${what}: ${reason}`)
    return undefined
  }
  const root = await readRootKey(client, verifier)
  const early = await judgeEarly(quote, root, now, pccs).catch(
    note('The early collateral is unknown'),
  )
  // a PCCS does not have the list; its signature decides, so Intel's service can be asked for it
  const urls = isIntels(root) ? [...pccs.urls, intelService] : pccs.urls
  const list = await fetchEvaluationNumbers({ ...pccs, urls })
    .then((document) => readEvaluationNumbers(document, root))
    .catch(note('The date of the next standard number is unknown'))
  return {
    early: early === undefined ? null : await accept(early.judged, early.refusal),
    nextStandardAt: list === undefined ? null : (nextStandard(list, now)?.standardAt ?? null),
    notes,
  }
}

async function judgeEarly(
  bytes: Uint8Array,
  root: Uint8Array,
  at: number,
  pccs: Pick<PccsOptions, 'urls' | 'ca'>,
): Promise<{ judged: Judged; refusal: string | undefined }> {
  const family = platformFamily(parseQuote(bytes))
  const verdict = verifyQuote(bytes, await fetchCollateral(family, 'early', pccs), { at, root })
  if (verdict.verdict === 'rejected') {
    const judged = { from: 'pccs', status: null, advisories: [], evaluationNumber: 0 } as const
    return { judged, refusal: `it is rejected: ${verdict.message}` }
  }
  const { status, advisoryIds, tcbEvaluationNumbers } = verdict
  const { tcbInfo, qeIdentity } = tcbEvaluationNumbers
  const evaluationNumber = Math.min(tcbInfo, qeIdentity)
  return {
    judged: { from: 'pccs', status, advisories: advisoryIds, evaluationNumber },
    refusal: undefined,
  }
}

/** The root of trust of the verifier that a host registry uses, as SubjectPublicKeyInfo (91 bytes). */
export async function readRootOfHosts(client: PublicClient, hosts: Address): Promise<Uint8Array> {
  return readRootKey(client, await readVerifier(client, hosts))
}

function readVerifier(client: PublicClient, hosts: Address): Promise<Address> {
  return read('read the verifier of the hosts', () =>
    client.readContract({ address: hosts, abi: hostsAbi, functionName: 'verifier' }),
  )
}

/** The root of trust of a verifier, as SubjectPublicKeyInfo. */
async function readRootKey(client: PublicClient, verifier: Address): Promise<Uint8Array> {
  const [x, y] = await read('read the root of trust', () =>
    client.readContract({ address: verifier, abi: quoteVerifierAbi, functionName: 'rootKey' }),
  )
  return concatBytes(SPKI_PREFIX, word(x), word(y))
}

function word(value: bigint | Hex): Uint8Array {
  const digits = typeof value === 'bigint' ? value.toString(16) : value.slice(2)
  return fromHex(digits.padStart(64, '0'), 'root key', 32)
}

/** The rules of `Hosts.register` about the report of a quote. */
function createAcceptance(client: PublicClient, hosts: Address, now: number): Acceptance {
  const contract = { address: hosts, abi: hostsAbi } as const
  return async (judged, refusal) => {
    if (refusal !== undefined) return { ...judged, problems: [refusal] }
    const { status, advisories, evaluationNumber } = judged
    const number = contractStatuses.indexOf(status ?? '')
    const problems = await read('read the rules of the hosts', async () => {
      const [rules, until, ...denied] = await Promise.all([
        client.readContract({ ...contract, functionName: 'rules' }),
        client.readContract({ ...contract, functionName: 'statusAcceptedUntil', args: [number] }),
        ...advisories.map((id) =>
          client.readContract({
            ...contract,
            functionName: 'isAdvisoryDenied',
            args: [advisoryWord(id)],
          }),
        ),
      ])
      const minimum = rules.minEvaluationNumber
      return [
        until > now ? [] : [`the DAO does not accept the TCB status ${status}`],
        evaluationNumber >= minimum
          ? []
          : [`the DAO requires evaluation number ${minimum}, this is ${evaluationNumber}`],
        ...advisories.map((id, i) => (denied[i] ? [`the DAO denies hosts with ${id}`] : [])),
      ].flat()
    })
    return { ...judged, problems }
  }
}

async function read<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (cause) {
    throw toChainError(cause, what)
  }
}
