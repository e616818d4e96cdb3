/** Listing the tasks loads only their descriptions, so that it is fast. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

test('the task list loads only the tables of commands, and neither viem nor zod', () => {
  const script = `
    import { registerHooks } from 'node:module'
    registerHooks({ load: (url, context, next) => { console.log(url); return next(url, context) } })
    await import('./tasks/index.ts')`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
  })
  const loaded = output.split('\n')
  const ours = loaded.filter((url) => url.includes(`${root}/src/`))
  const isTable = /\/src\/(commands\/[\w-]+|chain\/(kinds|tee-variants))\.ts$/

  expect(ours.some((url) => url.endsWith('/src/commands/dao.ts'))).toBe(true)
  expect(loaded.filter((url) => /node_modules\/viem\/|\/zod\//.test(url))).toEqual([])
  expect(ours.filter((url) => !isTable.test(url))).toEqual([])
})
