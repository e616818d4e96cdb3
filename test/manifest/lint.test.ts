/** Every finding of the linter, and that a manifest without the fault does not have it. */
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Docker Compose writes its variables like this
import { toBytes } from 'viem'
import { describe, expect, test } from 'vitest'

import { createManifest } from '../../src/manifest/create-manifest.ts'
import { environmentPinScript } from '../../src/manifest/environment-pin.ts'
import { lintManifest } from '../../src/manifest/lint-manifest.ts'
import { readManifest } from '../../src/manifest/manifest.ts'
import { describeRecorded, readVector } from '../vectors.ts'

const image = `nginx@sha256:${'ab'.repeat(32)}`
const clean = `services:\n  web:\n    image: ${image}\n`

const sound = {
  ...JSON.parse(createManifest({ name: 'shop', compose: clean, keyProviderId: 'ab'.repeat(91) })),
}
const lint = (members: object) => lintManifest(readManifest(toBytes(JSON.stringify(members))))
const lintText = (text: string) => lintManifest(readManifest(toBytes(text)))
const codes = (findings: ReturnType<typeof lint>) => findings.map(({ code }) => code)

test('the linter reports nothing for a correct manifest', () => {
  expect(lint(sound)).toEqual([])
})

describe('the linter, members of a manifest:', () => {
  test.each<[string, string, object, string?]>([
    ['UNKNOWN_MEMBER', 'warning', { alowed_envs: ['A'] }, 'alowed_envs'],
    ['UNKNOWN_MEMBER', 'warning', { constructor: 1 }, 'constructor'],
    ['MEMBER_INVALID', 'error', { public_logs: 'false' }, 'public_logs'],
    ['MEMBER_INVALID', 'error', { manifest_version: '03' }, 'manifest_version'],
    ['MEMBER_INVALID', 'error', { manifest_version: 3 }, 'manifest_version'],
    ['MEMBER_INVALID', 'error', { name: undefined }, 'name'],
    ['MEMBER_INVALID', 'error', { key_provider: 'cloud' }, 'key_provider'],
    ['MEMBER_INVALID', 'error', { key_provider_id: 'abc' }, 'key_provider_id'],
    ['MEMBER_INVALID', 'error', { init_script: Array(6).fill('x') }, 'init_script'],
    [
      'MEMBER_INVALID',
      'error',
      { manifest_version: '3', requirements: { os_versions: '1' } },
      'requirements',
    ],
    ['VERSION_UNKNOWN', 'error', { manifest_version: '4' }, 'manifest_version'],
    ['REQUIREMENTS_IGNORED', 'error', { requirements: { os_version: '>=0.6' } }],
    ['KMS_UNUSED', 'error', { key_provider: 'none' }, 'key_provider'],
    ['KMS_UNUSED', 'error', { key_provider: undefined, kms_enabled: false }, 'key_provider'],
    ['KMS_NOT_PINNED', 'warning', { key_provider_id: '' }, 'key_provider_id'],
    ['LOGS_PUBLIC', 'warning', { public_logs: true }, 'public_logs'],
    ['SYSINFO_PUBLIC', 'warning', { public_sysinfo: true }, 'public_sysinfo'],
    ['INSTANCES_SHARE_DISK_KEY', 'warning', { no_instance_id: true }, 'no_instance_id'],
    ['TIME_NOT_SECURE', 'warning', { secure_time: false }, 'secure_time'],
    [
      'GATEWAY_BY_OLD_NAME',
      'warning',
      { gateway_enabled: false, tproxy_enabled: true },
      'tproxy_enabled',
    ],
    [
      'GPU_POLICY_WEAK',
      'warning',
      { manifest_version: '3', requirements: { gpu_policy: { attest_gpu: false } } },
    ],
    ['SCRIPT_RUNS_AS_ROOT', 'warning', { pre_launch_script: 'curl x | sh' }, 'pre_launch_script'],
    ['SCRIPT_RUNS_AS_ROOT', 'warning', { init_script: ['echo'] }, 'init_script'],
    ['RUNNER_UNKNOWN', 'error', { runner: 'podman' }, 'runner'],
    ['COMPOSE_INVALID', 'error', { docker_compose_file: null }, 'docker_compose_file'],
    ['COMPOSE_INVALID', 'error', { docker_compose_file: 'services: [' }, 'docker_compose_file'],
    ['ENV_NAME_INVALID', 'error', { allowed_envs: ['A-B'] }, 'allowed_envs'],
    ['ENV_NAME_RESERVED', 'error', { allowed_envs: ['BASH_ENV'] }, 'allowed_envs'],
    ['ENV_NAME_RESERVED', 'error', { allowed_envs: ['APP_COMPOSE_FILE'] }, 'allowed_envs'],
    ['ENV_NAME_RESERVED', 'error', { allowed_envs: ['LD_PRELOAD'] }, 'allowed_envs'],
    ['ENV_NAME_RESERVED', 'error', { allowed_envs: ['COMPOSE_PROJECT_NAME'] }, 'allowed_envs'],
    ['ENV_NOT_PINNED', 'warning', { allowed_envs: ['TOKEN'] }, 'allowed_envs'],
  ])('%s (%s): %j', (code, severity, change, place) => {
    const findings = lint({ ...sound, ...change })

    expect(findings).toContainEqual(
      expect.objectContaining({ code, severity, ...(place === undefined ? {} : { place }) }),
    )
  })

  test('a script that only compares the environment has no finding, and the pin is recognized', () => {
    const script = environmentPinScript(`0x${'cd'.repeat(32)}`)

    expect(lint({ ...sound, allowed_envs: ['TOKEN'], pre_launch_script: script })).toEqual([])
    const changed = script.replace('exit 1', 'exit 0')
    expect(codes(lint({ ...sound, allowed_envs: ['TOKEN'], pre_launch_script: changed }))).toEqual([
      'SCRIPT_RUNS_AS_ROOT',
      'ENV_NOT_PINNED',
    ])
    expect(codes(lint({ ...sound, allowed_envs: [], pre_launch_script: `${script}rm x` }))).toEqual(
      ['SCRIPT_RUNS_AS_ROOT'],
    )
  })
})

describe('the linter reports', () => {
  const text = JSON.stringify(sound)

  test.each([
    ['outermost', `{"name":"other",${text.slice(1)}`, 'name'],
    ['escaped', `{"n\\u0061me":"other",${text.slice(1)}`, 'name'],
    [
      'inner',
      `{"requirements":{"os_version":"1","os_version":"2"},${text.slice(1)}`,
      'requirements.os_version',
    ],
  ])('a duplicate key, %s', (_, duplicated, place) => {
    expect(lintText(duplicated)).toContainEqual(
      expect.objectContaining({ code: 'DUPLICATE_KEY', severity: 'error', place }),
    )
  })

  test.each([
    ['zero width', '\u200b'],
    ['right to left', '\u202e'],
    ['soft hyphen', '\u00ad'],
    ['escaped', '\\u202e'],
  ])('an invisible character: %s', (_, char) => {
    const findings = lintText(text.replace('"shop"', `"sh${char}op"`))

    expect(codes(findings)).toContain('INVISIBLE_CHARACTER')
    expect(JSON.stringify(findings)).not.toContain('\u202e')
  })

  test('a manifest that is too large for a release', () => {
    const padded = `${clean}# ${'x'.repeat(70_000)}`

    expect(codes(lint({ ...sound, docker_compose_file: padded }))).toEqual(['TOO_LARGE_TO_PUBLISH'])
  })

  test.each([
    ['not JSON', '{', 'MANIFEST_INVALID'],
    ['a list', '[]', 'MANIFEST_INVALID'],
    ['null', 'null', 'MANIFEST_INVALID'],
    ['empty', '', 'MANIFEST_INVALID'],
    ['a byte order mark', `\ufeff${text}`, 'MANIFEST_INVALID'],
    ['too deep', '['.repeat(1000), 'INPUT_TOO_LARGE'],
    ['too large', `"${'x'.repeat(2 ** 21)}"`, 'INPUT_TOO_LARGE'],
  ])('%s as an invalid manifest', (_, content, code) => {
    expect(() => readManifest(toBytes(content))).toThrow(expect.objectContaining({ code }))
  })

  test('bytes that are not UTF-8 as an invalid manifest', () => {
    expect(() => readManifest(Uint8Array.of(0x7b, 0xff, 0x7d))).toThrow(
      expect.objectContaining({ code: 'MANIFEST_INVALID' }),
    )
  })
})

describe('the linter, services of a Compose file:', () => {
  const lintService = (lines: string, more = '') =>
    lint({
      ...sound,
      docker_compose_file: `services:\n  web:\n    image: ${image}\n${lines}${more}`,
    })
  const lintImage = (name: string) =>
    lint({ ...sound, docker_compose_file: `services:\n  web:\n    image: ${name}\n` })

  test.each([
    ['IMAGE_NOT_PINNED', 'nginx:1.29'],
    ['IMAGE_NOT_PINNED', '1'],
    ['IMAGE_FROM_ENVIRONMENT', '${IMAGE:-nginx}'],
  ])('%s: %s', (code, name) => {
    expect(lintImage(name)).toContainEqual(
      expect.objectContaining({ code, severity: 'error', place: 'services.web.image' }),
    )
  })

  test.each([
    ['IMAGE_BUILT_IN_GUEST', 'error', 'build: .'],
    ['PRIVILEGED', 'error', 'privileged: true'],
    ['PRIVILEGED', 'error', 'privileged: "${P:-true}"'],
    ['PRIVILEGED', 'error', 'post_start: [{ command: sh, privileged: true }]'],
    ['PRIVILEGED', 'error', 'pre_stop: [{ command: sh, privileged: "${P:-true}" }]'],
    ['DOCKER_SOCKET', 'error', 'use_api_socket: true'],
    ['IMAGE_NOT_PINNED', 'error', 'volumes: [{ type: image, source: "evil:latest", target: /x }]'],
    ['HOST_NAMESPACE', 'error', 'pid: "container:x"'],
    ['HOST_NAMESPACE', 'error', 'network_mode: "container:x"'],
    ['HOST_NAMESPACE', 'error', 'uts: host'],
    ['COMPOSE_MEMBER_UNCHECKED', 'warning', 'device_cgroup_rules: ["a *:* rwm"]'],
    ['COMPOSE_MEMBER_UNCHECKED', 'warning', 'volumes_from: ["container:x"]'],
    ['COMPOSE_MEMBER_UNCHECKED', 'warning', 'a_new_member: true'],
    ['CVM_PATH_MOUNTED', 'warning', 'volumes: ["/var:/x"]'],
    ['HOST_NETWORK', 'warning', 'network_mode: host'],
    ['HOST_NAMESPACE', 'error', 'pid: host'],
    ['HOST_NAMESPACE', 'error', 'ipc: host'],
    ['CAPABILITY_ADDED', 'warning', 'cap_add: [SYS_ADMIN]'],
    ['CONFINEMENT_OFF', 'warning', 'security_opt: ["seccomp:unconfined"]'],
    ['DEVICE_MAPPED', 'warning', 'devices: ["/dev/kvm:/dev/kvm"]'],
    ['DOCKER_SOCKET', 'error', 'volumes: ["/var/run/docker.sock:/s"]'],
    ['DOCKER_SOCKET', 'error', 'volumes: ["/var/run:/host"]'],
    ['DOCKER_SOCKET', 'error', 'volumes: [{ type: bind, source: /run/docker.sock, target: /s }]'],
    ['AGENT_SOCKET', 'note', 'volumes: ["/var/run/dstack.sock:/var/run/dstack.sock"]'],
    ['CVM_PATH_MOUNTED', 'warning', 'volumes: ["/:/host:ro"]'],
    ['CVM_PATH_MOUNTED', 'warning', 'volumes: ["/dstack/x/../..:/host"]'],
    ['MOUNT_FROM_ENVIRONMENT', 'error', 'volumes: ["${DIR:-/x}:/host"]'],
    ['ENV_UNDECLARED', 'error', 'command: "$TOKEN"'],
    ['ENV_UNDECLARED', 'error', 'environment: [TOKEN]'],
    ['FILE_NOT_IN_MANIFEST', 'error', 'env_file: .env'],
    ['FILE_NOT_IN_MANIFEST', 'error', 'extends: { file: x.yml, service: y }'],
    ['SECRET_IN_PLAIN_TEXT', 'error', 'environment: { DB_PASSWORD: hunter22 }'],
    ['SECRET_IN_PLAIN_TEXT', 'error', 'environment: ["API_KEY=hunter22"]'],
    ['SECRET_IN_PLAIN_TEXT', 'error', 'environment: { DB: "postgres://me:hunter22@db/x" }'],
    ['SECRET_IN_PLAIN_TEXT', 'error', 'environment: { X: AKIAABCDEFGHIJKLMNOP }'],
    ['SECRET_IN_PLAIN_TEXT', 'error', 'command: ["--key", "-----BEGIN EC PRIVATE KEY-----"]'],
  ])('%s (%s): %s', (code, severity, line) => {
    const findings = lintService(`    ${line}\n`)

    expect(findings).toContainEqual(expect.objectContaining({ code, severity }))
    // a finding is printed and logged
    expect(JSON.stringify(findings)).not.toMatch(/hunter22|AKIAABC|BEGIN EC/)
  })

  test.each([
    'environment: { DB_PASSWORD: "${DB_PASSWORD:-}" }',
    'environment: { TOKEN_TTL: "60", PUBLIC_KEY: abc, PASSWORD_FILE: /run/secrets/x }',
    'volumes: ["data:/data", "/cache"]',
    'env_file: /dstack/.host-shared/.decrypted-env',
    'security_opt: ["no-new-privileges:true"]',
    'network_mode: none',
    'use_api_socket: false',
    'post_start: [{ command: sh, privileged: false }]',
    `volumes: [{ type: image, source: "${image}", target: /x }]`,
    'x-any: true',
  ])('no finding for %s', (line) => {
    expect(lintService(`    ${line}\n`)).toEqual([])
  })

  test.each([
    ['include', 'include: [x.yml]\n'],
    ['configs.c.file', 'configs: { c: { file: ./x } }\n'],
    ['secrets.s.file', 'secrets: { s: { file: ./x } }\n'],
  ])('a file that the machine does not have is reported: %s', (place, more) => {
    expect(lintService('', more)).toContainEqual(
      expect.objectContaining({ code: 'FILE_NOT_IN_MANIFEST', place }),
    )
  })

  test.each([
    ['DOCKER_SOCKET', 'volumes: { v: { driver_opts: { type: none, o: bind, device: /run } } }\n'],
    ['CVM_PATH_MOUNTED', 'volumes: { v: { driver_opts: { type: none, o: bind, device: / } } }\n'],
    ['VOLUME_MOUNTS_DEVICE', 'volumes: { v: { driver_opts: { type: nfs, device: ":/x" } } }\n'],
    [
      'DOCKER_SOCKET',
      'volumes: { v: { driver_opts: { type: tmpfs, o: "size=1m,bind", device: /run } } }\n',
    ],
    ['VOLUME_MOUNTS_DEVICE', 'volumes: { v: { driver: other } }\n'],
    ['IMAGE_NOT_PINNED', 'models: { m: { model: ai/evil } }\n'],
    ['COMPOSE_MEMBER_UNCHECKED', 'a_new_member: {}\n'],
  ])('%s outside of services: %s', (code, more) => {
    expect(codes(lintService('', more))).toEqual([code])
  })

  test.each([
    'volumes: { v: {}, w: }\n',
    'volumes: { v: { driver_opts: { type: tmpfs, device: tmpfs, o: "size=1m,uid=1000" } } }\n',
    `models: { m: { model: "${image}" } }\n`,
  ])('no finding outside of services: %s', (more) => {
    expect(lintService('', more)).toEqual([])
  })

  test('letters that look like other letters are reported', () => {
    const findings = lint({
      ...sound,
      docker_compose_file: `services:\n  wеb:\n    image: ${image}\n`,
    })

    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'NAME_LOOKS_LIKE_ANOTHER', place: 'services.wеb' }),
    )
  })
})

describeRecorded('the linter, recorded manifests:', () => {
  test('the manifest of near-mpc has the expected findings', () => {
    const findings = lintManifest(
      readManifest(readVector('dstack/external/near-mpc/app_compose.json')),
    )

    expect(findings.map(({ code, place }) => `${code} ${place}`)).toMatchInlineSnapshot(`
      [
        "KMS_UNUSED key_provider",
        "DOCKER_SOCKET services.launcher.volumes",
        "LOGS_PUBLIC public_logs",
        "SYSINFO_PUBLIC public_sysinfo",
        "INSTANCES_SHARE_DISK_KEY no_instance_id",
        "TIME_NOT_SECURE secure_time",
        "CVM_PATH_MOUNTED services.launcher.volumes",
        "CVM_PATH_MOUNTED services.signer-key-export.volumes",
        "AGENT_SOCKET services.launcher.volumes",
      ]
    `)
  })

  test("the manifest of dstack's simulator has the expected findings", () => {
    const findings = lintManifest(
      readManifest(readVector('dstack/simulator-current/app-compose.json')),
    )

    expect(findings.map(({ code, place }) => `${code} ${place}`)).toMatchInlineSnapshot(`
      [
        "IMAGE_NOT_PINNED services.dstack-agent.image",
        "IMAGE_NOT_PINNED services.dstack-verifier.image",
        "KMS_NOT_PINNED key_provider_id",
        "LOGS_PUBLIC public_logs",
        "SYSINFO_PUBLIC public_sysinfo",
        "TIME_NOT_SECURE secure_time",
        "SCRIPT_RUNS_AS_ROOT pre_launch_script",
        "HOST_NETWORK services.dstack-agent.network_mode",
        "CVM_PATH_MOUNTED services.dstack-agent.volumes",
        "AGENT_SOCKET services.dstack-agent.volumes",
        "AGENT_SOCKET services.dstack-agent.volumes",
      ]
    `)
  })
})
