/** The catalogue as files: the files contain the inputs of the tests. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { projectRoot } from '../../scripts/run-tool.ts'
import type { Expectation } from '../simulator/faults/case.ts'
import { faultCatalogue } from '../simulator/faults/catalogue.ts'

const run = promisify(execFile)
let folder: string
let said: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'assent-suite-'))
  const { stdout } = await run(process.execPath, ['scripts/suite.ts', folder], { cwd: projectRoot })
  said = stdout
})
afterAll(() => rmSync(folder, { recursive: true }))

test('the suite command writes all cases except those under other roots', () => {
  const names = readdirSync(join(folder, 'cases'))
  const left = faultCatalogue.map(({ name }) => name).filter((name) => !names.includes(name))

  expect(left).toEqual(['valid_printable_names', 'root_other_of_same_key'])
})

/** The arguments of the command that the suite prints. */
function printedArguments(): string[] {
  const [, command = ''] = said.trim().split('\n')
  return command.split(' ').slice(2)
}

test('the command that the suite prints finds every verdict as expected', async () => {
  const { stdout } = await run(process.execPath, ['bin/assent.js', ...printedArguments()], {
    cwd: projectRoot,
    maxBuffer: 2 ** 26,
  })

  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8')
  const [, promised] = /`(\d{3} as expected, 0 differ)`/.exec(readme) ?? []
  expect(stdout.trim().split('\n').at(-1)).toContain(promised)
  expect(promised).toBeDefined()
})

test('quote verify returns the expected verdict for every case of the suite', async () => {
  const args = printedArguments()
  args.splice(args.indexOf('--expected'), 2, '--json')
  // exit code 1: some are rejected
  const { stdout } = await run(process.execPath, ['bin/assent.js', ...args], {
    cwd: projectRoot,
    maxBuffer: 2 ** 26,
  }).catch((error: { stdout: string }) => error)
  const answers = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

  expect(answers.length).toBeGreaterThan(400)
  for (const { case: name, verdict, status, code } of answers) {
    const text = readFileSync(join(folder, 'cases', name, 'expected.json'), 'utf8')
    const expected = JSON.parse(text) as Expectation
    expect(verdict, name).toBe(expected.verdict)
    if (expected.verdict === 'verified') expect(status, name).toBe(expected.status)
    else expect(expected.codes, name).toContain(code)
  }
})
