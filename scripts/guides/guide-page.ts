/**
 * The commands of a guide: its fenced `bash` blocks, each with the output that the page shows.
 *
 * A `text` block directly after a `bash` block is its output. There, `…` stands for any text of a line, and a line with only
 * `…` for any number of lines. Blocks of other languages are not run.
 */
export interface GuideBlock {
  /** Line of the page on which the commands begin, from 1. */
  readonly line: number
  readonly commands: string
  /** Undefined if the page shows no output. */
  readonly output: string | undefined
}

/** A fence in a list is indented, and so is its text. */
const fence = /^( *)```(\w*)\n(.*?)^\1```$/gms

/** @throws TypeError for a page without a `bash` block */
export function readGuide(page: string): readonly GuideBlock[] {
  const fences = [...page.matchAll(fence)].map((match) => ({
    language: match[2],
    text: (match[3] as string).replaceAll(new RegExp(`^${match[1]}`, 'gm'), ''),
    start: match.index,
    end: match.index + match[0].length,
  }))
  const blocks = fences.flatMap(({ language, text, start, end }, index): GuideBlock[] => {
    if (language !== 'bash') return []
    const next = fences[index + 1]
    const isOutput = next?.language === 'text' && page.slice(end, next.start).trim() === ''
    return [
      {
        line: page.slice(0, start).split('\n').length + 1,
        commands: text,
        output: isOutput ? next.text : undefined,
      },
    ]
  })
  if (blocks.length === 0) throw new TypeError('The page has no bash block.')
  return blocks
}

/** Tells if a command printed what the page shows. Spaces at the end of lines do not count. */
export function showsOutput(shown: string, printed: string): boolean {
  const lines = linesOf(shown).map((line) =>
    line === '…' ? '(?:[^\\n]*\\n)*?' : `${line.split('…').map(escapeRegExp).join('[^\\n]+?')}\\n`,
  )
  return new RegExp(`^${lines.join('')}$`).test(`${linesOf(printed).join('\n')}\n`)
}

function linesOf(text: string): string[] {
  return text
    .trim()
    .split(/\r?\n/)
    .map((line) => line.trimEnd())
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
