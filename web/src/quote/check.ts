/** Verifies a dropped quote in the browser, by the code that the KMS runs. */
import { AssentError, isAssentError } from '../../../src/errors/index.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import { readClaimedBoot } from '../../../src/quote/measurements/claimed-boot.ts'
import { parseQuote, type Quote } from '../../../src/quote/parse.ts'
import type { Verdict } from '../../../src/quote/verdict.ts'
import { verifyParsedQuote } from '../../../src/quote/verify.ts'

/** A dropped file. */
export interface Dropped {
  readonly name: string
  readonly bytes: Uint8Array
}

/** What the dropped files are, and what follows from them. */
export interface QuoteReport {
  readonly quote: Quote
  /** What the event log says about the boot; undefined without an event log. It is replayed against the quote. */
  readonly boot: ReturnType<typeof readClaimedBoot> | undefined
  /** Undefined: there is no collateral, so nothing is verified. */
  readonly verdict: Verdict | undefined
  /** Name of the root that vouches for everything; `other` is a root that the reader gave. */
  readonly root: 'intel' | 'other'
  /** Unix seconds: the time of the verdict. */
  readonly at: number
}

/** Longest file. */
export const maxFileBytes = 4 * 1024 * 1024

/**
 * Reads a quote (raw, hexadecimal, or the guest agent's answer to GetQuote), its collateral (JSON of dcap-qvl) and, for
 * simulated quotes, a root certificate (DER).
 *
 * @param at unix seconds
 * @throws QUOTE_*, INPUT_INVALID if no file is a quote
 */
export function checkQuote(files: readonly Dropped[], at: number): QuoteReport {
  const found = sortFiles(files)
  if (found.quote === undefined) {
    throw new AssentError('INPUT_INVALID', 'None of the files is a TDX quote.')
  }
  const { collateral, rootCertificate } = found
  const isOther = rootCertificate !== undefined
  return {
    quote: found.quote,
    boot: found.boot,
    verdict:
      collateral === undefined
        ? undefined
        : verifyParsedQuote(found.quote, parseCollateral(collateral), {
            at,
            root: rootCertificate ?? 'intel',
          }),
    root: isOther ? 'other' : 'intel',
    at,
  }
}

interface Sorted {
  quote?: Quote
  boot?: ReturnType<typeof readClaimedBoot>
  collateral?: unknown
  rootCertificate?: Uint8Array
}

function sortFiles(files: readonly Dropped[]): Sorted {
  const sorted: Sorted = {}
  for (const { name, bytes } of files) {
    const json = readJsonObject(bytes)
    if (json !== undefined && 'tcb_info' in json) sorted.collateral = json
    else if (json !== undefined && 'quote' in json) {
      sorted.quote = parseQuote(fromHex(String(json.quote), 'quote'))
      if ('event_log' in json) sorted.boot = readClaimedBoot(json)
    } else if (/\.(der|cer|crt)$/.test(name)) sorted.rootCertificate = bytes
    else if (json === undefined) sorted.quote = parseQuote(bytesOf(bytes))
    else throw new AssentError('INPUT_INVALID', `${name} is neither a quote nor collateral.`)
  }
  return sorted
}

function readJsonObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  // a raw quote begins with its version, which is no text
  if (bytes[0] !== 0x7b && bytes[0] !== 0x20 && bytes[0] !== 0x0a) return undefined
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** Raw bytes, or the bytes of hexadecimal text. */
function bytesOf(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder('latin1').decode(bytes).trim()
  return /^(?:0x)?[0-9a-f]+$/i.test(text) ? fromHex(text, 'quote') : bytes
}

/** A sentence for an error of any kind. */
export function describeError(error: unknown): string {
  if (isAssentError(error)) return `${error.code}: ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
