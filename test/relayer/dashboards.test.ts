/** Alert rules and dashboard use only metrics and labels that a running relayer exports. */
import { readFileSync } from 'node:fs'

import { createPublicClient, http } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { createLog } from '../../src/lib/log.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { type Relayer, startRelayer } from '../../src/relayer/service.ts'
import { createLocalSigner } from '../../src/relayer/signer/signer.ts'
import { type Anvil, anvilKeys, findAnvil, startAnvil } from '../anvil.ts'

const absent = findAnvil() === undefined
if (absent)
  console.warn('\n*** ANVIL ABSENT: dashboard and alerts of the relayer are SKIPPED. ***\n')

const folder = new URL('../../deploy/relayer/', import.meta.url)
const readText = (name: string) => readFileSync(new URL(name, folder), 'utf8')

interface Dashboard {
  readonly panels: readonly {
    readonly id: number
    readonly title: string
    readonly targets: readonly { readonly expr: string; readonly legendFormat?: string }[]
  }[]
}

const dashboard = JSON.parse(readText('dashboard.json')) as Dashboard
const alerts = [
  ...readText('alerts.yml').matchAll(/- alert: (\w+)\n +expr: (.+)\n([\s\S]*?)(?=\n\n|$)/g),
]
const expressions = [
  ...alerts.map(([, name = '', expr = '']) => ({ name, expr, legend: '' })),
  ...dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr, legendFormat = '' }) => ({ name: title, expr, legend: legendFormat })),
  ),
]

/** Labels that Prometheus adds to whatever it scrapes. */
const added = ['job', 'instance']

function metricsIn(expr: string): string[] {
  return [...new Set(expr.match(/assent_relayer_\w+/g))]
}

/** Names of labels in selectors and groupings. */
function labelsIn(expr: string): string[] {
  const selectors = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, inside = '']) =>
    [...inside.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label]) => label as string),
  )
  const groups = [...expr.matchAll(/\b(?:by|on|without|ignoring) \(([^)]*)\)/g)].flatMap(
    ([, inside = '']) => inside.split(',').map((label) => label.trim()),
  )
  return [...selectors, ...groups].filter((label) => !added.includes(label))
}

describe.skipIf(absent)('dashboard and alerts', () => {
  let anvil: Anvil
  let database: OpenDatabase
  let relayer: Relayer
  let metricsText: string
  /** Labels by name of the metric. */
  let labels: ReadonlyMap<string, readonly string[]>

  beforeAll(async () => {
    anvil = await startAnvil()
    database = await openDatabase({ memory: true })
    relayer = await startRelayer({
      chainId: 31_337,
      clients: [createPublicClient({ transport: http(anvil.url), cacheTime: 0 })],
      targets: {},
      signer: createLocalSigner(anvilKeys[0]),
      db: database.db,
      verifySubmission: async () => ({ ok: false, reasons: [] }),
      operators: [],
      clock: () => Math.floor(Date.now() / 1000),
      log: createLog({ service: 'test', level: 'silent' }),
      finality: { depth: 0 },
      pollMs: 50,
    })
    metricsText = await (await fetch(`${relayer.url}/metrics`)).text()
    const known = await relayer.metrics.registry.getMetricsAsArray()
    labels = new Map(
      known.map((metric) => [
        metric.name,
        (metric as unknown as { labelNames: string[] }).labelNames,
      ]),
    )
  })
  afterAll(async () => {
    await relayer?.stop()
    await database?.close()
    await anvil?.stop()
  })

  test('the test reads every expression of the alert rules and the dashboard', () => {
    expect(alerts.length).toBe(readText('alerts.yml').split('- alert:').length - 1)
    expect(alerts.length).toBeGreaterThan(10)
    expect(expressions.every(({ expr }) => metricsIn(expr).length > 0)).toBe(true)
  })

  test.each(expressions)('$name uses metrics that /metrics exports: $expr', ({ expr, legend }) => {
    const names = metricsIn(expr)
    for (const name of names) expect(metricsText).toContain(`# TYPE ${name} `)

    const known = names.flatMap((name) => labels.get(name) ?? [])
    const shown = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label as string)
    for (const label of [...labelsIn(expr), ...shown.filter((each) => !added.includes(each))]) {
      expect(known).toContain(label)
    }
    expect(expr.split('(').length).toBe(expr.split(')').length)
  })

  test('expressions use rate() or increase() for counters and not for gauges', () => {
    const kinds = new Map(
      [...metricsText.matchAll(/# TYPE (\w+) (\w+)/g)].map(
        ([, name, kind]) => [name, kind] as const,
      ),
    )
    for (const { expr } of expressions) {
      for (const name of metricsIn(expr)) {
        const isGrowth = new RegExp(`(rate|increase)\\(${name}\\b`).test(expr)
        expect([name, isGrowth]).toEqual([name, kinds.get(name) === 'counter'])
      }
    }
  })

  test('every metric is used in an alert rule or on the dashboard', () => {
    const asked = new Set(expressions.flatMap(({ expr }) => metricsIn(expr)))
    expect([...labels.keys()].filter((name) => !asked.has(name))).toEqual([])
  })

  test('every alert has a severity and a summary, and docs/operate-relayer.md explains it', () => {
    const guide = readFileSync(new URL('../../docs/operate-relayer.md', import.meta.url), 'utf8')
    for (const [, name = '', , rest = ''] of alerts) {
      expect(rest).toMatch(/severity: (page|ticket)/)
      expect(rest).toMatch(/summary: /)
      expect(guide).toContain(`\`${name}\``)
    }
  })

  test('an alert watches each state of a host that needs attention', () => {
    for (const state of ['lapsed', 'unproven', 'failing']) {
      const isWatched = alerts.some(([, , expr = '']) =>
        expr.includes(`assent_relayer_hosts{state="${state}"} > 0`),
      )
      expect([state, isWatched]).toEqual([state, true])
    }
  })

  test('panels of the dashboard have unique ids', () => {
    const ids = dashboard.panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})
