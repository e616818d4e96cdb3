/**
 * Size limits of what errors and log lines carry. Much of it comes from a peer, and a peer must not choose how much
 * this process answers or writes.
 */

/** Longest message of an error, in UTF-16 units. */
export const maxMessage = 2_048
const maxText = 4_096
const maxMembers = 64
const maxDepth = 6
/** All texts of one set of facts together, in UTF-16 units. */
const maxTotal = 16_384

/** The beginning of a text that is longer than `longest`, with a note of how much is missing. */
export function boundedText(text: string, longest: number): string {
  if (text.length <= longest) return text
  // the last half of a surrogate pair would make the text invalid
  const end = /[\uD800-\uDBFF]/.test(text.charAt(longest - 1)) ? longest - 1 : longest
  return `${text.slice(0, end)}… (${text.length - end} more characters)`
}

/**
 * The same facts with long texts, long lists and deep members cut; what is small comes back equal. Instances of
 * classes are kept as they are, except bytes, of which too many become their number.
 */
export function boundedFacts(
  facts: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return boundMembers(facts, { left: maxTotal }, 0)
}

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
