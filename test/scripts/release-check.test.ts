/** The rules of the release checklist, on files that break one of them at a time. */
import { describe, expect, test } from 'vitest'

import {
  changelogProblems,
  lockFileProblems,
  packageProblems,
  repositoryProblems,
  storageProblems,
  trackedFiles,
  versionProblems,
} from '../../scripts/package/release-check.ts'
import type { Layouts } from '../../src/deploy/storage-layout.ts'

describe('the changelog of a release', () => {
  const released = `# Changelog

## [Unreleased]

## [0.2.0] - 2026-12-01

### Added

- Something that users notice.

## [0.1.0] - 2026-10-01

- The first.
`

  test('has a dated section of the version with an entry', () => {
    expect(changelogProblems(released, '0.2.0')).toEqual([])
  })

  test.each([
    ['has no section of the version', '[0.2.0]', '[0.3.0]', 'no section [0.2.0]'],
    ['has a section without a date', ' - 2026-12-01', '', 'must end with its date'],
    ['has a section without an entry', '- Something that users notice.', '', 'says nothing'],
    ['has entries left', '[Unreleased]\n', '[Unreleased]\n\n- Left.\n', 'still has entries'],
    ['has no place for the next entries', '## [Unreleased]', '', 'no section [Unreleased]'],
    ['takes a longer version for this one', '[0.2.0]', '[0.2.0-rc.1]', 'no section [0.2.0]'],
  ])('is refused if it %s', (_, from, to, problem) => {
    expect(released).toContain(from)
    const problems = changelogProblems(released.replace(from, to), '0.2.0')

    expect(problems).toEqual([expect.stringContaining(problem)])
  })
})

describe('the version of a release', () => {
  const places = {
    tag: 'v0.2.0',
    lock: { version: '0.2.0' },
    service: "export const version = '0.2.0'\n",
  }

  test('is the same in the tag, the manifest, the lock file and the service', () => {
    expect(versionProblems('0.2.0', places)).toEqual([])
  })

  test('is not compared with a tag that does not exist yet', () => {
    expect(versionProblems('0.2.0', { ...places, tag: undefined })).toEqual([])
  })

  const wrong: readonly [string, Partial<typeof places>, string][] = [
    ['another tag', { tag: 'v0.2.1' }, 'the tag is v0.2.1'],
    ['a tag without its letter', { tag: '0.2.0' }, 'the tag is 0.2.0'],
    ['an older lock file', { lock: { version: '0.1.0' } }, 'package-lock.json'],
    ['an older service', { service: "export const version = '0.1.0'\n" }, 'service.ts'],
    ['a service that tells none', { service: '' }, 'service.ts'],
  ]
  test.each(wrong)('is refused with %s', (_, changed, problem) => {
    const problems = versionProblems('0.2.0', { ...places, ...changed })

    expect(problems).toEqual([expect.stringContaining(problem)])
  })

  test.each(['0.2', 'v0.2.0', '0.2.0 ', 'next', ''])('is not "%s"', (version) => {
    const same = {
      tag: undefined,
      lock: { version },
      service: `export const version = '${version}'\n`,
    }

    expect(versionProblems(version, same)).toContainEqual(expect.stringContaining('not a version'))
  })
})

test('a lock file may name folders of the repository and no registry', () => {
  const packages = {
    '': {},
    'node_modules/assent-test-tools': { resolved: 'test/tools' },
    'node_modules/zod': {},
    'node_modules/viem': { resolved: 'https://registry.example.org/viem/-/viem-2.57.1.tgz' },
    'node_modules/hono': { resolved: 'git+ssh://git@example.org/hono.git#0123' },
  }

  expect(lockFileProblems('package-lock.json', { packages })).toEqual([
    expect.stringContaining('node_modules/viem'),
    expect.stringContaining('node_modules/hono'),
  ])
})

describe('the published package', () => {
  const complete = [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin/assent.js',
    'bin/runtime/package-lock.json',
    'contracts/quote/QuoteVerifier.sol',
    'dist/artifacts/QuoteVerifier.json',
    'dist/artifacts/sources.json',
    'dist/cli/main.js',
    'dist/dashboard/page/index.html',
    'dist/ethers/index.js',
    'dist/index.d.ts',
    'dist/indexer/database/migrations/meta/_journal.json',
    'dist/relayer/database/migrations/meta/_journal.json',
    'dist/tasks/index.js',
    'package.json',
  ]

  test('has its required files', () => {
    const files = [...complete, 'docs/kms.md', 'deployments/1.json', 'dist/kms/rpc/kms_pb.js.map']

    expect(packageProblems(files, files)).toEqual([])
  })

  test.each(complete)('is refused without %s', (file) => {
    const rest = complete.filter((each) => each !== file)

    expect(packageProblems(rest, rest)).toEqual([`the package lacks ${file}`])
  })

  test.each([
    'src/index.ts',
    'contracts/test/AcceptingVerifier.sol',
    'test/kms/wire.test.ts',
    'dist/kms/wire.test.js',
    'deploy/kms/alerts.test.yaml',
    'deployments/31337.json',
    'node_modules/zod/index.js',
    '.env',
    'docs/.env.local',
    'deploy/kms/root.key',
    'docs/examples/ca.pem',
    'npm-debug.log',
    '.npmrc',
    'bin/notes.txt',
    'contracts/quote/QuoteVerifier.t.sol',
    'contracts/quote/keystore.json',
    'deploy/kms/id_rsa',
    'deploy/kms/kms.json',
    'deploy/kms/kms.p12',
    'deploy/kms/secrets.json',
    'deploy/relayer/keystore.json',
    'deployments/1337.json',
    'dist/env.sealed',
    'dist/kms/keys.json',
    'dist/dashboard/page/.env',
    'docs/examples/keystore.json',
    'docs/examples/env.sealed',
    'docs/examples/other.env',
  ])('is refused with %s', (file) => {
    const files = [...complete, file]

    expect(packageProblems(files, files)).toEqual([`the package must not contain ${file}`])
  })

  test('is refused with a file that git does not have, if it was not built', () => {
    const files = [...complete, 'docs/my-notes.md']

    expect(packageProblems(files, complete)).toEqual([
      'the package must not contain docs/my-notes.md: it is not in git',
    ])
    const sources = complete.filter((file) => !file.startsWith('dist/'))
    expect(packageProblems(complete, sources)).toEqual([])
  })

  test('may contain every source file of the packed folders', () => {
    const tracked = trackedFiles()
    const excluded = /^contracts\/test\/|\.test\.yaml$|^deployments\/31337\.json$/
    const packed = tracked.filter(
      (file) => /^(bin|contracts|deploy|deployments|docs)\//.test(file) && !excluded.test(file),
    )
    const built = tracked
      .filter((file) => /^src\/.*\.(ts|js|css|sql)$/.test(file))
      .map((file) => file.replace('src/', 'dist/').replace(/\.ts$/, '.js'))

    expect(packed.length + built.length).toBeGreaterThan(600)
    expect(packageProblems([...complete, ...packed, ...built], tracked)).toEqual([])
  })
})

test.each([
  ['git+https://github.com/example/assent.git', 'example/assent', true],
  ['https://github.com/Example/Assent', 'example/assent', true],
  ['git@github.com:example/assent.git', 'example/assent', true],
  ['https://github.com/example/assent', undefined, true],
  ['https://github.com/example/assent', 'fork/assent', false],
  ['https://github.com/example/assent-old', 'example/assent', false],
  [undefined, undefined, false],
])('the repository address %s in %s is valid: %s', (url, builtIn, holds) => {
  const manifest = { version: '0.2.0', ...(url === undefined ? {} : { repository: { url } }) }

  expect(repositoryProblems(manifest, builtIn).length === 0).toBe(holds)
})

describe('the storage layout of a release', () => {
  const last: Layouts = { App: ['slot 0 byte 0: address owner (20 bytes)'] }
  const next: Layouts = { App: [...(last.App ?? []), 'slot 1 byte 0: bool isNew (1 bytes)'] }
  const other: Layouts = { App: ['slot 1 byte 0: address owner (20 bytes)'] }

  test('is recorded, and only appends to the last release', () => {
    expect(storageProblems(next, next, last)).toEqual([])
    expect(storageProblems(next, next)).toEqual([])
  })

  test('is refused if it is not recorded', () => {
    expect(storageProblems(next, last, last)).toEqual([expect.stringContaining('--release')])
  })

  test('is refused if slots moved, even if it is recorded', () => {
    expect(storageProblems(other, other, last)).toEqual([
      expect.stringContaining('moved since the last release: App: slot 0'),
    ])
  })
})
