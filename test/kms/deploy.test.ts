/** What lies in deploy/kms: every name in it must be one that the KMS knows. */
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'

import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'

import { writeKmsCompose } from '../../src/kms/app-compose.ts'
import { createKmsMetrics, watchPool } from '../../src/kms/metrics.ts'
import { fromHex, utf8ToBytes } from '../../src/lib/bytes.ts'
import { predictCvm } from '../../src/quote/measurements/predict-measurements.ts'

const folder = join(import.meta.dirname, '../../deploy/kms')
const read = (name: string) => readFile(join(folder, name), 'utf8')
const register = new Uint8Array(48)
const base = { mrTd: register, rtmr0: register, rtmr1: register, rtmr2: register }

const id20 = (digit: string) => `0x${digit.repeat(40)}`

const promtool = (...args: string[]) => spawnSync('promtool', args, { encoding: 'utf8' })
const hasNoPromtool = promtool('--version').error !== undefined
if (hasNoPromtool) console.warn('\n*** PROMTOOL ABSENT: the alerts of the KMS are not tried. ***\n')

/** Name to label names, as `/metrics` shows them. */
async function shown(): Promise<Map<string, { type: string; help: string }>> {
  const { registry, watchLog } = createKmsMetrics()
  const status = {
    entries: 0,
    segments: 1,
    bytes: 0,
    halted: false,
    witnessed: true,
    expectedDevices: [],
    peerFaults: 0,
  }
  watchLog(() => status)
  const pool = new Registry()
  watchPool(pool, { workers: () => 2, restarts: () => 0 })
  const text = `${await registry.metrics()}\n${await pool.metrics()}`
  const names = new Map<string, { type: string; help: string }>()
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const help = new RegExp(`^# HELP ${name} (.+)$`, 'm').exec(text)?.[1] ?? ''
    names.set(name, { type, help })
    if (type === 'histogram') names.set(`${name}_bucket`, { type, help })
  }
  return names
}

const namesIn = (text: string) => [
  ...new Set(text.match(/\b(?:assent_kms|dstack_kms)_[a-z0-9_]+/g) ?? []),
]

describe('KMS metrics, dashboard and alerts', () => {
  test.each(['grafana-dashboard.json', 'alerts.yaml'])('exist for %s', async (file) => {
    const known = await shown()
    const used = namesIn(await read(file))

    expect(used.length).toBeGreaterThan(10)
    expect(used.filter((name) => !known.has(name))).toEqual([])
  })

  test('show every metric on the dashboard, and counters only as rates', async () => {
    const { panels } = JSON.parse(await read('grafana-dashboard.json')) as {
      panels: { id: number; targets: { expr: string }[] }[]
    }
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    const used = namesIn(expressions.join('\n'))
    for (const [name, { type }] of await shown()) {
      if (type !== 'histogram') expect(used, name).toContain(name)
      if (type !== 'counter') continue
      for (const expr of expressions.filter((one) => one.includes(name))) {
        expect(expr).toMatch(new RegExp(`(rate|increase)\\(${name}`))
      }
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  })

  test('have alerts with a severity and one rule each', async () => {
    const text = await read('alerts.yaml')
    const alerts = [...text.matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
    const guide = await readFile(join(folder, '../../docs/operate-kms.md'), 'utf8')

    expect(new Set(alerts).size).toBe(alerts.length)
    expect(text.match(/severity: (page|ticket)/g)).toHaveLength(alerts.length)
    for (const name of alerts) expect(guide).toContain(`\`${name}\``)
  })

  test('have a test case for each alert that fires and one that does not', async () => {
    const alerts = [...(await read('alerts.yaml')).matchAll(/- alert: (\w+)/g)].map(
      ([, name]) => name,
    )
    const cases = await read('alerts.test.yaml')
    for (const name of alerts) {
      expect(cases).toMatch(new RegExp(`alertname: ${name}, exp_alerts: \\[\\]`))
      expect(cases).toMatch(new RegExp(`alertname: ${name}\\n +exp_alerts:\\n`))
    }
  })

  test.skipIf(hasNoPromtool)('have alerts that pass the test cases of promtool', () => {
    const { status, stdout } = promtool('test', 'rules', join(folder, 'alerts.test.yaml'))
    expect(status, stdout).toBe(0)
  })
})

describe('the app-compose of the KMS', () => {
  const image = `registry.example.org/assent-kms@sha256:${'ab'.repeat(32)}`
  interface Changed {
    readonly image?: string
    /** Settings that differ from the example, or all of them as text. */
    readonly config?: object | string
    readonly pccsCa?: string
  }
  const settingsOf = async ({ config = {} }: Changed) => {
    const example = await read('kms.example.json')
    if (typeof config === 'string') return config
    if (Object.keys(config).length === 0) return example
    return JSON.stringify({ ...JSON.parse(example), ...config })
  }
  const compose = async (changed: Changed = {}) => {
    return writeKmsCompose({
      name: 'assent-kms',
      image: changed.image ?? image,
      config: await settingsOf(changed),
      keyProviderId: '1b7a49',
      ...(changed.pccsCa === undefined ? {} : { pccsCa: changed.pccsCa }),
    })
  }

  test('has the same bytes each time, and the measurements of its CVM can be predicted', async () => {
    const text = await compose()
    const keyProvider = { name: 'local-sgx', id: fromHex('1b7a49', 'id') } as const
    const planned = {
      base,
      keyProvider,
      storageFs: 'zfs',
      measuresGpuPolicy: true,
      mrConfig: 'v1',
    } as const
    const predict = (bytes: string) => predictCvm({ ...planned, compose: utf8ToBytes(bytes) }).rtmr3

    expect(await compose()).toBe(text)
    expect(predict(text)).toEqual(predict(await compose()))
    expect(predict(text)).not.toEqual(predict(await compose({ config: { port: 8443 } })))
  })

  test('contains the unchanged settings, and its container has no privileges', async () => {
    const app = JSON.parse(await compose({ config: { domain: 'localhost' } }))
    const { services, configs } = JSON.parse(app.docker_compose_file)

    expect(JSON.parse(configs.kms.content)).toMatchObject({ domain: 'localhost' })
    expect(services.kms).toMatchObject({
      image,
      read_only: true,
      cap_drop: ['ALL'],
      ulimits: { core: 0 },
    })
    expect(services.kms.privileged).toBeUndefined()
    expect(app).toMatchObject({ kms_enabled: false, no_instance_id: true, key_provider: 'local' })
  })

  test('escapes characters that Compose would replace', async () => {
    const collateral = { pccsUrls: ['https://pccs.example.org/$KEY'] }
    const app = JSON.parse(await compose({ config: { collateral } }))

    expect(JSON.parse(app.docker_compose_file).configs.kms.content).toContain('/$$KEY')
  })

  const pccsUrls = ['https://pccs.example.org:8081/sgx/certification/v4/']
  const caFile = '/etc/assent/pccs-ca.pem'
  const named = { config: { collateral: { pccsUrls, caFile } } }

  test('mounts the TLS certificates of a PCCS at the path in the settings', async () => {
    const pccsCa = rootCertificates[0] as string
    const app = JSON.parse(await compose({ ...named, pccsCa }))
    const { services, configs } = JSON.parse(app.docker_compose_file)

    expect(services.kms.configs).toContainEqual({ source: 'pccs-ca', target: caFile })
    expect(configs['pccs-ca'].content).toBe(pccsCa)
  })

  test('can have no release log', async () => {
    const app = JSON.parse(await compose({ config: { releaseLog: 'insecure-off' } }))
    const { configs } = JSON.parse(app.docker_compose_file)

    expect(JSON.parse(configs.kms.content)).toMatchObject({ releaseLog: 'insecure-off' })
  })

  const heartbeat = (tokenFile: string) => ({
    contract: id20('7'),
    relayers: [{ url: 'https://relayer.example.org', poster: id20('8'), tokenFile }],
    maxAgeSeconds: 3_600,
  })
  const consensus = {
    network: 'mainnet',
    beaconApis: ['https://beacon.example.org'],
    trustedBlockRoot: `0x${'9'.repeat(64)}`,
    storeFolder: '/var/lib/assent/light-client',
  }
  const opStack = {
    level: 'anchored',
    anchorStateRegistry: id20('a'),
    disputeGameFactory: id20('b'),
    gameType: 0,
    gameLayout: 'fault',
    minAgeSeconds: 600_000,
    finalityDelaySeconds: 302_400,
    l1: {
      chainId: 1,
      endpoints: ['https://l1.example.org'],
      quorum: 'light-client',
      maxBlockAgeSeconds: 3_600,
      consensus,
    },
  }
  /** The example with changed settings of its chain view. */
  const composeView = async (view: object, config: object = {}) => {
    const example = JSON.parse(await read('kms.example.json'))
    return compose({ config: { ...config, chainView: { ...example.chainView, ...view } } })
  }

  test('mounts the user config of the CVM only for the token of a heartbeat', async () => {
    const services = async (text: Promise<string>) =>
      JSON.parse(JSON.parse(await text).docker_compose_file).services
    const target = '/run/assent/user-config'
    const { kms } = await services(composeView({ heartbeat: heartbeat(target) }))

    expect(kms.volumes).toContainEqual({
      type: 'bind',
      source: '/dstack/.user-config',
      target,
      read_only: true,
      bind: { create_host_path: false },
    })
    expect(JSON.stringify((await services(compose())).kms.volumes)).not.toContain('user-config')
  })

  const l1 = (changed: object) => ({ opStack: { ...opStack, l1: { ...opStack.l1, ...changed } } })
  test.each([
    ['finality "safe" with a light client', { consensus }, { finality: 'safe' }, 'CONFIG_INVALID'],
    [
      'a light client of another network',
      { consensus: { ...consensus, network: 'gnosis' } },
      {},
      'CONFIG_INVALID',
    ],
    [
      'a light client of another network for L1',
      l1({ consensus: { ...consensus, network: 'gnosis' } }),
      { chainId: 8453 },
      'CONFIG_INVALID',
    ],
    ['an OP Stack chain without opStack', {}, { chainId: 8453 }, 'CONFIG_INVALID'],
    [
      'a heartbeat on final dispute games',
      { opStack, heartbeat: heartbeat('/run/assent/user-config') },
      { chainId: 8453 },
      'CONFIG_INVALID',
    ],
    ['a checkpoint where nothing is kept', { checkpointFolder: '/data/ck' }, {}, 'INPUT_INVALID'],
    [
      'a checkpoint above the kept folder',
      { checkpointFolder: '/var/lib/assent/../ck' },
      {},
      'INPUT_INVALID',
    ],
    [
      'a light-client store where nothing is kept',
      { consensus: { ...consensus, storeFolder: '/data/lc' } },
      {},
      'INPUT_INVALID',
    ],
    [
      'a light-client store of L1 where nothing is kept',
      l1({ consensus: { ...consensus, storeFolder: '/data/lc' } }),
      { chainId: 8453 },
      'INPUT_INVALID',
    ],
    [
      'a token file that does not get into the CVM',
      { heartbeat: heartbeat('/run/secrets/token') },
      {},
      'INPUT_INVALID',
    ],
    ['a socket that the container lacks', {}, { agentSocket: '/tmp/agent' }, 'INPUT_INVALID'],
    ['collateral in a file', {}, { collateral: { file: '/tmp/c.json' } }, 'INPUT_INVALID'],
    ['a root in a file', {}, { trustedRoot: { insecureRootFile: '/tmp/r.der' } }, 'INPUT_INVALID'],
  ])('is refused with %s', async (_, view, config, code) => {
    await expect(composeView(view, config)).rejects.toMatchObject({ code })
  })

  test('is written from the example page with light client, heartbeat and OP Stack', async () => {
    const page = await readFile(join(folder, '../../docs/kms-example.md'), 'utf8')
    const config = /```json\n([\s\S]+?)```/.exec(page)?.[1] ?? ''
    const { chainView } = JSON.parse(config)

    expect(chainView).toMatchObject({ heartbeat: {}, opStack: { l1: { consensus: {} } } })
    await expect(compose({ config })).resolves.toContain('/dstack/.user-config')
  })

  test('is written for an OP Stack chain with a light client of L1', async () => {
    await expect(composeView({ opStack }, { chainId: 8453 })).resolves.toContain('light-client')
  })

  test('is refused with a release log where nothing is kept', async () => {
    const example = await read('kms.example.json')
    const config = example.replace('/var/lib/assent/log', '/tmp/log')

    expect(config).not.toBe(example)
    await expect(compose({ config })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })

  test.each([
    ['the file of a PCCS that is not given', named, 'INPUT_INVALID'],
    [
      'certificates that no setting names',
      { pccsCa: rootCertificates[0] as string },
      'INPUT_INVALID',
    ],
    ['certificates that are none', { ...named, pccsCa: '-----BEGIN' }, 'INPUT_INVALID'],
    [
      'certificates where nothing is brought',
      {
        config: { collateral: { pccsUrls, caFile: '/tmp/ca.pem' } },
        pccsCa: rootCertificates[0] as string,
      },
      'INPUT_INVALID',
    ],
    ['an image by tag', { image: 'registry.example.org/assent-kms:latest' }, 'INPUT_INVALID'],
    ['a setting that is not known', { config: { unknown: 1 } }, 'CONFIG_INVALID'],
    ['a setting that is missing', { config: { finality: undefined } }, 'CONFIG_INVALID'],
    ['settings that are no JSON', { config: '{"port":' }, 'CONFIG_INVALID'],
    ['keys where nothing is kept', { config: { keysFolder: '/tmp/keys' } }, 'INPUT_INVALID'],
  ])('is refused with %s', async (_, changed, code) => {
    await expect(compose(changed)).rejects.toMatchObject({ code })
  })
})

test('the Dockerfile pins every base image and runs no install script of a package', async () => {
  const text = await read('Dockerfile')
  const froms = [...text.matchAll(/^FROM (\S+)/gm)].map(([, from]) => from)

  // biome-ignore lint/suspicious/noTemplateCurlyInString: Docker's own syntax
  expect(new Set(froms)).toEqual(new Set(['${NODE_IMAGE}']))
  expect(text).toMatch(/^ARG NODE_IMAGE$/m)
  expect(text).toContain('npm ci --omit=optional --ignore-scripts')
  expect(text).not.toMatch(/apt-get|curl|wget|ADD /)
})

test('the measured node starts with the command of the image', async () => {
  const dockerfile = await read('Dockerfile')
  const bench = await readFile(join(folder, '../../bench/release/node.ts'), 'utf8')
  const options = /NODE_OPTIONS=(\S+)/.exec(dockerfile)?.[1]
  const arenas = /MALLOC_ARENA_MAX=(\d+)/.exec(dockerfile)?.[1]

  expect(options).toMatch(/^--max-semi-space-size=\d+$/)
  expect(bench).toContain(`NODE_OPTIONS: '${options}'`)
  expect(bench).toContain(`MALLOC_ARENA_MAX: '${arenas}'`)
})
