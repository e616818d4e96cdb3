/** A command whose reader stops, as in `assent … | head`. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'

import { expect, test } from 'vitest'

const source = (path: string) => JSON.stringify(import.meta.resolve(`../../src/${path}`))

/** A command that prints a line, and gives its answer (a no) later. */
const script = `
  const { runProgram } = await import(${source('cli/program.ts')})
  const { defineCommand } = await import(${source('commands/command.ts')})
  const run = async () => {
    console.log('a line')
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  const slow = defineCommand({
    path: ['slow'], summary: 'Wait', examples: ['slow'], needs: 'nothing', reads: 'nothing',
    load: async () => ({ run, exitCode: () => 1 }),
  })
  const door = async () => ({ open: async () => ({ output: { pause() {} } }) })
  process.exitCode = await runProgram({ groups: [], single: [slow], door }, ['slow'])
`

const start = () => spawn(process.execPath, ['--input-type=module', '-e', script])

test('exits with 141 if the reader stops before there is an answer', async () => {
  const child = start()
  child.stdout.destroy()

  expect((await once(child, 'exit'))[0]).toBe(141)
})

test('exits with the answer if the reader reads on', async () => {
  const child = start()
  child.stdout.resume()

  expect((await once(child, 'exit'))[0]).toBe(1)
})
