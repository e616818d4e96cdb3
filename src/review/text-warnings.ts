/** Finds text in a proposal that can mislead a reader: hidden characters, look-alike letters, claims about other calls. */
import type { Hex } from '../lib/bytes.ts'
import { escapeText } from '../lib/printable.ts'

/** One word. */
const words = /[\p{L}\p{M}\p{N}_-]+/gu
const scripts = {
  Latin: /\p{Script=Latin}/u,
  Cyrillic: /\p{Script=Cyrillic}/u,
  Greek: /\p{Script=Greek}/u,
  Armenian: /\p{Script=Armenian}/u,
  Cherokee: /\p{Script=Cherokee}/u,
} as const

/** Latin letters and digits in forms of their own, such as full-width or mathematical ones. */
const styled = /[\u2100-\u214f\uff01-\uff5e\u{1d400}-\u{1d7ff}\u{1f130}-\u{1f189}]/u

/** Most findings of one kind that are listed. */
const maxListed = 8

/** Characters that are not shown or that change the order of text, as escapes. */
export function hiddenCharacters(text: string): string[] {
  const found = [...text.replaceAll(/[\n\t]/g, '')].filter((each) => escapeText(each) !== each)
  return [...new Set(found.map(escapeText))].slice(0, maxListed)
}

/** Words that mix scripts, as `аpprove` with a Cyrillic first letter, or whose letters look like Latin ones. */
export function lookAlikeWords(text: string): string[] {
  const mixed = [...text.matchAll(words)]
    .map(([word]) => word)
    .filter((word) => {
      const used = Object.values(scripts).filter((script) => script.test(word))
      return used.length > 1 || styled.test(word)
    })
  return [...new Set(mixed.map(escapeText))].slice(0, maxListed)
}

/**
 * Addresses and ids in the text that are neither in the calls nor known addresses.
 *
 * @param known lower case, without `0x`: calldata, targets and addresses of the deployment
 */
export function unrelatedIds(text: string, known: readonly string[]): Hex[] {
  const ids = text.match(/0x[0-9a-f]{40}(?:[0-9a-f]{24})?(?![0-9a-f])/gi) ?? []
  const all = known.join(' ')
  const unrelated = ids
    .map((id) => id.toLowerCase() as Hex)
    .filter((id) => !all.includes(id.slice(2)))
  return [...new Set(unrelated)].slice(0, maxListed)
}

const generatedMark = 'Assent generated this list from the calls of this proposal.'

/**
 * Whether the text contains a list of changes that differs from that of the calls. False if it contains no list.
 *
 * @param expected the list that the calls give, as Markdown
 */
export function hasForeignList(text: string, expected: string): boolean {
  const claims = text.includes(generatedMark) || /^#+ *what it changes/im.test(text)
  // addresses may be with or without a checksum in their letters
  return claims && !text.toLowerCase().includes(expected.toLowerCase())
}
