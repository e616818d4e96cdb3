/** Listing the tasks loads what describes them, and nothing of what does them. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

test('reading the tasks loads neither their deeds nor a chain library', () => {
  const script = `
    import { registerHooks } from 'node:module'
    registerHooks({ load: (url, context, next) => { console.log(url); return next(url, context) } })
    await import('./tasks/index.ts')`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
  })
  const loaded = output.split('\n')
  const ours = loaded.filter((url) => url.includes(`${root}/tasks/`))

  expect(ours.some((url) => url.endsWith('/tasks/voting.ts'))).toBe(true)
  expect(loaded.filter((url) => /\.actions\.ts|node_modules\/viem\/|\/zod\//.test(url))).toEqual([])
  expect(loaded.filter((url) => url.includes(`${root}/src/`)).length).toBeLessThan(10)
})
