import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

import { expect, test } from 'vitest'

import { isAssentError } from '../../src/errors/index.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { verifyQuote } from '../../src/quote/verify.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'

const source = resolve(import.meta.dirname, '..', '..', 'src')

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
}

test('no service can reach the simulator: only the commands of the group simulate start it', () => {
  const commands = join('commands', 'simulate')
  const importing = sources(source)
    .filter((file) => /from '[^']*simulator/.test(readFileSync(file, 'utf8')))
    .map((file) => relative(source, file))
    .filter((file) => !file.startsWith(join('tee', 'simulator')))

  expect(importing).toContain(join(commands, 'host-folder.ts'))
  expect(importing.filter((file) => !file.startsWith(join(commands, '/')))).toEqual([])
})

test("simulated evidence is refused under Intel's root", () => {
  const simulator = createSimulator()
  const quote = simulator.createPlatform().quote()

  const verdict = verifyQuote(quote, parseCollateral(simulator.collateral()), {
    at: simulator.at,
    root: 'intel',
  })

  expect(verdict).toMatchObject({ verdict: 'rejected', code: 'QUOTE_ROOT_UNTRUSTED' })
})

test('a simulator reports a time that its certificates do not cover', () => {
  for (const at of [0, Date.parse('2032-01-01') / 1000, Number.NaN, 1.5e9 + 0.5]) {
    let error: unknown
    try {
      createSimulator({ at })
    } catch (caught) {
      error = caught
    }
    expect(isAssentError(error, 'INPUT_INVALID')).toBe(true)
  }
})
