/** Text of other people cannot move the cursor, add lines or hide anything in the output of a command. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import stringWidth from 'string-width'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { run as verifyLog } from '../../src/commands/log/verify.ts'
import { printFindings } from '../../src/commands/output/findings.ts'
import { createOutput } from '../../src/commands/output/output.ts'
import { printableLine } from '../../src/commands/output/printable-line.ts'
import { reportError } from '../../src/commands/output/report-error.ts'
import { toJson } from '../../src/commands/session/run-command.ts'
import { AssentError } from '../../src/errors/index.ts'
import { logVersion } from '../../src/kms/log/format.ts'

const esc = '\u001b'
/** Clears the screen, adds a line, hides text, reverses text, and starts a sequence with one character. */
const hostile = `x${esc}[2J\r\n- withdraw${esc}[8m\u202e\u2028\u009b2Jy`
const shown = 'x\\u001b[2J\\r\\n- withdraw\\u001b[8m\\u202e\\u2028\\u009b2Jy'

let lines: string[]

beforeEach(() => {
  lines = []
  for (const name of ['log', 'error'] as const) {
    vi.spyOn(console, name).mockImplementation((text: unknown) => lines.push(String(text)))
  }
})

afterEach(() => vi.restoreAllMocks())

describe('text output', () => {
  test.each(['line', 'heading', 'warning'] as const)('%s prints one printable line', (method) => {
    createOutput({ json: false })[method](`name ${hostile}`)

    expect(lines).toEqual([`name ${shown}`])
  })

  test('a quotation marks each line', () => {
    createOutput({ json: false }).quotation(`a\r\n\n  - withdraw${esc}[2J`)

    expect(lines).toEqual(['  | a', '  | ', '  |   - withdraw\\u001b[2J'])
  })

  test('each line of a quotation on a terminal has a mark and fits, also with wide characters', () => {
    const terminal = { isTTY: true, columns: 76 } as typeof process.stdout
    vi.spyOn(process, 'stdout', 'get').mockReturnValue(terminal)
    createOutput({ json: false }).quotation(
      `${'漢'.repeat(37)} Warnings: none. Safe. ${'x'.repeat(90)}`,
    )

    const screen = lines.flatMap((line) => line.split('\n'))
    expect(screen.length).toBeGreaterThan(2)
    for (const line of screen) {
      expect(line).toMatch(/^ {2}\| /)
      expect(stringWidth(line)).toBeLessThanOrEqual(76)
    }
  })

  test('colour codes inside a quotation are shown as text, also where commands use colours', () => {
    createOutput({ json: false }).quotation(`${esc}[32m✓ Checked${esc}[39m`)

    expect(lines).toEqual(['  | \\u001b[32m✓ Checked\\u001b[39m'])
  })

  test('JSON for another program stays the same JSON', () => {
    createOutput({ json: false }).verbatim(JSON.stringify({ hostile }, null, 2))

    expect(lines[0]).toMatch(/^[\n\x20-\x7e]+$/)
    expect(JSON.parse(lines[0] as string)).toEqual({ hostile })
  })

  test('a finding of a doctor has its next step on a line of its own', () => {
    const found = {
      check: 'name',
      status: 'failed',
      found: hostile,
      nextStep: 'Repair it.',
    } as const
    printFindings(createOutput({ json: false }), [found])

    expect(lines).toEqual([`FAILED  name: ${shown}`, '        Repair it.'])
  })
})

test('with colours only the colour codes of commands are kept', () => {
  const red = `${esc}[31m`
  const end = `${esc}[39m`

  expect(printableLine(`${red}WRONG${end}  a`, true)).toBe(`${red}WRONG${end}  a`)
  expect(printableLine(`${red}a`, false)).toBe('\\u001b[31ma')
  for (const code of ['0m', '8m', '30m', '40m', '1;8m', '38;5;0m', '2J', '1A', 'H', ']0;a\u0007'])
    expect(printableLine(`${esc}[${code}`, true)).toMatch(/^\\u001b/)
})

test('the JSON of a command is printable and the same value', () => {
  const json = toJson({ hostile, count: 2n })

  expect(json).toMatch(/^[\x20-\x7e]+$/)
  expect(JSON.parse(json)).toEqual({ hostile, count: '2' })
})

test('an error prints message, facts and hint on one printable line each', () => {
  const error = new AssentError('CALL_REVERTED', `Refused: ${hostile}`, {
    facts: { reason: hostile, list: [hostile] },
    hint: hostile,
  })
  reportError(error, false)

  expect(lines).toEqual([
    `CALL_REVERTED Refused: ${shown}`,
    `  reason: ${shown}`,
    `  list: ${shown}`,
    shown,
  ])

  lines.length = 0
  reportError(error, true)
  expect(lines[0]).toMatch(/^[\x20-\x7e]+$/)
  expect(JSON.parse(lines[0] as string).error.facts.reason).toBe(hostile)
})

test('an unexpected error prints its stack line by line', () => {
  const error = new Error('broken')
  error.stack = `Error: broken${esc}[2J\n    at x`
  reportError(error, false)

  expect(lines.slice(-2)).toEqual(['Error: broken\\u001b[2J', '    at x'])
})

test('log verify prints the text of a log on printable lines', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'assent-log-'))
  try {
    const header = { log: logVersion, segment: 0, node: hostile, publicKey: hostile }
    await writeFile(join(folder, '00000000.log'), `${JSON.stringify(header)}\n`)
    const args = { folder, rootKey: `02${'ab'.repeat(32)}`, head: [], witness: [], ...flags }
    await verifyLog(args as never, { output: createOutput({ json: false }) } as never)

    expect(lines.length).toBeGreaterThan(3)
    for (const line of lines) expect(line).toMatch(/^[\x20-\x7e’…]*$/)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

const flags = {
  acceptUnproven: false,
  fromFirstFile: false,
  acceptUnchecked: false,
  trustedBlockRoot: [],
}
