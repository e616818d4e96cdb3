/** The last step of every text output: what a terminal would obey is shown as an escape. */
import { escapeText } from '../../lib/printable.ts'
import { colors as pc } from './colors.ts'

/** The colour codes that commands use. Others can hide text, so they are escaped like all control characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals take colours as control characters
const ownColors = /(\x1b\[(?:[12]|22|3[1-6]|39)m)/

/**
 * One line of text output. Line ends inside are shown as `\n`, so that text from the chain or from a file cannot add lines.
 *
 * @param hasColors whether the colours of commands are kept; default: whether the output has colours
 */
export function printableLine(text: string, hasColors: boolean = pc.isColorSupported): string {
  if (!hasColors) return escapeText(text)
  return text
    .split(ownColors)
    .map((part, i) => (i % 2 === 1 ? part : escapeText(part)))
    .join('')
}
