/** Answers at the question before a change, on a terminal. */
import { PassThrough } from 'node:stream'

import { expect, test } from 'vitest'

import { exitCodeOf } from '../../src/commands/exit-code.ts'
import { confirm } from '../../src/commands/session/confirm.ts'

/** A terminal on which these keys are typed. */
async function answer(keys: string): Promise<unknown> {
  const stdin = Object.assign(new PassThrough(), { isTTY: true })
  const stdout = Object.assign(new PassThrough(), { isTTY: true })
  const asked = confirm({ yes: false, json: false }, { stdin, stdout } as unknown as NodeJS.Process)
  stdin.write(keys)
  return asked.then(
    () => 'confirmed',
    (error: unknown) => error,
  )
}

test('the answer y continues', async () => {
  expect(await answer('y\r')).toBe('confirmed')
})

test.each([
  ['n', 'n\r', 'CONFIRMATION_MISSING', 2],
  ['an empty line', '\r', 'CONFIRMATION_MISSING', 2],
  ['Ctrl-D', '\x04', 'CONFIRMATION_MISSING', 2],
  ['Ctrl-C', '\x03', 'QUESTION_INTERRUPTED', 130],
])('%s sends nothing and says so', async (_, keys, code, exitCode) => {
  const error = await answer(keys)

  expect(error).toMatchObject({ code, message: expect.stringMatching(/^Nothing was sent/) })
  expect(error).toMatchObject({ hint: expect.not.stringContaining('--yes') })
  expect(exitCodeOf(error)).toBe(exitCode)
})
