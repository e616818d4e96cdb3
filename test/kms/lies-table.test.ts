/** The tables of lies in the documentation are the lists that the tests run. */
import { readFileSync } from 'node:fs'

import { expect, test } from 'vitest'

import { beaconLies } from './malicious-endpoints/beacon-cases.ts'
import { endpointLies, gameLies } from './malicious-endpoints/rollup-cases.ts'

const page = readFileSync(new URL('../../docs/kms-tests.md', import.meta.url), 'utf8')

/** Name and reason of each row below a heading. */
function rowsBelow(heading: string): string[][] {
  const table = page.slice(page.indexOf(`| ${heading} | reason |`)).split('\n\n')[0] ?? ''
  const rows = table.trim().split('\n').slice(2)
  return rows.map((row) => row.split('|').map((cell) => cell.trim().replaceAll('`', '')))
}

const reasonOf = (reason: string) =>
  reason === 'nothing new' ? 'it is valid, but makes nothing final' : reason

test.each<[string, readonly { name: string; reason: string }[]]>([
  ['lie of all beacon APIs', beaconLies.map(({ name, code }) => ({ name, reason: code }))],
  ['dispute game on L1', gameLies],
  [
    'lie of endpoints on an OP Stack chain',
    endpointLies.map(({ name, code }) => ({ name, reason: code })),
  ],
])('the documentation lists each %s', (heading, lies) => {
  expect(rowsBelow(heading)).toEqual(
    lies.map(({ name, reason }) => ['', name, reasonOf(reason), '']),
  )
})

test('the documentation counts the lies', () => {
  const total = beaconLies.length + rowsBelow('lie about the bootstrap').length
  expect(page).toContain(`${total + gameLies.length + endpointLies.length} lies: `)
})
