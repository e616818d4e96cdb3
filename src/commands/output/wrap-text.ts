/** Wraps text at words. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminals take colours as control characters
const colors = /\x1b\[[0-9;]*m/g

/**
 * Wraps each line of a text at spaces. Continued lines are indented two columns deeper than the line began. A word that is
 * longer than a line, such as a hash, is not broken.
 *
 * @param columns maximum length of a line, without colour codes; at least 40
 */
export function wrapText(text: string, columns: number): string {
  const width = Math.max(40, columns)
  return text
    .split('\n')
    .map((line) => wrapLine(line, width))
    .join('\n')
}

function wrapLine(line: string, width: number): string {
  if (visibleLength(line) <= width) return line
  const indent = /^ */.exec(line)?.[0] ?? ''
  const lines: string[] = []
  let current = ''
  for (const word of line.slice(indent.length).split(/(?<=\S) +(?=\S)/)) {
    const start = lines.length === 0 ? indent : `${indent}  `
    const longer = current === '' ? `${start}${word}` : `${current} ${word}`
    if (current === '' || visibleLength(longer) <= width) current = longer
    else {
      lines.push(current)
      current = `${indent}  ${word}`
    }
  }
  return [...lines, current].join('\n')
}

function visibleLength(text: string): number {
  return text.replace(colors, '').length
}
