/** Draws what a terminal showed as SVG: without fonts of its own, readable on light and on dark pages. */

const charWidth = 7.8
const lineHeight = 18
const margin = 16
const titleBar = 28

interface Style {
  readonly isBold: boolean
  readonly isDim: boolean
  readonly color: string | undefined
}

interface Run {
  readonly text: string
  readonly style: Style
}

const plain: Style = { isBold: false, isDim: false, color: undefined }
const colors: Readonly<Record<number, string>> = {
  31: 'red',
  32: 'green',
  33: 'yellow',
  36: 'cyan',
}

const style = `
    .panel { fill: #f6f8fa; stroke: #d0d7de }
    .title { fill: #57606a; font-family: system-ui, sans-serif; font-size: 12px; text-anchor: middle }
    text { fill: #1f2328; font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }
    .bold { font-weight: 700 } .dim { fill: #656d76 }
    .red { fill: #cf222e } .green { fill: #116329 } .yellow { fill: #7d4e00 } .cyan { fill: #0550ae }
    @media (prefers-color-scheme: dark) {
      .panel { fill: #161b22; stroke: #30363d }
      .title { fill: #8b949e } text { fill: #e6edf3 } .dim { fill: #8b949e }
      .red { fill: #ff7b72 } .green { fill: #56d364 } .yellow { fill: #e3b341 } .cyan { fill: #79c0ff }
    }`

export interface Picture {
  readonly title: string
  /** For people who cannot see it. */
  readonly description: string
  /** Lines with colours as escape sequences (ECMA-48, SGR). */
  readonly lines: readonly string[]
  readonly columns: number
}

export function drawTerminal({ title, description, lines, columns }: Picture): string {
  const width = Math.ceil(columns * charWidth + 2 * margin)
  const height = titleBar + lines.length * lineHeight + margin
  const styled = styleLines(lines)
  const drawn = styled.flatMap((runs, i) => drawLine(runs, titleBar + (i + 1) * lineHeight))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc">
  <title id="title">${escapeXml(title)}</title>
  <desc id="desc">${escapeXml(description)}</desc>
  <style>${style}
  </style>
  <rect class="panel" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
  <text class="title" x="${width / 2}" y="19">${escapeXml(title)}</text>
${drawn.map((each) => `  ${each}`).join('\n')}
</svg>
`
}

/** One element for each run of characters of one style. `textLength` keeps the columns with every font. */
function drawLine(runs: readonly Run[], y: number): string[] {
  let column = 0
  return runs.flatMap(({ text, style }) => {
    const start = column
    column += text.length
    if (text.trim() === '') return []
    const names = [style.isBold ? 'bold' : '', style.isDim ? 'dim' : '', style.color ?? '']
    const classes = names.filter(Boolean).join(' ')
    const x = (margin + start * charWidth).toFixed(1)
    const length = (text.length * charWidth).toFixed(1)
    const attribute = classes === '' ? '' : ` class="${classes}"`
    return [
      `<text${attribute} x="${x}" y="${y}" textLength="${length}" xml:space="preserve">${escapeXml(text)}</text>`,
    ]
  })
}

/** A style goes on in the next line until a sequence changes it. */
function styleLines(lines: readonly string[]): Run[][] {
  let style = plain
  return lines.map((line) => {
    const runs: Run[] = []
    // biome-ignore lint/suspicious/noControlCharactersInRegex: ESC begins a control sequence (ECMA-48)
    for (const part of line.split(/\x1b\[([0-9;]*m)/)) {
      if (/^[0-9;]*m$/.test(part)) {
        for (const code of part.slice(0, -1).split(';')) style = applyCode(style, Number(code))
      } else runs.push({ text: part, style })
    }
    return runs
  })
}

function applyCode(style: Style, code: number): Style {
  if (code === 0) return plain
  if (code === 1) return { ...style, isBold: true }
  if (code === 2) return { ...style, isDim: true }
  if (code === 22) return { ...style, isBold: false, isDim: false }
  if (code === 39) return { ...style, color: undefined }
  return { ...style, color: colors[code] ?? style.color }
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
