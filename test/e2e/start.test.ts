/** `npm start` leaves a running demo and prints commands for it. This test runs these commands. */
import { type ChildProcess, execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { startChild } from '../child-process.ts'

const root = join(import.meta.dirname, '..', '..')
let folder: string
let demo: ChildProcess
let printed = ''

describe('the demo of npm start', { timeout: 240_000 }, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'assent-start-'))
    const args = ['scripts/start.ts', '--deployments', folder, '--project', folder]
    demo = startChild(process.execPath, args, { cwd: root })
    await new Promise<void>((resolve, reject) => {
      demo.stdout?.on('data', (text) => {
        printed += text
        if (/ {2}operator .*\n/.test(printed)) resolve()
      })
      demo.once('exit', (code) => reject(new Error(`npm start ended with ${code}:\n${printed}`)))
    })
  }, 300_000)

  afterAll(async () => {
    demo?.kill('SIGTERM')
    await rm(folder, { recursive: true, force: true })
  })

  test('writes a deployment record and prints its path', async () => {
    const [, file = ''] = /^ {2}record {4}(\S+)$/m.exec(printed) ?? []

    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ chainId: 31_337 })
  })

  test.each([
    ['voter', /Release 2 of hello-assent/],
    ['app owner', /1 release\n/],
    ['operator', /TCB UpToDate/],
  ])('prints a working command for the role %s', async (user, output) => {
    const [, command = ''] = new RegExp(` {2}${user} +(node .*)`).exec(printed) ?? []
    const { stdout } = await promisify(execFile)('sh', ['-c', command], { cwd: folder })

    expect(stdout).toMatch(output)
  })
})
