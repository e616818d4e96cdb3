/** Wraps text at words, by the columns that a terminal uses for it. */
import { stripVTControlCharacters } from 'node:util'

import stringWidth from 'string-width'

/**
 * Wraps each line of a text at spaces. Continued lines are indented two columns deeper than the line began. A word of ASCII
 * characters that is longer than a line, such as a hash, is not broken, so that it can be copied.
 *
 * @param columns maximum width of a line, without colour codes; at least 40
 */
export function wrapText(text: string, columns: number): string {
  const width = Math.max(40, columns)
  return text
    .split('\n')
    .map((line) => wrapLine(line, width))
    .join('\n')
}

/**
 * Breaks a line of foreign text into parts that fit, also inside words: no part may continue on a line without a mark.
 *
 * @param columns maximum width of a part; at least 2, the width of one character
 * @example
 * breakText('漢漢 abc', 4) // ['漢漢', ' abc']
 */
export function breakText(line: string, columns: number): string[] {
  const parts: string[] = []
  let part = ''
  let used = 0
  for (const piece of pieces(line)) {
    const width = stringWidth(piece)
    if (used + width > columns) {
      parts.push(part)
      part = ''
      used = 0
    }
    part += piece
    used += width
  }
  return [...parts, part]
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals take colours as control characters
const colorCode = /(\x1b\[[\d;]*m)/

/** Characters as a reader sees them, and whole colour codes, which have no width. */
function pieces(line: string): string[] {
  return line
    .split(colorCode)
    .flatMap((text, i) =>
      i % 2 === 1 ? [text] : [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment),
    )
}

function breakWord(word: string, columns: number): string[] {
  return /^[\x21-\x7e]*$/.test(stripVTControlCharacters(word)) ? [word] : breakText(word, columns)
}

function wrapLine(line: string, width: number): string {
  if (stringWidth(line) <= width) return line
  const indent = /^ */.exec(line)?.[0] ?? ''
  const lines: string[] = []
  let current = ''
  const words = line.slice(indent.length).split(/(?<=\S) +(?=\S)/)
  for (const word of words.flatMap((each) => breakWord(each, width - indent.length - 2))) {
    const start = lines.length === 0 ? indent : `${indent}  `
    const longer = current === '' ? `${start}${word}` : `${current} ${word}`
    if (current === '' || stringWidth(longer) <= width) current = longer
    else {
      lines.push(current)
      current = `${indent}  ${word}`
    }
  }
  return [...lines, current].join('\n')
}
