/** The difference of two manifests in meaning. */
import fc from 'fast-check'
import { toBytes } from 'viem'
import { describe, expect, test } from 'vitest'

import { inputs, seed } from '../../scripts/test-effort.ts'
import { compareManifests, formatComparison } from '../../src/manifest/compare-manifests.ts'
import { createManifest } from '../../src/manifest/create-manifest.ts'
import { describeManifest } from '../../src/manifest/describe-manifest.ts'
import { pinEnvironment } from '../../src/manifest/environment-pin.ts'
import { readManifest } from '../../src/manifest/manifest.ts'

const image = (byte: string) => `nginx@sha256:${byte.repeat(32)}`
const compose = `services:
  web:
    image: ${image('ab')}
    environment:
      MODE: production
    ports: ["80:80"]
`
const text = createManifest({ name: 'shop', compose, environment: ['TOKEN'] })
const read = (content: string | object) =>
  readManifest(toBytes(typeof content === 'string' ? content : JSON.stringify(content)))
const old = read(text)
const withCompose = (file: string) => read({ ...JSON.parse(text), docker_compose_file: file })

describe('manifests with the same meaning', () => {
  test('can have the same bytes', () => {
    expect(compareManifests(old, read(text))).toMatchObject({ result: 'same-bytes', changes: [] })
  })

  test.each([
    ['white space and order', JSON.stringify(JSON.parse(text), null, 2)],
    ['a member at its default', text.replace('"public_logs":false,', '')],
    ['the order of variables', text],
    [
      'comments, quotes and the other form of an environment',
      JSON.stringify({
        ...JSON.parse(text),
        docker_compose_file: `# hello\nservices: { web: { image: '${image('ab')}', environment: ["MODE=production"], ports: ['80:80'] } }`,
      }),
    ],
  ])('can differ in %s', (_, other) => {
    const { result, changes } = compareManifests(old, read(other))

    expect(changes).toEqual([])
    expect(result).toBe(other === text ? 'same-bytes' : 'same-meaning')
  })
})

describe('differences between two manifests', () => {
  test('include images, variables, ports and flags', () => {
    const next = read({
      ...JSON.parse(text),
      public_logs: true,
      allowed_envs: ['TOKEN', 'OTHER'],
      docker_compose_file: compose
        .replace(image('ab'), image('cd'))
        .replace('production', 'test')
        .replace('["80:80"]', '["81:80"]'),
    })
    const comparison = compareManifests(old, next)

    expect(comparison.changes).toEqual([
      { kind: 'added', place: 'allowed_envs', before: null, after: 'OTHER' },
      { kind: 'changed', place: 'public_logs', before: false, after: true },
      {
        kind: 'changed',
        place: 'services.web.environment.MODE',
        before: 'production',
        after: 'test',
      },
      { kind: 'changed', place: 'services.web.image', before: image('ab'), after: image('cd') },
      { kind: 'removed', place: 'services.web.ports', before: '80:80', after: null },
      { kind: 'added', place: 'services.web.ports', before: null, after: '81:80' },
    ])
    expect(formatComparison(comparison)[1]).toBe('~ public_logs: false → true')
  })

  test('include each member of a new service', () => {
    const next = withCompose(`${compose}  job:\n    image: ${image('ef')}\n    privileged: true\n`)

    expect(formatComparison(compareManifests(old, next))).toEqual([
      `+ services.job.image: ${image('ef')}`,
      '+ services.job.privileged: true',
    ])
    expect(formatComparison(compareManifests(next, old))[1]).toBe('- services.job.privileged: true')
  })

  test('include a changed environment pin, which is not shown as a script', () => {
    const pinned = read(pinEnvironment(old, `0x${'12'.repeat(32)}`))

    expect(compareManifests(old, pinned).changes).toEqual([
      { kind: 'changed', place: 'environment_pin', before: null, after: `0x${'12'.repeat(32)}` },
    ])
  })

  test('include members that dstack does not know', () => {
    const next = read({ ...JSON.parse(text), extra: { a: [1] } })

    expect(compareManifests(old, next).changes).toEqual([
      { kind: 'added', place: 'extra.a', before: null, after: [1] },
    ])
  })

  test('are shown as text if a Compose file cannot be parsed', () => {
    expect(compareManifests(old, withCompose('services: [')).changes).toHaveLength(1)
  })

  test('cannot contain control characters of the compared text', () => {
    const next = read({ ...JSON.parse(text), name: 'a\u001b[2Jb\u202ec\n' })
    const [line] = formatComparison(compareManifests(old, next))

    expect(line).toBe('~ name: shop → a\\u001b[2Jb\\u202ec\\n')
  })
})

test('are empty for equal manifests and reversed for exchanged ones, on random members', () => {
  const value = fc.jsonValue({ maxDepth: 3 })
  const members = fc.dictionary(
    fc.constantFrom('name', 'public_logs', 'x', 'y', '__proto__'),
    value,
  )
  fc.assert(
    fc.property(members, members, (a, b) => {
      const [first, second] = [read(a), read(b)]
      const forth = compareManifests(first, second)
      const back = compareManifests(second, first)
      expect(compareManifests(first, read(JSON.stringify(a, null, 1))).changes).toEqual([])
      expect(forth.changes.length === 0).toBe(back.changes.length === 0)
      expect(JSON.stringify(compareManifests(read(a), read(b)))).toBe(JSON.stringify(forth))
      expect(back.changes.map(({ place }) => place).sort()).toEqual(
        forth.changes.map(({ place }) => place).sort(),
      )
    }),
    { seed, numRuns: inputs(500, 50_000) },
  )
})

test('the summary of a release names its images and settings', () => {
  expect(describeManifest(old)).toEqual({
    composeHash: old.composeHash,
    name: 'shop',
    services: [{ name: 'web', image: image('ab'), digest: `sha256:${'ab'.repeat(32)}` }],
    environment: ['TOKEN'],
    environmentPin: null,
    flags: {
      gateway_enabled: true,
      key_provider: 'kms',
      kms_enabled: true,
      manifest_version: 2,
      runner: 'docker-compose',
    },
  })
})
