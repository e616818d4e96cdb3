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
    expect(result).toBe('same-meaning')
  })
})

/** Readers of YAML disagree about these, so each pair is a difference. */
describe('values that differ for Docker Compose are changes:', () => {
  const bare = compose.replace(/ {4}environment:\n.*\n/, '')
  const withLine = (line: string) => withCompose(`${bare}    ${line}\n`)

  test.each([
    ['0x5FbDB2315678afecb367f032d93F642f64180aa3', '0x5FbDB2315678afecb3600000000000000000bad0'],
    ['1000000000000000000', '1000000000000000063'],
    ['9'.repeat(400), '8'.repeat(400)],
    ['12345678901234567890123456789012345678e0', '12345678901234567990123456789012345678e0'],
    ['010', '10'],
    ['010', '8'],
    ['0o10', '8'],
    ['0b11', '3'],
    ['1_000', '"1_000"'],
    ['-_1', '"-_1"'],
    ['010', '"010"'],
    ['010', '"010 (unquoted)"'],
    ['1234567.5', '"1234567.5"'],
    ['.inf', '.Inf'],
    ['-0', '0'],
    ['2001-12-14', '"2001-12-14"'],
    ['yes', '"yes"'],
    ['True', '"True"'],
    ['!!str 010', '010'],
    ['!!int "10"', '10'],
    ['"a (unquoted)"', '"a (unquoted) (quoted)"'],
  ])('%s and %s', (first, second) => {
    const places = [
      (value: string) => `user: ${value}`,
      (value: string) => `x-any: { a: [${value}] }`,
      (value: string) => `environment: { A: ${value} }`,
    ]
    for (const place of places) {
      const comparison = compareManifests(withLine(place(first)), withLine(place(second)))
      expect(comparison.result, place('')).toBe('different')
    }
  })

  test('a key', () => {
    const comparison = compareManifests(withLine('x-any: { 010: a }'), withLine('x-any: { 10: a }'))

    expect(formatComparison(comparison)).toEqual([
      '- services.web.x-any.010 (unquoted): a',
      '+ services.web.x-any.10: a',
    ])
  })

  test('the text is shown as it is written', () => {
    const comparison = compareManifests(withLine('user: 0777'), withLine('user: 777'))

    expect(formatComparison(comparison)).toEqual(['~ services.web.user: 0777 (unquoted) → 777'])
  })

  test.each([
    ['5', '6'],
    ['[A=1, 5]', '[A=1, 6]'],
    ['{ A: { b: 1 } }', '{ A: { b: 2 } }'],
  ])('an environment that is not valid: %s and %s', (first, second) => {
    expect(
      compareManifests(withLine(`environment: ${first}`), withLine(`environment: ${second}`))
        .result,
    ).toBe('different')
  })

  test.each([
    ['{ PORT: 80 }', '[PORT=80]'],
    ['{ PORT: "010" }', '[PORT=010]'],
    ['{ ON: true, EMPTY: }', '["ON=true", EMPTY]'],
  ])('%s and %s are the same environment', (first, second) => {
    expect(
      compareManifests(withLine(`environment: ${first}`), withLine(`environment: ${second}`))
        .changes,
    ).toEqual([])
  })

  test('values that come from an anchor or a merge key', () => {
    const of = (user: string) =>
      withCompose(
        `x-base: &base\n  image: ${image('ab')}\n  user: ${user}\nservices:\n  web:\n    <<: *base\n`,
      )

    expect(formatComparison(compareManifests(of('010'), of('10')))).toEqual([
      '~ services.web.user: 010 (unquoted) → 10',
      '~ x-base.user: 010 (unquoted) → 10',
    ])
  })

  test('a number of the manifest itself', () => {
    const of = (size: string) => read(text.replace('{', `{"swap_size":${size},`))

    expect(
      formatComparison(compareManifests(of('9007199254740992'), of('9007199254740993'))),
    ).toEqual(['~ swap_size: 9007199254740992 (unquoted) → 9007199254740993 (unquoted)'])
  })
})

test('manifests with variables in another order have the same meaning', () => {
  const withVariables = (names: string[]) => read({ ...JSON.parse(text), allowed_envs: names })

  expect(
    compareManifests(withVariables(['TOKEN', 'OTHER']), withVariables(['OTHER', 'TOKEN'])),
  ).toMatchObject({ result: 'same-meaning', changes: [] })
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
    variableNames: ['TOKEN'],
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
