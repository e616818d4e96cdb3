/** Reads the text format of Prometheus (exposition format 0.0.4) as far as prom-client writes it. */

/** One sample. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const line = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g

/**
 * Samples by the name of their metric. Comments and lines that are no samples are skipped.
 *
 * @example
 * readMetrics('jobs{state="done"} 3\n').get('jobs') // [{ labels: { state: 'done' }, value: 3 }]
 */
export function readMetrics(text: string): ReadonlyMap<string, readonly Sample[]> {
  const samples = new Map<string, Sample[]>()
  for (const each of text.split('\n')) {
    const [, name, labels = '', number = ''] = line.exec(each) ?? []
    if (name === undefined) continue
    const value = number === '+Inf' ? Number.POSITIVE_INFINITY : Number(number)
    if (Number.isNaN(value)) continue
    const list = samples.get(name) ?? []
    list.push({ labels: readLabels(labels), value })
    samples.set(name, list)
  }
  return samples
}

function readLabels(text: string): Record<string, string> {
  const pairs = [...text.matchAll(label)].map(([, name = '', value = '']) => {
    const plain = value.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character))
    return [name, plain] as const
  })
  return Object.fromEntries(pairs)
}

/** The value of a metric without labels; undefined if it is absent. */
export function sampleOf(
  metrics: ReadonlyMap<string, readonly Sample[]>,
  name: string,
): number | undefined {
  return metrics.get(name)?.find(({ labels }) => Object.keys(labels).length === 0)?.value
}

/** Sums of a metric by the value of one label. */
export function valuesBy(
  metrics: ReadonlyMap<string, readonly Sample[]>,
  name: string,
  by: string,
): Readonly<Record<string, number>> {
  const sums = new Map<string, number>()
  for (const { labels, value } of metrics.get(name) ?? []) {
    const key = labels[by] ?? ''
    sums.set(key, (sums.get(key) ?? 0) + value)
  }
  return Object.fromEntries(sums)
}
