/** The picture and the table of the section `growth`. */
import { expect, test } from 'vitest'

import { drawSeries, type Series, tableOf } from '../../bench/growth/drawing.ts'

const series: Series = {
  name: 'apps',
  title: 'Decision',
  counted: 'apps',
  unit: 'ms',
  points: [
    { count: 100, value: 0.5 },
    { count: 1_000, value: 0.5 },
    { count: 10_000, value: 5 },
  ],
}

test('the plot draws equal values at one height and a tenfold value one decade higher', () => {
  const [, points = ''] = /<polyline class="line" points="([^"]+)"/.exec(drawSeries([series])) ?? []
  const [first = [], second = [], third = []] = points
    .split(' ')
    .map((point) => point.split(',').map(Number))

  expect(second[1]).toBe(first[1])
  expect(third[1]).toBeLessThan(second[1] ?? 0)
  expect((second[0] ?? 0) - (first[0] ?? 0)).toBe((third[0] ?? 0) - (second[0] ?? 0))
})

test('the plot has a panel and a description for each series', () => {
  const picture = drawSeries([series, { ...series, title: 'Start' }])

  expect(picture.match(/<polyline/g)).toHaveLength(2)
  expect(picture).toContain('Start: 100 apps 0.5 ms, 1,000 apps 0.5 ms, 10,000 apps 5 ms.')
})

test('the table of the plot has a row for each point', () => {
  expect(tableOf([series])).toContain('| Decision | 10,000 apps | 5 ms |\n')
})
