/** A picture and a table of series. Both axes of a picture are logarithmic: a straight rising line is a power. */

export interface Series {
  readonly name: string
  readonly title: string
  /** Unit of the horizontal axis. */
  readonly counted: string
  readonly unit: string
  readonly points: readonly { readonly count: number; readonly value: number }[]
}

const panel = { width: 430, height: 250, left: 62, right: 18, top: 44, bottom: 44 }
const perRow = 2

const style = `
    .title { fill: #1f2328; font-size: 15px; font-weight: 600 }
    .label { fill: #57606a; font-size: 12px }
    .grid { stroke: #d0d7de; stroke-width: 1 }
    .line { stroke: #6e40c9; stroke-width: 2; fill: none }
    .point { fill: #6e40c9 }
    @media (prefers-color-scheme: dark) {
      .title { fill: #e6edf3 } .label { fill: #9da7b3 } .grid { stroke: #30363d }
      .line { stroke: #a371f7 } .point { fill: #a371f7 }
    }
  `

/** SVG with a panel for each series. */
export function drawSeries(series: readonly Series[]): string {
  const width = perRow * panel.width
  const height = Math.ceil(series.length / perRow) * panel.height
  const panels = series.map((each, index) => {
    const [x, y] = [(index % perRow) * panel.width, Math.floor(index / perRow) * panel.height]
    return `<g transform="translate(${x} ${y})">\n${drawPanel(each)}\n</g>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" role="img" aria-labelledby="title desc">
  <title id="title">How cost grows</title>
  <desc id="desc">${series.map(describe).join(' ')}</desc>
  <style>${style}</style>
${panels.join('\n')}
</svg>
`
}

/** A Markdown table with a row for each point. */
export function tableOf(series: readonly Series[]): string {
  const rows = series.flatMap(({ title, counted, unit, points }) =>
    points.map(
      ({ count, value }) => `| ${title} | ${group(count)} ${counted} | ${short(value)} ${unit} |`,
    ),
  )
  return ['| what | with | processor time |', '| --- | --- | --- |', ...rows, ''].join('\n')
}

function describe({ title, counted, unit, points }: Series): string {
  const each = points.map(
    ({ count, value }) => `${group(count)} ${counted} ${short(value)} ${unit}`,
  )
  return `${title}: ${each.join(', ')}.`
}

function drawPanel({ title, counted, unit, points }: Series): string {
  const x = scale(
    decadesOf(points.map(({ count }) => count)),
    panel.left,
    panel.width - panel.right,
  )
  const y = scale(
    decadesOf(points.map(({ value }) => value)),
    panel.height - panel.bottom,
    panel.top,
  )
  const [left, right] = [panel.left, panel.width - panel.right]
  const [top, bottom] = [panel.top, panel.height - panel.bottom]
  const vertical = x.marks.flatMap((mark) => [
    `<line class="grid" x1="${x.at(mark)}" x2="${x.at(mark)}" y1="${top}" y2="${bottom}"/>`,
    `<text class="label" text-anchor="middle" x="${x.at(mark)}" y="${bottom + 18}">${group(mark)}</text>`,
  ])
  const horizontal = y.marks.flatMap((mark) => [
    `<line class="grid" x1="${left}" x2="${right}" y1="${y.at(mark)}" y2="${y.at(mark)}"/>`,
    `<text class="label" text-anchor="end" x="${left - 8}" y="${y.at(mark) + 4}">${group(mark)}</text>`,
  ])
  const places = points.map(({ count, value }) => [x.at(count), y.at(value)] as const)
  return [
    `<text class="title" x="${left}" y="22">${title}, ${unit}</text>`,
    ...vertical,
    ...horizontal,
    `<text class="label" text-anchor="end" x="${right}" y="${bottom + 36}">${counted}</text>`,
    `<polyline class="line" points="${places.map((place) => place.join(',')).join(' ')}"/>`,
    ...places.map(([cx, cy]) => `<circle class="point" cx="${cx}" cy="${cy}" r="4"/>`),
  ].join('\n')
}

/** Powers of ten around the values, at least one decade. */
function decadesOf(values: readonly number[]): readonly number[] {
  const first = Math.floor(Math.log10(Math.min(...values)))
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))))
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index))
}

function scale(marks: readonly number[], from: number, to: number) {
  const [low, high] = [Math.log10(marks[0] ?? 1), Math.log10(marks.at(-1) ?? 10)]
  const at = (value: number) =>
    Math.round(from + ((Math.log10(value) - low) / (high - low)) * (to - from))
  return { marks, at }
}

function group(value: number): string {
  return value < 1
    ? String(Number(value.toPrecision(2)))
    : Math.round(value).toLocaleString('en-US')
}

function short(value: number): string {
  return value >= 100 ? group(value) : String(Number(value.toPrecision(2)))
}
