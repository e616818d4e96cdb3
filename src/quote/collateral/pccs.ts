/**
 * The client of Intel's PCS and of PCCS, API version 4. It fetches collateral.
 *
 * Nothing is trusted before its signature was verified. Requests go to the configured URLs only, and to Intel's own for
 * the root CRL. A redirect is a failure, and URLs in certificates are ignored.
 */
import { AssentError } from '../../errors/index.ts'
import { toHex } from '../../lib/bytes.ts'
import { get as getUrl } from '../../lib/http-get.ts'
import { parseCertificate } from '../certificates/certificate.ts'
import type { Quote } from '../parse.ts'
import { type Collateral, MAX_COLLATERAL_FIELD_CHARS, parseCollateral } from './collateral.ts'
import type { EvaluationNumbersDocument } from './evaluation-numbers.ts'
import { apiBase } from './pccs-urls.ts'

/** `early`: collateral of a TCB recovery as soon as it is published. `standard`: about a year later. */
export type CollateralUpdate = 'standard' | 'early'

/** The CA that issued the PCK certificate. */
export type PckCa = 'platform' | 'processor'

/** All platforms with the same FMSPC and CA share their collateral. */
export interface PlatformFamily {
  /** 12 lower-case hexadecimal digits. */
  readonly fmspc: string
  /** CA that issued the PCK certificate: `platform` for every TDX host, `processor` for older SGX hosts. */
  readonly ca: PckCa
}

/** Connection to a PCCS. */
export interface PccsOptions {
  /** URLs in the order of the requests, with or without the path of the API (`/sgx/certification/v4`). */
  readonly urls: readonly string[]
  /** PEM certificates of additional authorities, because a PCCS often has a self-signed certificate. */
  readonly ca?: string | undefined
  /** Replaces Node's HTTP client. */
  readonly fetch?: typeof globalThis.fetch
  /** Milliseconds for all requests to one PCCS. Default: 15,000. */
  readonly timeoutMs?: number
  /** Called for each PCCS that failed. */
  readonly onFailure?: (url: string, error: AssentError) => void
}

/**
 * Reads the platform family from the PCK certificate of a quote.
 *
 * The certificate is not verified here. A forged one leads to collateral that does not fit the quote.
 *
 * @throws QUOTE_CERTIFICATE_MALFORMED, QUOTE_DER_MALFORMED
 * @example const { fmspc, ca } = platformFamily(parseQuote(bytes))
 */
export function platformFamily(quote: Quote): PlatformFamily {
  const leaf = parseCertificate(quote.pckChain[0] ?? new Uint8Array(), 'PCK certificate')
  const issuer = parseCertificate(quote.pckChain[1] ?? new Uint8Array(), 'PCK CA certificate')
  if (leaf.sgx === undefined) {
    throw new AssentError('QUOTE_CERTIFICATE_MALFORMED', 'The PCK certificate names no platform.')
  }
  const ca = issuer.subjectCommonName.includes('Processor') ? 'processor' : 'platform'
  return { fmspc: toHex(leaf.sgx.fmspc), ca }
}

/**
 * Fetches collateral from the first PCCS that has all documents.
 *
 * @throws PCCS_UNAVAILABLE if no PCCS returns a complete set; the facts have the failure of each
 *
 * @example
 * const urls = ['https://pccs.example:8081', 'https://api.trustedservices.intel.com']
 * const collateral = await fetchCollateral(platformFamily(quote), 'standard', { urls })
 */
export async function fetchCollateral(
  family: PlatformFamily,
  update: CollateralUpdate,
  options: PccsOptions,
): Promise<Collateral> {
  const { fmspc, ca } = family
  const facts = { fmspc, ca, update }
  return fromFirst('the collateral', facts, options, (url) =>
    fetchCollateralFrom(url, family, update, options),
  )
}

/** Fetches collateral from one PCCS. @throws PCCS_UNAVAILABLE, QUOTE_COLLATERAL_MALFORMED */
export function fetchCollateralFrom(
  url: string,
  family: PlatformFamily,
  update: CollateralUpdate,
  options: Omit<PccsOptions, 'urls'>,
): Promise<Collateral> {
  return withinDeadline(url, options, (get) => fetchSet(family, update, get))
}

/** Checks that a PCCS answers, by fetching the CRL of the Platform CA. @throws PCCS_UNAVAILABLE */
export async function checkPccs(url: string, options: Omit<PccsOptions, 'urls'>): Promise<void> {
  await withinDeadline(url, options, (get) =>
    get('/sgx/certification/v4/pckcrl?ca=platform&encoding=der'),
  )
}

async function fetchSet(
  { fmspc, ca }: PlatformFamily,
  update: CollateralUpdate,
  get: Getter,
): Promise<Collateral> {
  const [pckCrl, rootCrl, tcb, qe] = await Promise.all([
    get(`/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`),
    fetchRootCrl(get),
    get(`/tdx/certification/v4/tcb?fmspc=${fmspc}&update=${update}`),
    get(`/tdx/certification/v4/qe/identity?update=${update}`),
  ])
  const tcbInfo = splitSigned(tcb, 'tcbInfo')
  const qeIdentity = splitSigned(qe, 'enclaveIdentity')
  return parseCollateral({
    pck_crl_issuer_chain: chainOf(pckCrl, 'SGX-PCK-CRL-Issuer-Chain'),
    pck_crl: crlHex(pckCrl),
    root_ca_crl: crlHex(rootCrl),
    // the second name is from API version 3; some PCCS still use it
    tcb_info_issuer_chain: chainOf(tcb, 'TCB-Info-Issuer-Chain', 'SGX-TCB-Info-Issuer-Chain'),
    tcb_info: tcbInfo.text,
    tcb_info_signature: tcbInfo.signature,
    qe_identity_issuer_chain: chainOf(qe, 'SGX-Enclave-Identity-Issuer-Chain'),
    qe_identity: qeIdentity.text,
    qe_identity_signature: qeIdentity.signature,
  })
}

/**
 * Fetches Intel's list of TCB evaluation numbers. Not every PCCS serves it.
 *
 * @throws PCCS_UNAVAILABLE
 */
export async function fetchEvaluationNumbers(
  options: PccsOptions,
): Promise<EvaluationNumbersDocument> {
  return fromFirst('the evaluation numbers', {}, options, (url) =>
    withinDeadline(url, options, async (get) => {
      const answer = await get('/tdx/certification/v4/tcbevaluationdatanumbers')
      return {
        ...splitSigned(answer, 'tcbEvaluationDataNumbers'),
        issuerChain: chainOf(answer, 'TCB-Evaluation-Data-Numbers-Issuer-Chain'),
      }
    }),
  )
}

async function fromFirst<T>(
  what: string,
  facts: Readonly<Record<string, unknown>>,
  options: PccsOptions,
  ask: (url: string) => Promise<T>,
): Promise<T> {
  const failures: AssentError[] = []
  for (const url of options.urls) {
    try {
      return await ask(url)
    } catch (error) {
      if (!(error instanceof AssentError)) throw error
      options.onFailure?.(url, error)
      failures.push(error)
    }
  }
  throw allFailed(what, facts, failures)
}

/** Creates the error for a document that no PCCS returned. It contains the failure of each. */
export function allFailed(
  what: string,
  facts: Readonly<Record<string, unknown>>,
  failures: readonly AssentError[],
): AssentError {
  const reasons = failures.map(({ message }) => ` ${message}`).join('')
  return new AssentError('PCCS_UNAVAILABLE', `No PCCS returned ${what}.${reasons}`, {
    cause: failures[0],
    facts: { ...facts, failures: failures.map(({ facts }) => facts) },
  })
}

/**
 * Where Intel publishes the root CRL. It is a constant and not read from a certificate, so that no certificate can name
 * another URL.
 */
const intelRootCrl = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der'

/** A PCCS has its own path for the root CRL. Intel's API and its mirrors do not have it. */
async function fetchRootCrl(get: Getter): Promise<PccsResponse> {
  try {
    return await get('/sgx/certification/v4/rootcacrl')
  } catch (error) {
    if (!(error instanceof AssentError) || error.facts.status === undefined) throw error
    return get(intelRootCrl)
  }
}

/* HTTP */

interface PccsResponse {
  readonly host: string
  readonly path: string
  readonly headers: Headers
  readonly body: Uint8Array
}

/** Fetches a path of the PCCS, or an absolute URL. */
type Getter = (pathOrUrl: string) => Promise<PccsResponse>

/** Runs all requests to one PCCS with one deadline. After the first failure the others are cancelled. */
async function withinDeadline<T>(
  url: string,
  options: Omit<PccsOptions, 'urls'>,
  ask: (get: Getter) => Promise<T>,
): Promise<T> {
  const over = new AbortController()
  const timer = setTimeout(
    () => over.abort(new Error('it took too long')),
    options.timeoutMs ?? 15_000,
  )
  try {
    return await ask(createGetter(url, options, over.signal))
  } finally {
    clearTimeout(timer)
    over.abort(new Error('another answer failed'))
  }
}

function createGetter(
  url: string,
  { ca, fetch }: Omit<PccsOptions, 'urls'>,
  signal: AbortSignal,
): Getter {
  const base = apiBase(url)
  return async (pathOrUrl) => {
    const target = new URL(pathOrUrl.startsWith('/') ? base + pathOrUrl : pathOrUrl)
    const { host, pathname: path } = target
    try {
      const options = { signal, maxBytes: MAX_COLLATERAL_FIELD_CHARS, ca, fetch }
      const { status, headers, body } = await getUrl(target, options)
      if (status === 200) return { host, path, headers, body }
      throw unavailable({ host, path }, `status ${status}`, { status })
    } catch (cause) {
      if (cause instanceof AssentError) throw cause
      throw unavailable({ host, path }, `no answer (${reasonOf(cause)})`, {}, cause)
    }
  }
}

/** The innermost cause has the useful reason, for example an expired certificate or an unknown host. */
function reasonOf(error: unknown): string {
  let reason = error
  while (reason instanceof Error && reason.cause instanceof Error) reason = reason.cause
  if (!(reason instanceof Error)) return String(reason)
  const { code } = reason as { code?: unknown }
  return typeof code === 'string' ? code : reason.message
}

/* ANSWERS */

/** Reads a chain from a header: percent-encoded PEM. Some proxies write spaces as `+` and line ends as CRLF. */
function chainOf(answer: PccsResponse, ...names: readonly string[]): string {
  const value = names.map((name) => answer.headers.get(name)).find((each) => each !== null)
  if (value == null) throw unavailable(answer, `no header ${names[0]}`)
  // inside base64, `+` is a digit and must stay
  const encoded = value.replaceAll(/(BEGIN|END)\+CERTIFICATE/g, '$1 CERTIFICATE')
  try {
    return decodeURIComponent(encoded).replaceAll('\r\n', '\n')
  } catch (cause) {
    throw unavailable(answer, `a malformed header ${names[0]}`, {}, cause)
  }
}

/** Reads a CRL as hex. Intel sends DER or PEM; a PCCS can also send hex. */
function crlHex({ body }: PccsResponse): string {
  const text = Buffer.from(body).toString('latin1').trim()
  if (/^([0-9a-fA-F]{2})+$/.test(text)) return text
  const pem = /^-----BEGIN X509 CRL-----\s([A-Za-z0-9+/=\s]+)-----END X509 CRL-----$/.exec(text)
  return toHex(pem?.[1] === undefined ? body : Buffer.from(pem[1], 'base64'))
}

/** Reads the signed text exactly as sent, because parsing and printing it could break the signature. */
function splitSigned(answer: PccsResponse, name: string): { text: string; signature: string } {
  const members = membersOf(Buffer.from(answer.body).toString('utf8'))
  const text = members.get(name)
  const signature = /^"([0-9a-fA-F]{128})"$/.exec(members.get('signature') ?? '')?.[1]
  if (!text?.startsWith('{') || signature === undefined) {
    throw unavailable(answer, `no signed ${name}`)
  }
  return { text, signature }
}

/**
 * Splits a JSON object into its members, with each value exactly as written.
 *
 * Names with escapes are kept as written; no such name is needed here. Reading stops at the first text that is not a
 * member.
 */
function membersOf(text: string): Map<string, string> {
  const members = new Map<string, string>()
  const key = /\s*[{,]\s*"((?:[^"\\]|\\.)*)"\s*:\s*/y
  for (let match = key.exec(text); match !== null; match = key.exec(text)) {
    const end = endOfValue(text, key.lastIndex)
    members.set(match[1] as string, text.slice(key.lastIndex, end).trimEnd())
    key.lastIndex = end
  }
  return members
}

function endOfValue(text: string, start: number): number {
  let depth = 0
  let isString = false
  for (let index = start; index < text.length; index++) {
    const character = text[index]
    if (isString) {
      if (character === '\\') index += 1
      else if (character === '"') isString = false
    } else if (character === '"') isString = true
    else if (character === '{' || character === '[') depth += 1
    else if (depth > 0 && (character === '}' || character === ']')) depth -= 1
    else if (depth === 0 && (character === ',' || character === '}')) return index
  }
  return text.length
}

function unavailable(
  { host, path }: Pick<PccsResponse, 'host' | 'path'>,
  found: string,
  facts: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): AssentError {
  return new AssentError('PCCS_UNAVAILABLE', `${host} gave ${found}.`, {
    cause,
    facts: { host, path, found, ...facts },
  })
}
