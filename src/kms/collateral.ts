/**
 * Fetches Intel's statements about a platform from a PCCS, and keeps them while they are fresh.
 *
 * Nothing here is trusted: signatures decide later. A PCCS can only withhold, and then nobody is served.
 */
import { AssentError } from '../errors/index.ts'
import { toHex } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { parseCertificate } from '../quote/certificate.ts'
import { type Collateral, parseCollateral } from '../quote/collateral.ts'
import type { Quote } from '../quote/parse.ts'
import type { CollateralSource } from './evidence.ts'

export interface PccsOptions {
  /** Base address, without `/sgx` or `/tdx`. */
  readonly url: string
  /** How long one answer is used before it is asked for again. */
  readonly refreshSeconds: number
  readonly timeoutMs: number
  readonly clock: Clock
  readonly fetch?: typeof globalThis.fetch
}

interface Kept {
  readonly collateral: Promise<Collateral>
  readonly fetchedAt: number
}

/** FMSPCs are chosen by whoever sends a quote; only this many are remembered. */
const capacity = 64
const maxAnswer = 1024 * 1024

/** One bundle for every quote: files, tests, the demo. */
export function fixedCollateral(json: unknown): CollateralSource {
  const collateral = parseCollateral(json)
  return async () => collateral
}

/** Collateral from a caching service, by platform family and issuing CA. */
export function createPccsSource(options: PccsOptions): CollateralSource {
  const kept = new Map<string, Kept>()
  return (quote) => {
    const platform = describePlatform(quote)
    const name = `${platform.fmspc}/${platform.ca}`
    const known = kept.get(name)
    if (known && options.clock() - known.fetchedAt < options.refreshSeconds) return known.collateral
    const collateral = fetchCollateral(platform, options)
    kept.delete(name)
    kept.set(name, { collateral, fetchedAt: options.clock() })
    if (kept.size > capacity) kept.delete(kept.keys().next().value ?? '')
    // a failure is not kept, so that the next request tries again
    collateral.catch(() => {
      if (kept.get(name)?.collateral === collateral) kept.delete(name)
    })
    return collateral
  }
}

interface PlatformFamily {
  readonly fmspc: string
  readonly ca: 'platform' | 'processor'
}

/** What the PCK certificate claims; a false claim only fetches collateral that will not fit. */
function describePlatform(quote: Quote): PlatformFamily {
  const [pck, ca] = quote.pckChain
  const leaf = parseCertificate(pck ?? new Uint8Array(), 'PCK certificate')
  const issuer = parseCertificate(ca ?? new Uint8Array(), 'PCK CA certificate')
  if (leaf.sgx === undefined) {
    throw new AssentError('KMS_EVIDENCE_INVALID', 'the PCK names no platform')
  }
  const kind = issuer.subjectCommonName.includes('Processor') ? 'processor' : 'platform'
  return { fmspc: toHex(leaf.sgx.fmspc), ca: kind }
}

async function fetchCollateral(
  { fmspc, ca }: PlatformFamily,
  options: PccsOptions,
): Promise<Collateral> {
  const get = (path: string) => fetchAnswer(options, path)
  const [pckCrl, rootCrl, tcb, qe] = await Promise.all([
    get(`/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`),
    get('/sgx/certification/v4/rootcacrl'),
    get(`/tdx/certification/v4/tcb?fmspc=${fmspc}&update=standard`),
    get('/tdx/certification/v4/qe/identity?update=standard'),
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

interface Answer {
  readonly path: string
  readonly headers: Headers
  readonly body: Uint8Array
}

async function fetchAnswer(options: PccsOptions, path: string): Promise<Answer> {
  const { fetch = globalThis.fetch, timeoutMs } = options
  const url = `${options.url.replace(/\/+$/, '')}${path}`
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
    if (response.status !== 200) throw unavailable(path, `status ${response.status}`)
    const body = new Uint8Array(await response.arrayBuffer())
    if (body.length > maxAnswer) throw unavailable(path, 'an oversized answer')
    return { path, headers: response.headers, body }
  } catch (cause) {
    if (cause instanceof AssentError) throw cause
    throw unavailable(path, 'no answer', cause)
  }
}

function chainOf({ path, headers }: Answer, name: string): string {
  const value = headers.get(name)
  if (value === null) throw unavailable(path, `no header ${name}`)
  try {
    return decodeURIComponent(value)
  } catch (cause) {
    throw unavailable(path, `a malformed header ${name}`, cause)
  }
}

/** Intel sends DER, caching services send the same as text of hex digits. */
function crlHex({ body }: Answer): string {
  const text = Buffer.from(body).toString('latin1').trim()
  return /^[0-9a-fA-F]+$/.test(text) ? text : toHex(body)
}

/** The signed text exactly as it was sent: parsing and printing again would break the signature. */
function splitSigned({ path, body }: Answer, name: string): { text: string; signature: string } {
  const text = Buffer.from(body).toString('utf8').trim()
  const match = new RegExp(
    `^\\{"${name}":(\\{.*\\}),"signature":"([0-9a-fA-F]{128})"\\}$`,
    's',
  ).exec(text)
  if (match?.[1] === undefined || match[2] === undefined) {
    throw unavailable(path, `no signed ${name}`)
  }
  return { text: match[1], signature: match[2] }
}

function unavailable(path: string, found: string, cause?: unknown): AssentError {
  return new AssentError('COLLATERAL_UNAVAILABLE', `The PCCS gave ${found} for ${path}.`, {
    cause,
    facts: { path, found },
  })
}
