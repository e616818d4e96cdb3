/** JSON from peers. Depth and number of values are limited before `JSON.parse` allocates anything. */
import { AssentError } from '../errors/index.ts'

/** Limits of one document. */
export interface JsonLimits {
  /** Deepest nesting of arrays and objects. A single value without them has depth 0. */
  readonly depth: number
  /** Most values in the whole document. One value can need 60 times its text size in memory. */
  readonly values: number
}

/** A parsed document. */
export interface ReadJson {
  readonly value: unknown
  /** Member names that the outermost object has more than once. `value` contains the last of each. */
  readonly repeated: ReadonlySet<string>
}

/**
 * Parses JSON (RFC 8259) from a peer.
 *
 * @throws INPUT_TOO_LARGE if the document exceeds a limit
 * @throws SyntaxError from `JSON.parse` if the text is not JSON
 */
export function readJson(text: string, limits: JsonLimits): ReadJson {
  const repeated = scan(text, limits)
  return { value: JSON.parse(text), repeated }
}

/** Counts brackets, commas and strings. It does not check the syntax: `JSON.parse` does that afterwards. */
function scan(text: string, { depth: maxDepth, values: maxValues }: JsonLimits): Set<string> {
  const seen = new Set<string>()
  const repeated = new Set<string>()
  const isObject = /^\s*\{/.test(text)
  let depth = 0
  let values = 1
  let mayBeName = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '"') {
      const end = endOfString(text, at)
      if (isObject && depth === 1 && mayBeName) recordName(text.slice(at, end + 1), seen, repeated)
      mayBeName = false
      at = end
    } else if (char === '{' || char === '[') {
      depth++
      values++
      mayBeName = true
    } else if (char === '}' || char === ']') depth--
    else if (char === ',') {
      values++
      mayBeName = true
    }
    if (depth > maxDepth) throw tooLarge('nested too deeply', `at most ${maxDepth} levels`)
    if (values > maxValues) throw tooLarge('too many values', `at most ${maxValues}`)
  }
  return repeated
}

/** Decodes the name first, because `"a"` and `"\u0061"` are the same name. */
function recordName(quoted: string, seen: Set<string>, repeated: Set<string>): void {
  let name: string
  try {
    name = JSON.parse(quoted)
  } catch {
    return
  }
  if (seen.has(name)) repeated.add(name)
  seen.add(name)
}

/** Position of the closing quotation mark of the string at `start`, or the end of the text. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    at = text.indexOf('"', at)
    if (at === -1) return text.length
    let backslashes = 0
    while (text[at - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return at
  }
}

function tooLarge(found: string, expected: string): AssentError {
  return new AssentError('INPUT_TOO_LARGE', `The JSON document is refused: ${found}.`, {
    facts: { found, expected },
  })
}
