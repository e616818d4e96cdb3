import { spawnSync } from 'node:child_process'
import path from 'node:path'

import { describe, expect, test } from 'vitest'

import { benchNumber } from '../../bench/environment.ts'

const root = path.join(import.meta.dirname, '..', '..')

function bench(args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, ['scripts/bench.ts', ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  })
}

describe('numbers from outside', () => {
  test('are taken as they are, or as said if they are absent', () => {
    expect(benchNumber('ASSENT_BENCH_HOSTS', 20, { ASSENT_BENCH_HOSTS: '200' })).toBe(200)
    expect(benchNumber('ASSENT_BENCH_HOSTS', 20, {})).toBe(20)
  })

  test.each(['0', '-1', 'NaN', '', ' ', '1.5', '1e3', '0x10', '007', 'twenty', '9'.repeat(12)])(
    'refused: "%s"',
    (text) => {
      expect(() => benchNumber('ASSENT_BENCH_HOSTS', 20, { ASSENT_BENCH_HOSTS: text })).toThrow(
        expect.objectContaining({ code: 'CONFIG_INVALID' }),
      )
    },
  )

  test.each([
    ['relayer', 'ASSENT_BENCH_HOSTS'],
    ['kms', 'ASSENT_BENCH_REQUESTS'],
    ['kms', 'ASSENT_BENCH_WORKERS'],
    ['kms', 'ASSENT_BENCH_APPS'],
    ['chain', 'ASSENT_BENCH_PERIODS'],
    ['growth', 'ASSENT_BENCH_GROWTH'],
  ])('%s does not begin with a wrong %s', (section, name) => {
    const { status, stdout, stderr } = bench([section], { [name]: '1.5' })

    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(`${name} is a whole number from 1 on, not "1.5".`)
  })
})

test('its sections are the files that measure something', () => {
  const { stdout } = bench(['--help'])

  expect(stdout).toContain('sections: chain, cli, growth, kms, registry, relayer, verifier')
})
