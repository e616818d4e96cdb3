/**
 * Fetches what Intel says about platforms from Intel's PCS or a caching service (PCCS), API version 4.
 *
 * Nothing fetched is trusted: signatures decide later. A service can only withhold, so the next one is
 * asked when one fails, and documents of one set always come from one service.
 */
import { AssentError } from '../errors/index.ts'
import { toHex } from '../lib/bytes.ts'
import { parseCertificate } from './certificate.ts'
import { type Collateral, MAX_COLLATERAL_FIELD_CHARS, parseCollateral } from './collateral.ts'
import type { EvaluationNumbersDocument } from './evaluation-numbers.ts'
import type { Quote } from './parse.ts'

/** Intel publishes each TCB recovery early; it becomes the standard about a year later. */
export type CollateralUpdate = 'standard' | 'early'

export type PckCa = 'platform' | 'processor'

export interface PlatformFamily {
  /** 12 hexadecimal digits */
  readonly fmspc: string
  readonly ca: PckCa
}

export interface PccsOptions {
  /** Base addresses, in the order in which they are asked. */
  readonly urls: readonly string[]
  readonly fetch?: typeof globalThis.fetch
  readonly timeoutMs?: number
  /** Told about each service that failed. */
  readonly onFailure?: (url: string, error: AssentError) => void
}

/** The family that the PCK certificate of a quote names. A false claim fetches what will not fit. */
export function platformFamily(quote: Quote): PlatformFamily {
  const leaf = parseCertificate(quote.pckChain[0] ?? new Uint8Array(), 'PCK certificate')
  const issuer = parseCertificate(quote.pckChain[1] ?? new Uint8Array(), 'PCK CA certificate')
  if (leaf.sgx === undefined) {
    throw new AssentError('QUOTE_CERTIFICATE_MALFORMED', 'The PCK certificate names no platform.')
  }
  const ca = issuer.subjectCommonName.includes('Processor') ? 'processor' : 'platform'
  return { fmspc: toHex(leaf.sgx.fmspc), ca }
}

/** @throws PCCS_UNAVAILABLE when no service gives a complete set */
export async function fetchCollateral(
  family: PlatformFamily,
  update: CollateralUpdate,
  options: PccsOptions,
): Promise<Collateral> {
  const failures: AssentError[] = []
  for (const url of options.urls) {
    try {
      return await fetchSet(family, update, createGetter(url, options))
    } catch (error) {
      if (!(error instanceof AssentError)) throw error
      options.onFailure?.(url, error)
      failures.push(error)
    }
  }
  throw new AssentError('PCCS_UNAVAILABLE', 'No service gives the collateral.', {
    cause: failures[0],
    facts: {
      fmspc: family.fmspc,
      ca: family.ca,
      update,
      failures: failures.map(({ facts }) => facts),
    },
  })
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
    tcb_info_issuer_chain: chainOf(tcb, 'TCB-Info-Issuer-Chain'),
    tcb_info: tcbInfo.text,
    tcb_info_signature: tcbInfo.signature,
    qe_identity_issuer_chain: chainOf(qe, 'SGX-Enclave-Identity-Issuer-Chain'),
    qe_identity: qeIdentity.text,
    qe_identity_signature: qeIdentity.signature,
  })
}

/**
 * Intel's list of TCB evaluation numbers. Caching services have it only if they forward the question.
 *
 * @throws PCCS_UNAVAILABLE
 */
export async function fetchEvaluationNumbers(
  options: PccsOptions,
): Promise<EvaluationNumbersDocument> {
  const failures: AssentError[] = []
  for (const url of options.urls) {
    try {
      const answer = await createGetter(
        url,
        options,
      )('/tdx/certification/v4/tcbevaluationdatanumbers')
      return {
        ...splitSigned(answer, 'tcbEvaluationDataNumbers'),
        issuerChain: chainOf(answer, 'TCB-Evaluation-Data-Numbers-Issuer-Chain'),
      }
    } catch (error) {
      if (!(error instanceof AssentError)) throw error
      options.onFailure?.(url, error)
      failures.push(error)
    }
  }
  throw new AssentError('PCCS_UNAVAILABLE', 'No service gives the evaluation numbers.', {
    cause: failures[0],
    facts: { failures: failures.map(({ facts }) => facts) },
  })
}

/** Where Intel itself publishes the root's list; caching services serve it under a path of their own. */
const intelRootCrl = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der'

async function fetchRootCrl(get: Getter): Promise<Answer> {
  try {
    return await get('/sgx/certification/v4/rootcacrl')
  } catch (error) {
    if (get.base.hostname !== 'api.trustedservices.intel.com') throw error
    return get(intelRootCrl)
  }
}

/* HTTP */

interface Answer {
  readonly path: string
  readonly headers: Headers
  readonly body: Uint8Array
}

interface Getter {
  (pathOrUrl: string): Promise<Answer>
  readonly base: URL
}

function createGetter(url: string, options: PccsOptions): Getter {
  const base = new URL(url)
  const send = options.fetch ?? globalThis.fetch
  const get = async (pathOrUrl: string): Promise<Answer> => {
    const target = pathOrUrl.startsWith('https://')
      ? new URL(pathOrUrl)
      : new URL(base.href.replace(/\/+$/, '') + pathOrUrl)
    try {
      const response = await send(target, {
        signal: AbortSignal.timeout(options.timeoutMs ?? 15_000),
      })
      if (response.status !== 200) throw unavailable(target, `status ${response.status}`)
      return {
        path: target.pathname,
        headers: response.headers,
        body: await readBody(target, response),
      }
    } catch (cause) {
      if (cause instanceof AssentError) throw cause
      throw unavailable(target, 'no answer', cause)
    }
  }
  return Object.assign(get, { base })
}

/** Stops reading where no document could go on. */
async function readBody(target: URL, response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.length
    if (length > MAX_COLLATERAL_FIELD_CHARS) throw unavailable(target, 'an oversized answer')
    parts.push(part)
  }
  return new Uint8Array(Buffer.concat(parts))
}

/* ANSWERS */

function chainOf({ path, headers }: Answer, name: string): string {
  const value = headers.get(name)
  try {
    if (value !== null) return decodeURIComponent(value)
  } catch (cause) {
    throw malformed(path, `a malformed header ${name}`, cause)
  }
  throw malformed(path, `no header ${name}`)
}

/** Intel sends DER, caching services send the root's list as hexadecimal text. */
function crlHex({ body }: Answer): string {
  const text = Buffer.from(body).toString('latin1').trim()
  return /^([0-9a-fA-F]{2})+$/.test(text) ? text : toHex(body)
}

/** The signed text exactly as sent: parsed and printed again it would not verify. */
function splitSigned({ path, body }: Answer, name: string): { text: string; signature: string } {
  const text = Buffer.from(body).toString('utf8').trim()
  const start = `{"${name}":`
  const end = /,"signature":"([0-9a-fA-F]{128})"\}$/.exec(text)
  if (!text.startsWith(`${start}{`) || end?.[1] === undefined) {
    throw malformed(path, `no signed ${name}`)
  }
  return { text: text.slice(start.length, end.index), signature: end[1] }
}

function unavailable(target: URL, found: string, cause?: unknown): AssentError {
  return new AssentError('PCCS_UNAVAILABLE', `${target.host} gave ${found}.`, {
    cause,
    facts: { host: target.host, path: target.pathname, found },
  })
}

function malformed(path: string, found: string, cause?: unknown): AssentError {
  return new AssentError('PCCS_UNAVAILABLE', `The service gave ${found}.`, {
    cause,
    facts: { path, found },
  })
}
