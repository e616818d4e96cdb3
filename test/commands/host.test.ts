/** The commands of host operators: a simulated host with its agent, a live node, a relayer and a PCCS. */
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createPublicClient, http, parseEther } from 'viem'
import { generatePrivateKey } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { exitCode } from '../../src/commands/host/quote.ts'
import { writeSimulatedHost } from '../../src/commands/simulate/host-folder.ts'
import { standardHostRules } from '../../src/deploy/deploy.ts'
import { to0x, toHex } from '../../src/lib/bytes.ts'
import { createLog } from '../../src/lib/log.ts'
import { parseCollateral } from '../../src/quote/collateral/collateral.ts'
import { parsePolicy } from '../../src/quote/policy.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { createSubmissionVerifier } from '../../src/relayer/intake/verify-quote.ts'
import { createHostTarget } from '../../src/relayer/outbox/intent-targets.ts'
import { type Relayer, startRelayer } from '../../src/relayer/service.ts'
import { createLocalSigner } from '../../src/relayer/signer/signer.ts'
import { type AgentServer, serveAgent } from '../../src/tee/simulator/agent/agent.ts'
import { standardLevels } from '../../src/tee/simulator/collateral.ts'
import { createImage } from '../../src/tee/simulator/image.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../anvil.ts'
import { type PccsServer, startPccs } from '../relayer/pccs-server.ts'
import { createTaskFixture, type TaskFixture } from '../tasks/fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests of host commands are SKIPPED. ***\n')

const token = 'operator-token'
const clock = () => Math.floor(Date.now() / 1000)
const simulator = createSimulator({ seed: new Uint8Array(32).fill(21), at: clock() })
const platform = simulator.createPlatform({ name: 'try-out' })
const deviceId = to0x(platform.deviceId)
const other = to0x(simulator.createPlatform({ name: 'other' }).deviceId)

let fixture: TaskFixture
let folder: string
let agent: AgentServer
let pccs: PccsServer
let database: OpenDatabase
let relayer: Relayer

const file = (name: string) => join(folder, name)
const operator = () => ({ from: fixture.account('owner'), yes: true })

describe.skipIf(absent)('the commands of a host operator', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'assent-host-'))
    fixture = await createTaskFixture({
      root: simulator.rootCertificate,
      hosts: { ...standardHostRules, isOpen: false, maxLifetime: 10 * 86_400 },
    })
    const cvm = platform.createCvm({ image: createImage(), compose: '{}' })
    agent = await serveAgent(cvm, file('agent.sock'))
    pccs = await startPccs({ simulator, clock, kind: 'complete' })
    const collateral = simulator.collateral()
    await writeFile(file('collateral.json'), JSON.stringify(collateral))
    await fixture.run('host upload-collateral', { file: file('collateral.json'), ...operator() })
    await writeFile(file('token'), `${token}\n`)
    database = await openDatabase({ memory: true })
    const client = createPublicClient({
      chain: foundry,
      transport: http(fixture.url),
      cacheTime: 0,
    })
    const signer = createLocalSigner(generatePrivateKey())
    await fixture.anvil.client.setBalance({ address: signer.address, value: parseEther('10') })
    relayer = await startRelayer({
      chainId: foundry.id,
      clients: [client],
      targets: { host: createHostTarget(fixture.addresses.hosts ?? '0x') },
      signer,
      db: database.db,
      verifySubmission: createSubmissionVerifier({
        clock,
        collateral: async () => parseCollateral(collateral),
        root: simulator.rootCertificate,
        policy: parsePolicy({}),
      }),
      operators: [{ name: 'ops', tokenSha256: createHash('sha256').update(token).digest('hex') }],
      clock,
      log: createLog({ service: 'test', level: 'silent' }),
      finality: { depth: 0 },
      pollMs: 50,
    })
  }, 180_000)
  afterEach(() => vi.unstubAllEnvs())
  afterAll(async () => {
    await relayer?.stop()
    await database?.close()
    await pccs?.stop()
    await agent?.close()
    await fixture?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const quoteHost = (more: Record<string, unknown> = {}) =>
    fixture.run('host quote', {
      socket: agent.socket,
      out: file('host-quote.json'),
      ...operator(),
      ...more,
    })

  test('quote saves the quote and says what the DAO would see', async () => {
    const { value, text } = await quoteHost()

    expect(value).toMatchObject({
      deviceId,
      file: file('host-quote.json'),
      operator: fixture.account('owner'),
      approval: 'none',
      provenUntil: 0,
      today: { from: 'chain', status: 'UpToDate', problems: [] },
      early: null,
      nextStandardAt: null,
    })
    expect(text).toContain('No PCCS is set')
    const shown = await fixture.run('host quote', { quote: file('host-quote.json') })
    expect(shown.value).toMatchObject({ deviceId, file: null, today: { status: 'UpToDate' } })
  })

  test('register takes block and operator from the file, and list shows the host as not approved', async () => {
    await fixture.anvil.client.mine({ blocks: 1 })
    const registered = await fixture.run('host register', {
      quote: file('host-quote.json'),
      ...operator(),
    })

    expect(registered.value).toMatchObject({ deviceId, outcome: 'sent' })
    const { value, text } = await fixture.run('host list')
    expect(value).toMatchObject({
      total: 0,
      hosts: [],
      unapproved: [{ deviceId, state: 'none', tcbStatus: 'UpToDate', isAdmitted: false }],
    })
    expect(text).toContain('1 proven, and not approved')
    expect((await fixture.run('host list', { quick: true })).value.unapproved).toBeNull()
    expect((await fixture.run('host status')).value).toEqual(value)
  })

  test('doctor says that an unapproved host needs the DAO', async () => {
    const { value, text } = await fixture.run('host doctor', { device: deviceId })

    expect(value).toMatchObject({ isFit: false, deviceId })
    expect(statusOf(value, 'approval')).toBe('failed')
    expect(statusOf(value, 'admission')).toBe('failed')
    expect(statusOf(value, 'TCB today')).toBe('ok')
    expect(text).toContain(`assent dao approve host ${deviceId}`)
  })

  test('an approved host is listed, found by its first digits, and fit', async () => {
    await fixture.decide('dao approve', { kind: 'host', ids: [deviceId] })

    const listed = await fixture.run('host list')
    expect(listed.value).toMatchObject({
      total: 1,
      hosts: [{ deviceId, isAdmitted: true, tcbStatus: 'UpToDate' }],
      unapproved: [],
    })
    const device = deviceId.slice(2, 10)
    expect((await fixture.run('host status', { device })).value).toMatchObject({
      currentId: deviceId,
      isAdmitted: true,
    })
    const { value } = await fixture.run('host doctor', { device, pccs: pccs.url, within: '1d' })
    expect(value.isFit).toBe(true)
    expect(value.assessment).toMatchObject({
      today: { status: 'UpToDate' },
      early: { from: 'pccs', status: 'UpToDate', problems: [] },
    })
  })

  test('quote for another operator says that the registry refuses it, and proposes no registration', async () => {
    const refused = await quoteHost({
      operator: fixture.account('stranger'),
      out: file('other-operator.json'),
    })
    expect(refused.text).toContain('the registry refuses')
    expect(refused.text).not.toContain('host register')
    expect(exitCode(refused.value as never)).toBe(1)

    const accepted = await quoteHost({ out: file('same-operator.json') })
    expect(accepted.text).toContain(`Next: assent host register ${file('same-operator.json')}`)
    expect(exitCode(accepted.value as never)).toBe(0)
  })

  test('renew proves the host again, and the proof ends later', async () => {
    const before = (await fixture.run('host status', { device: deviceId })).value.proof
    await fixture.advanceTime(3_600)

    const { value } = await fixture.run('host renew', {
      device: deviceId,
      socket: agent.socket,
      ...operator(),
    })

    expect(value.outcome).toBe('sent')
    expect(value.expiresAt).toBeGreaterThanOrEqual(before.expiresAt + 3_600)
  })

  test('renew through a relayer needs a permit and no ether', async () => {
    const before = (await fixture.run('host status', { device: deviceId })).value.proof
    const { client } = fixture.anvil
    const address = fixture.account('owner')
    const ether = await fixture.people.owner.publicClient.getBalance({ address })
    await fixture.advanceTime(60)
    await client.mine({ blocks: 1 })

    const { value, text } = await fixture.run('host renew', {
      device: deviceId,
      socket: agent.socket,
      via: 'relayer',
      relayerUrl: relayer.url,
      tokenFile: file('token'),
      permitFor: '3d',
      ...operator(),
    })

    expect(value).toMatchObject({ deviceId, outcome: 'relayed' })
    expect(value.transaction).toMatch(/^0x/)
    expect(value.expiresAt).toBeGreaterThan(before.expiresAt)
    expect(text).not.toContain(token)
    expect(await fixture.people.owner.publicClient.getBalance({ address })).toBe(ether)
  })

  test('a wrong token is a refusal, and a relayer that does not answer an outage', async () => {
    const args = { device: deviceId, socket: agent.socket, via: 'relayer', ...operator() }
    vi.stubEnv('ASSENT_OPERATOR_TOKEN', 'wrong-token')

    const refused = await fixture.failure('host renew', { ...args, relayerUrl: relayer.url })
    expect(refused.code).toBe('RELAYER_REFUSED')
    expect(refused.message).toContain('RELAYER_UNAUTHORIZED')
    expect(refused.message).not.toContain('wrong-token')
    expect(await fixture.refused('host renew', { ...args, relayerUrl: 'http://127.0.0.1:1' })).toBe(
      'RELAYER_UNREACHABLE',
    )
    expect(
      await fixture.refused('host renew', { ...args, relayerUrl: 'http://relayer.example' }),
    ).toBe('CONFIG_INVALID')
    vi.unstubAllEnvs()
    expect(await fixture.refused('host renew', { ...args, relayerUrl: relayer.url })).toBe(
      'USAGE_INVALID',
    )
  })

  test('doctor warns before a demotion, with its date, and before proof and approval end', async () => {
    const outdated = standardLevels.map((level) => ({
      ...level,
      tcbStatus: 'OutOfDate',
      advisoryIDs: ['INTEL-SA-09999'],
    }))
    pccs.early = { levels: outdated }

    const { value, text } = await fixture.run('host doctor', {
      device: deviceId,
      pccs: pccs.url,
      within: '30d',
    })
    pccs.early = {}

    expect(value.isFit).toBe(true)
    expect(statusOf(value, 'TCB in the early collateral')).toBe('warning')
    expect(statusOf(value, 'host proof')).toBe('warning')
    expect(value.assessment.early).toMatchObject({
      status: 'OutOfDate',
      advisories: ['INTEL-SA-09999'],
      problems: ['the DAO does not accept the TCB status OutOfDate'],
    })
    expect(value.assessment.nextStandardAt).toBe(pccs.recoveryAt + 31_557_600)
    expect(text).toContain('the host is demoted then')
  })

  test('doctor does not call an outage of the PCCS a demotion', async () => {
    pccs.fault = 'down'
    const { value } = await fixture.run('host doctor', { device: deviceId, pccs: pccs.url })
    pccs.fault = undefined

    expect(value.isFit).toBe(true)
    expect(value.assessment.early).toBeNull()
    expect(value.assessment.notes.join()).toContain('The early collateral is unknown')
    expect(statusOf(value, 'TCB in the early collateral')).toBe('warning')
  })

  test('quote and doctor see what the DAO denies', async () => {
    await fixture.decide('host set-tcb-status', { status: 'UpToDate', until: 'refuse' })

    const quoted = await quoteHost()
    expect(quoted.value.today.problems).toEqual(['the DAO does not accept the TCB status UpToDate'])
    const { value } = await fixture.run('host doctor', { device: deviceId })
    expect(value.isFit).toBe(false)
    expect(statusOf(value, 'TCB status of the proof')).toBe('failed')
    expect(statusOf(value, 'TCB today')).toBe('failed')
    await fixture.decide('host set-tcb-status', { status: 'UpToDate', until: 'accept' })
  })

  test('doctor says that a proof has ended', async () => {
    await fixture.advanceTime(11 * 86_400)

    const { value } = await fixture.run('host doctor', { device: deviceId })
    expect(statusOf(value, 'host proof')).toBe('failed')
    const { text } = await fixture.run('host list')
    expect(text).toContain('the proof ended')
  })

  test('a quote of another registry, operator or host is refused', async () => {
    const json = JSON.parse(await readFile(file('host-quote.json'), 'utf8'))
    const write = async (name: string, binding: object) => {
      const changed = { ...json, binding: { ...json.binding, ...binding } }
      await writeFile(file(name), JSON.stringify(changed))
      return file(name)
    }
    const stranger = await write('operator.json', { operator: fixture.account('stranger') })
    const block = await write('block.json', { block: json.binding.block + 1 })
    const malformed = await write('malformed.json', { chainId: 'one' })

    for (const quote of [stranger, block, malformed]) {
      expect(await fixture.refused('host register', { quote, ...operator() })).toBe('INPUT_INVALID')
      expect(await fixture.refused('host quote', { quote })).toBe('INPUT_INVALID')
    }
    await fixture.run('host quote', { quote: file('host-quote.json') })
    const machine = await writeSimulatedHost(file('machine'), { seed: toHex(simulator.pki.seed) })
    const foreign = machine.simulator.createPlatform({ name: 'other' }).quote()
    await writeFile(file('foreign.bin'), foreign)
    const args = { device: deviceId, quote: file('foreign.bin') }
    expect(await fixture.refused('host doctor', args)).toBe('INPUT_INVALID')
    expect(await fixture.refused('host renew', { ...args, ...operator() })).toBe('USAGE_INVALID')
    expect(await fixture.refused('host renew', { device: other, ...operator() })).toBe(
      'INPUT_INVALID',
    )
  })

  test.each([
    ['host quote', { socket: '/missing.sock' }, 'TEE_UNAVAILABLE'],
    ['host quote', { quote: 'missing.json' }, 'FILE_UNREADABLE'],
    ['host quote', { quote: 'q', socket: 's' }, 'USAGE_INVALID'],
    ['host quote', { operator: '0x12' }, 'USAGE_INVALID'],
    ['host register', { quote: 'missing.json' }, 'FILE_UNREADABLE'],
    ['host renew', { device: deviceId, quote: 'q', socket: 's' }, 'USAGE_INVALID'],
    ['host renew', { device: 'no host' }, 'USAGE_INVALID'],
    ['host renew', { device: deviceId, via: 'mail' }, 'USAGE_INVALID'],
    ['host doctor', { device: deviceId, within: 'soon' }, 'USAGE_INVALID'],
    ['host doctor', { device: deviceId, pccs: 'pccs.example' }, 'USAGE_INVALID'],
    ['host doctor', { device: '123456' }, 'NAME_UNKNOWN'],
    ['host list', { limit: '-1' }, 'USAGE_INVALID'],
  ])('%s refuses %o', async (command, args, code) => {
    const signs = /quote|register|renew/.test(command) ? operator() : {}

    expect(await fixture.refused(command, { ...signs, ...args })).toBe(code)
  })
})

interface Findings {
  readonly findings: readonly { readonly check: string; readonly status: string }[]
}

/** Status of one check. */
function statusOf({ findings }: Findings, check: string): string | undefined {
  return findings.find((each) => each.check === check)?.status
}
