/**
 * Limits of error messages, facts and log lines. Their content often comes from a peer, and a peer must not decide how
 * much this process sends or logs. Libraries quote the URLs that they ask, so URLs are cut too.
 */

/** Longest message of an error, in UTF-16 units. */
export const maxMessage = 2_048
/** Longest text inside the facts, in UTF-16 units. */
const maxText = 4_096
/** Most members of one object, and most items of one list. */
const maxMembers = 64
const maxDepth = 6
/** All texts of one facts object together, in UTF-16 units. */
const maxTotal = 16_384

/** The length of the scheme is limited, so that a search takes linear time. `file:` is in every stack trace. */
const urls = /\b(?!file:)([a-z][a-z0-9+.-]{1,15}:\/\/)([^\s"/?#\\]*)([^\s"]*)/gi

/**
 * Cuts every URL in a text to its origin. Providers put API keys into user, password, path and query.
 *
 * @example
 * withoutUrlSecrets('no answer from https://me:pw@rpc.example/v2/key') // 'no answer from https://rpc.example/…'
 */
export function withoutUrlSecrets(text: string): string {
  if (!text.includes('://')) return text
  return text.replace(urls, (_, scheme: string, authority: string, rest: string) => {
    const host = authority.slice(authority.lastIndexOf('@') + 1)
    const hasMore = host !== authority || !/^\/?[).,:;\]]*$/.test(rest)
    return `${scheme}${host}${hasMore ? '/…' : rest}`
  })
}

/**
 * Cuts URLs to their origin and a long text to its beginning, and appends how many characters are missing.
 *
 * @param limit longest result in UTF-16 units, without the appended note
 */
export function boundedText(whole: string, limit: number): string {
  const text = withoutUrlSecrets(whole)
  if (text.length <= limit) return text
  // a cut inside a surrogate pair would give an invalid text
  const end = /[\uD800-\uDBFF]/.test(text.charAt(limit - 1)) ? limit - 1 : limit
  return `${text.slice(0, end)}… (${text.length - end} more characters)`
}

/**
 * Copies facts with long texts, long lists and deep members cut. Facts below all limits come back equal.
 *
 * Class instances stay as they are, because their author decided what they print. Byte arrays above 1024 bytes become
 * a text with their length.
 */
export function boundedFacts(
  facts: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return boundMembers(facts, { left: maxTotal }, 0)
}

/** Characters that the remaining texts of one facts object may use. */
interface Budget {
  left: number
}

function bound(value: unknown, budget: Budget, depth: number): unknown {
  if (typeof value === 'string') return boundText(value, budget)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return value.length <= 1024 ? value : `${value.length} bytes`
  if (Array.isArray(value)) {
    if (depth >= maxDepth) return `a list of ${value.length}`
    const list = value.slice(0, maxMembers).map((item) => bound(item, budget, depth + 1))
    return value.length > maxMembers ? [...list, `… ${value.length - maxMembers} more`] : list
  }
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return value
  return depth >= maxDepth ? 'an object' : boundMembers(value, budget, depth)
}

function boundMembers(value: object, budget: Budget, depth: number): Record<string, unknown> {
  const bounded: Record<string, unknown> = {}
  const names = Object.keys(value)
  for (const name of names.slice(0, maxMembers)) {
    // member names can come from a peer too
    const shortName = boundText(name, budget)
    bounded[shortName] = bound((value as Record<string, unknown>)[name], budget, depth + 1)
  }
  if (names.length > maxMembers) bounded['…'] = `${names.length - maxMembers} more`
  return bounded
}

function boundText(text: string, budget: Budget): string {
  const bounded = boundedText(text, Math.min(maxText, budget.left))
  budget.left = Math.max(0, budget.left - bounded.length)
  return bounded
}
