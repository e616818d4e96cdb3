/** How the recorded form of a vector comes out of the file at its origin; the hash decides which fits. */
import { AssentError } from '../../src/errors/index.ts'
import { MAX_QUOTE_BYTES, parseQuote } from '../../src/quote/parse.ts'

/** What the upstream file may hold the recorded one as. */
export function derivations(derive: string, upstream: Uint8Array): Uint8Array[] {
  if (derive === 'quote') return findQuotes(upstream)
  if (derive === 'byte-array') return [Uint8Array.from(JSON.parse(text(upstream)) as number[])]
  const [kind, field] = derive.split(':')
  if (kind === 'hex-field' && field !== undefined) {
    const json = JSON.parse(text(upstream)) as Record<string, string>
    return [new Uint8Array(Buffer.from(json[field] ?? '', 'hex'))]
  }
  return [upstream]
}

/**
 * Every quote inside a file, without its padding: raw, as in attestations and binary dumps, or as hex
 * inside a text, as in fixtures, YAML and Solidity.
 */
function findQuotes(upstream: Uint8Array): Uint8Array[] {
  const raw = Buffer.from(upstream)
  const hexRuns = raw.toString('latin1').match(/[0-9a-fA-F]{2000,}/g) ?? []
  const sources = [raw, ...hexRuns.map((run) => Buffer.from(run, 'hex'))]
  return sources.flatMap((source) => {
    const quotes: Uint8Array[] = []
    for (const start of ['0400020081000000', '0500020081000000'].flatMap((hex) =>
      find(source, hex),
    )) {
      const quote = trim(source.subarray(start, start + MAX_QUOTE_BYTES))
      if (quote !== undefined) quotes.push(quote)
    }
    return quotes
  })
}

function find(source: Buffer, hex: string): number[] {
  const pattern = Buffer.from(hex, 'hex')
  const starts: number[] = []
  for (let at = source.indexOf(pattern); at !== -1; at = source.indexOf(pattern, at + 1))
    starts.push(at)
  return starts
}

function trim(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return bytes.slice(0, parseQuote(bytes).length)
  } catch (error) {
    if (error instanceof AssentError) return undefined
    throw error
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8')
}
