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

describe('environment variables of the benchmarks', () => {
  test('are used as given, or have their default', () => {
    expect(benchNumber('ASSENT_BENCH_HOSTS', 20, { ASSENT_BENCH_HOSTS: '200' })).toBe(200)
    expect(benchNumber('ASSENT_BENCH_HOSTS', 20, {})).toBe(20)
  })

  test.each(['0', '-1', 'NaN', '', ' ', '1.5', '1e3', '0x10', '007', 'twenty', '9'.repeat(12)])(
    'are refused if they are not numbers: "%s"',
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
    ['indexer', 'ASSENT_BENCH_EVENTS'],
  ])('stop %s at its start if %s is wrong', (section, name) => {
    const { status, stdout, stderr } = bench([section], { [name]: '1.5' })

    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(`${name} is a whole number from 1 on, not "1.5".`)
  })
})

test('the sections of the benchmark are the files that measure something', () => {
  const { stdout } = bench(['--help'])

  expect(stdout).toContain(
    'sections: chain, cli, growth, indexer, instances, kms, registry, relayer, verifier',
  )
})
