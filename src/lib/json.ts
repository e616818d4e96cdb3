/** Foreign JSON, with its depth and the number of its values bounded before anything is made of it. */
import { AssentError } from '../errors/index.ts'

export interface JsonLimits {
  /** How deep arrays and objects may lie in each other; a bare value has depth 0. */
  readonly depth: number
  /** How many values, members and entries together. A value takes up to 60 times its text in memory. */
  readonly values: number
}

export interface ReadJson {
  readonly value: unknown
  /** Names that the outermost object has more than once; `value` has the last of them. */
  readonly repeated: ReadonlySet<string>
}

/**
 * Reads JSON (RFC 8259) from a peer.
 *
 * @throws INPUT_TOO_LARGE beyond the limits, SyntaxError from `JSON.parse` where the text is not JSON
 */
export function readJson(text: string, limits: JsonLimits): ReadJson {
  const repeated = scan(text, limits)
  return { value: JSON.parse(text), repeated }
}

/** Only looks at brackets, commas and strings; what is not JSON is left to the parser behind it. */
function scan(text: string, { depth: deepest, values: most }: JsonLimits): Set<string> {
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
      if (isObject && depth === 1 && mayBeName) note(text.slice(at, end + 1), seen, repeated)
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
    if (depth > deepest) throw tooLarge('nested too deeply', `at most ${deepest} levels`)
    if (values > most) throw tooLarge('too many values', `at most ${most}`)
  }
  return repeated
}

function note(quoted: string, seen: Set<string>, repeated: Set<string>): void {
  let name: string
  try {
    name = JSON.parse(quoted)
  } catch {
    return
  }
  if (seen.has(name)) repeated.add(name)
  seen.add(name)
}

/** Where a string ends that begins at `start`; the end of the text where it does not. */
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
  return new AssentError('INPUT_TOO_LARGE', `The JSON text is refused: ${found}.`, {
    facts: { found, expected },
  })
}
