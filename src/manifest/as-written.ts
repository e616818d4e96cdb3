/**
 * Values of YAML and JSON for comparison. Readers disagree about scalars without quotes: YAML 1.2 reads `010` as ten,
 * Docker Compose (go-yaml, which keeps the octal numbers of YAML 1.1) as eight, and JavaScript keeps only 53 bits of an
 * integer. So such a scalar is compared by its text, and it is never equal to the same text in quotes.
 */

/** The spelling of a scalar. */
export interface WrittenScalar {
  /** The text without quotes. */
  readonly source: string
  /** Without quotes and not a block. */
  readonly isPlain: boolean
  /** Explicit tag, such as `tag:yaml.org,2002:int`. */
  readonly tag?: string | undefined
  /** Whether it is the key of a mapping. */
  readonly isKey?: boolean
}

/** Numbers of any base with `_` (YAML 1.1). */
const number = /^[-+]?[0-9_.][0-9a-fox_]*(\.[0-9_]*)?(e[-+]?[0-9_]+)?$/i
const timestamp = /^[0-9]{4}-[0-9]/
/** Booleans of YAML 1.1. Readers take them as text where a key is expected. */
const boolean = /^(y|n|yes|no|on|off)$/i

/**
 * The value for comparison: two scalars that a reader can read differently give different values.
 *
 * @returns `value` if all readers agree; otherwise the text, marked as a text without quotes
 * @example asWritten(777, { source: '0777', isPlain: true }) // '0777 (unquoted)'
 */
export function asWritten(value: unknown, scalar: WrittenScalar): unknown {
  const { source, isPlain, tag, isKey = false } = scalar
  if (tag !== undefined) return `${tag} ${source} (unquoted)`
  if (typeof value === 'string' && !(isPlain && isAmbiguous(value, isKey))) return quoted(value)
  const isExact = Number.isSafeInteger(value) && String(value) === source
  if (isExact || (!isKey && (typeof value === 'boolean' || value === null))) return value
  return `${source} (unquoted)`
}

/**
 * JSON for comparison: numbers that readers can read differently are their texts. The text must be JSON.
 *
 * @example readWrittenJson('{"a": 12345678901234567890}') // { a: '12345678901234567890 (unquoted)' }
 */
export function readWrittenJson(text: string): unknown {
  return JSON.parse(text, (_, value: unknown, context?: { source?: string }) => {
    if (typeof value === 'string') return quoted(value)
    if (typeof value !== 'number') return value
    return asWritten(value, { source: context?.source ?? '', isPlain: true })
  })
}

function isAmbiguous(text: string, isKey: boolean): boolean {
  return number.test(text) || timestamp.test(text) || (!isKey && boolean.test(text))
}

/** A text that ends like a mark gets one more, so that no text is equal to a marked one. */
function quoted(text: string): string {
  return /\((un)?quoted\)$/.test(text) ? `${text} (quoted)` : text
}
