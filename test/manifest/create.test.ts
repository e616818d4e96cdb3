/** app-compose.json from a Docker Compose file: the output, the refused inputs, and the same input in dstack's SDK. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Docker Compose writes its variables like this
import { createRequire } from 'node:module'
import { join } from 'node:path'

import fc from 'fast-check'
import { sha256, toBytes } from 'viem'
import { describe, expect, test } from 'vitest'

import { inputs, seed } from '../../scripts/test-effort.ts'
import { parseComposeFile } from '../../src/manifest/compose-file.ts'
import { createManifest, pinImages } from '../../src/manifest/create-manifest.ts'
import { parseImageReference } from '../../src/manifest/image-reference.ts'
import { lintManifest } from '../../src/manifest/lint-manifest.ts'
import { readManifest } from '../../src/manifest/manifest.ts'
import { usedVariables } from '../../src/manifest/variables.ts'

const digest = `sha256:${'ab'.repeat(32)}`
const compose = `# the shop
services:
  web:
    image: "nginx:1.29@${digest}"   # pinned
    environment:
      - API_TOKEN
      - MODE=production
      - GREETING=\${GREETING:-hello}
    command: ["run", "--cost", "$$5", "$PRICE"]
`
const sdk = createRequire(join(import.meta.dirname, '../tee/sdk/package.json'))('@phala/dstack-sdk')

describe('a new manifest', () => {
  const text = createManifest({ name: 'shop', compose })

  test('has the members that a guest reads, and the Compose file byte for byte', () => {
    expect(JSON.parse(text)).toEqual({
      manifest_version: 2,
      name: 'shop',
      runner: 'docker-compose',
      docker_compose_file: compose,
      kms_enabled: true,
      gateway_enabled: true,
      local_key_provider_enabled: false,
      key_provider: 'kms',
      key_provider_id: '',
      allowed_envs: ['API_TOKEN', 'GREETING', 'PRICE'],
      public_logs: false,
      public_sysinfo: false,
      public_tcbinfo: true,
      no_instance_id: false,
      secure_time: true,
    })
  })

  test("has the hash that dstack's own SDK computes", () => {
    const { composeHash } = readManifest(toBytes(text))

    expect(composeHash).toBe(`0x${sdk.getComposeHash(JSON.parse(text))}`)
    expect(composeHash).toBe(sha256(toBytes(text)))
  })

  test('has no finding of the linter', () => {
    const findings = lintManifest(readManifest(toBytes(text)))

    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([])
    expect(findings.map(({ code }) => code)).toEqual(['KMS_NOT_PINNED', 'ENV_NOT_PINNED'])
  })

  test('with a required OS version is refused by guests that would ignore it', () => {
    const required = JSON.parse(createManifest({ name: 'shop', compose, osVersion: '>=0.6.0' }))

    expect(required).toMatchObject({
      manifest_version: '3',
      requirements: { os_version: '>=0.6.0' },
    })
  })

  test.each([
    ['tag', 'nginx:1.29'],
    ['no tag', 'nginx'],
    ['variable', '${IMAGE}'],
    ['variable beside a digest', `\${REGISTRY}/nginx@${digest}`],
    ['short digest', 'nginx@sha256:abcd'],
    ['upper-case digest', `nginx@sha256:${'AB'.repeat(32)}`],
    ['other hash', `nginx@sha512:${'ab'.repeat(64)}`],
  ])('refuses an image by %s', (_, image) => {
    const unpinned = `services: { web: { image: '${image}' } }`

    expect(() => createManifest({ name: 'shop', compose: unpinned })).toThrow(
      expect.objectContaining({ code: 'IMAGE_NOT_PINNED', facts: { found: [`web: ${image}`] } }),
    )
  })

  test('refuses an image that would be built on the machine', () => {
    const built = `services: { web: { build: ., image: 'nginx@${digest}' } }`

    expect(() => createManifest({ name: 'shop', compose: built })).toThrow(
      expect.objectContaining({ code: 'IMAGE_NOT_PINNED' }),
    )
  })

  test.each([
    ['', 'INPUT_INVALID'],
    ['a b', 'INPUT_INVALID'],
    ['ѕhop', 'INPUT_INVALID'],
    ['x'.repeat(65), 'INPUT_INVALID'],
  ])('refuses the name %j', (name, code) => {
    expect(() => createManifest({ name, compose })).toThrow(expect.objectContaining({ code }))
  })

  test('refuses a name of a variable that the guest would refuse', () => {
    expect(() => createManifest({ name: 'shop', compose, environment: ['1A'] })).toThrow(
      expect.objectContaining({ code: 'ENV_INVALID' }),
    )
  })
})

describe('image digests from a registry', () => {
  const tagged = `services:
  web:
    image: 'nginx:1.29' # a tag
  job: { image: nginx:1.29, command: "echo nginx:1.29" }
  db:
    image: postgres@${digest}
`

  test('replace the tags in the text, and nothing else changes', async () => {
    const asked: string[] = []
    const { compose: pinned, resolved } = await pinImages(tagged, async (image) => {
      asked.push(image)
      return `${image}@${digest}`
    })

    expect(asked).toEqual(['nginx:1.29'])
    expect(resolved.map(({ service }) => service)).toEqual(['web', 'job'])
    expect(pinned).toBe(`services:
  web:
    image: nginx:1.29@${digest} # a tag
  job: { image: nginx:1.29@${digest}, command: "echo nginx:1.29" }
  db:
    image: postgres@${digest}
`)
    expect(() => createManifest({ name: 'shop', compose: pinned })).not.toThrow()
  })

  test('are refused if an alias names the image, because one edit would change two services', async () => {
    const aliased = 'x: &image nginx:1\nservices: { web: { image: *image } }'

    await expect(pinImages(aliased, async (image) => `${image}@${digest}`)).rejects.toMatchObject({
      code: 'COMPOSE_INVALID',
    })
  })
})

describe('an image name', () => {
  test.each([
    ['nginx', 'docker.io', 'library/nginx', undefined],
    ['bitnami/redis:7', 'docker.io', 'bitnami/redis', '7'],
    ['ghcr.io/owner/app:v1.2', 'ghcr.io', 'owner/app', 'v1.2'],
    ['localhost:5000/app', 'localhost:5000', 'app', undefined],
    ['localhost/app', 'localhost', 'app', undefined],
  ])('is parsed: %s', (text, registry, repository, tag) => {
    expect(parseImageReference(text)).toEqual({ registry, repository, tag, digest: undefined })
    expect(parseImageReference(`${text}@${digest}`).digest).toBe(digest)
  })

  test.each([
    '',
    'Nginx',
    'nginx:',
    'a//b',
    '-a',
    'a@sha256:1',
    'a b',
    'a\n',
    '../a',
    'x'.repeat(300),
  ])('is refused: %j', (text) => {
    expect(() => parseImageReference(text)).toThrow(
      expect.objectContaining({ code: 'IMAGE_REFERENCE_INVALID' }),
    )
  })
})

describe('the variables of a Compose file', () => {
  test.each<[string, unknown, string[]]>([
    ['plain and in braces', { a: '$ONE ${TWO}' }, ['ONE', 'TWO']],
    ['an escaped dollar sign is none', { a: '$$ONE $${TWO} $$$THREE' }, ['THREE']],
    [
      'defaults, errors and replacements',
      { a: '${A:-x} ${B-x} ${C:?x} ${D?x} ${E:+x}' },
      [...'ABCDE'],
    ],
    ['a variable in a default', { a: '${A:-${B}}' }, ['A', 'B']],
    ['a name without a value in a list', { services: { w: { environment: ['A', 'B=1'] } } }, ['A']],
    [
      'a name without a value in a mapping',
      { services: { w: { environment: { A: null, B: '' } } } },
      ['A'],
    ],
    ['none in keys', { $KEY: 1 }, []],
    ['no names that start with a digit', { a: '$1 ${2} $' }, []],
  ])('are found: %s', (_, value, names) => {
    expect(usedVariables(value).map(({ name }) => name)).toEqual(names)
  })
})

describe('a hostile Compose file', () => {
  const alias = (name: string) => Array(9).fill(`*${name}`).join()
  test.each([
    ['an empty file', '', 'COMPOSE_INVALID'],
    ['a list', '- a', 'COMPOSE_INVALID'],
    ['no services', 'services: {}', 'COMPOSE_INVALID'],
    ['services that are a list', 'services: [a]', 'COMPOSE_INVALID'],
    ['a service that is a text', 'services: { a: b }', 'COMPOSE_INVALID'],
    ['a duplicate key', 'services: { a: {} }\nservices: { b: {} }', 'COMPOSE_INVALID'],
    ['a duplicate key deep inside', 'services: { a: { image: x, "image": y } }', 'COMPOSE_INVALID'],
    ['two documents', 'services: { a: {} }\n---\nservices: { b: {} }', 'COMPOSE_INVALID'],
    ['an unknown tag', 'services: { a: !!js/function x }', 'COMPOSE_INVALID'],
    ['an alias without an anchor', 'services: { a: *x }', 'COMPOSE_INVALID'],
    [
      'aliases that grow',
      `services: {a: {}}\nb: &b [1]\n${[...'cdefgh'].map((c) => `${c}: &${c} [${alias(String.fromCharCode(c.charCodeAt(0) - 1))}]`).join('\n')}`,
      'COMPOSE_INVALID',
    ],
    ['deep lists', `services: ${'['.repeat(60_000)}`, 'COMPOSE_INVALID'],
    [
      'deep mappings that end',
      `services: ${'{a: '.repeat(60)}1${'}'.repeat(60)}`,
      'INPUT_TOO_LARGE',
    ],
    ['too many bytes', `#${'x'.repeat(200_000)}`, 'INPUT_TOO_LARGE'],
    ['quotation marks', '"'.repeat(130_000), 'COMPOSE_INVALID'],
  ])('is refused: %s', { timeout: 20_000 }, (_, text, code) => {
    const before = process.cpuUsage()
    expect(() => parseComposeFile(text)).toThrow(expect.objectContaining({ code }))
    expect(process.cpuUsage(before).user).toBeLessThan(8_000_000)
  })

  test('with twenty thousand keys takes no quadratic time', () => {
    const keys = Array.from({ length: 14_000 }, (_, index) => `k${index}: x`).join('\n')
    const before = process.cpuUsage()
    parseComposeFile(`services: { a: {} }\n${keys}`)

    expect(process.cpuUsage(before).user).toBeLessThan(8_000_000)
  })

  test('can have __proto__ as an ordinary key', () => {
    const { services } = parseComposeFile('services: { __proto__: { image: x } }')

    expect([...services.keys()]).toEqual(['__proto__'])
    expect(({} as Record<string, unknown>).image).toBeUndefined()
  })

  test('with random text is parsed or refused with a code', () => {
    const piece = fc.constantFrom(
      'a',
      ': ',
      '\n',
      '  ',
      '- ',
      '[',
      '{',
      '}',
      ']',
      '&x ',
      '*x',
      '"',
      '|',
      '!t ',
      '? ',
      '#',
      ',',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        try {
          parseComposeFile(`services:\n  a: {}\n${pieces.join('')}`)
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^(COMPOSE_INVALID|INPUT_TOO_LARGE)$/)
        }
      }),
      { seed, numRuns: inputs(2_000, 100_000) },
    )
  })
})
