/** On a machine without the recorded vectors their suites are skipped, counted and announced, and the rest passes. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { projectRoot, toolCommand } from '../../scripts/run-tool.ts'

/** Quick ones, each with suites of both kinds. */
const files = ['attestation', 'ccel', 'compose', 'os-image'].map(
  (name) => `test/quote/${name}.test.ts`,
)

interface Report {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly testResults: { assertionResults: { status: string; fullName: string }[] }[]
}

let empty: string
let announced: string
let report: Report

beforeAll(async () => {
  empty = mkdtempSync(join(tmpdir(), 'assent-no-vectors-'))
  const file = join(empty, 'report.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const command = toolCommand(['vitest', 'run', ...reporters, ...files])
  announced = await new Promise((done) => {
    const env = { ...process.env, ASSENT_VECTORS: empty, ASSENT_NIGHTLY: '' }
    execFile(process.execPath, command, { cwd: projectRoot, env }, (_, stdout, stderr) =>
      done(stdout + stderr),
    )
  })
  report = JSON.parse(readFileSync(file, 'utf8'))
})
afterAll(() => rmSync(empty, { recursive: true }))

test('tests that need no recorded vectors pass without them', () => {
  expect(report).toMatchObject({ success: true, numFailedTests: 0 })
  expect(report.numPassedTests).toBeGreaterThan(20)
})

test('tests that need recorded vectors are skipped without them', () => {
  const skipped = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status !== 'passed').map(({ fullName }) => fullName),
  )

  expect(skipped.length).toBe(report.numPendingTests)
  expect(skipped.length).toBeGreaterThanOrEqual(files.length)
  expect(skipped.filter((name) => !name.includes('needs the recorded vectors'))).toEqual([])
})

test('the test run reports missing vectors before its first test', () => {
  expect(announced).toMatch(/RECORDED VECTORS ABSENT: suites over real quotes are SKIPPED/)
})
