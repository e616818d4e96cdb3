/**
 * Makes foreign text safe to print. Text from the chain, from files and from peers can contain escape sequences that move
 * the cursor, line ends that add lines, and marks that reverse or hide what follows. Here such characters are shown as
 * escapes, so that a reader sees them and a terminal does not obey them.
 */
/**
 * Characters that a terminal obeys or does not show: controls, format and bidi marks, lone surrogates, private and
 * unassigned characters (category C), line and paragraph separators, spaces other than U+0020, and everything that
 * Unicode calls "default ignorable", such as zero-width characters, variation selectors and blank letters.
 */
export const unprintable = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu

/** Longest foreign text in a sentence, in UTF-16 units. The longest recipe of an evidence document is this long. */
const maxQuoted = 2_000

/**
 * Shows every unprintable character as an escape: `\n`, `\t` or `\u001b`. The result is one line without control
 * characters. Printable text comes back unchanged, so a backslash can also be a real one; `quoteText` tells them apart.
 *
 * @example
 * escapeText('a\u001b[2Jb\n') // 'a\\u001b[2Jb\\n'
 */
export function escapeText(text: string): string {
  return text.replace(unprintable, escapeCharacter)
}

/**
 * As {@link escapeText}, but line ends stay. For text that has several lines on purpose, and for JSON: an escape inside a
 * JSON string is the same string.
 */
export function escapeLines(text: string): string {
  return text.replace(unprintable, (character) =>
    character === '\n' ? character : escapeCharacter(character),
  )
}

/**
 * Quotes foreign text for a sentence: in double quotes, on one line, at most 2,000 characters long. Quotes, backslashes
 * and repeated spaces inside are escaped, so the text can neither end its quotation nor fill a line to begin another one.
 *
 * @example
 * quoteText('make "dist"\n') // '"make \\"dist\\"\\n"'
 */
export function quoteText(text: string): string {
  const quoted = text
    .slice(0, maxQuoted)
    .replace(/["\\]/g, '\\$&')
    .replace(/(?<= ) /g, '\\u0020')
  const rest = text.length - maxQuoted
  return `"${escapeText(quoted)}"${rest > 0 ? ` … (${rest} more characters)` : ''}`
}

/** One line of Markdown that shows the text: {@link escapeText}, and no code, link, HTML or emphasis. */
export function escapeMarkdown(text: string): string {
  return escapeText(text).replace(/[\\`[\]<*_~]/g, '\\$&')
}

const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** JSON's form of an escape, by UTF-16 unit: a character above U+FFFF gives two. */
function escapeCharacter(character: string): string {
  const short = shortEscapes[character]
  if (short !== undefined) return short
  return [...Array(character.length).keys()]
    .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
    .join('')
}
