/** Renewal of host proofs with the real registry and verifier, and with real agents on a socket and behind a hook. */
import type { AddressInfo } from 'node:net'

import { serve } from '@hono/node-server'
import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import { createPublicClient, createWalletClient, custom, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { foundry } from 'viem/chains'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  type HostBinding,
  hostReportData,
  readHost,
  registerHost,
  signHostPermit,
} from '../../../src/chain/registries/hosts.ts'
import { revoke } from '../../../src/chain/registries/registry.ts'
import { uploadCollateral } from '../../../src/chain/verifier/collateral.ts'
import { fromHex, type Hex, to0x } from '../../../src/lib/bytes.ts'
import { type Collateral, parseCollateral } from '../../../src/quote/collateral/collateral.ts'
import { encodeWithKnownPck } from '../../../src/quote/compact.ts'
import { parseQuote } from '../../../src/quote/parse.ts'
import { hosts } from '../../../src/relayer/database/schema.ts'
import { createHostTarget, createRecordTarget } from '../../../src/relayer/outbox/intent-targets.ts'
import {
  createUpkeepTarget,
  listUpkeep,
  runUpkeep,
} from '../../../src/relayer/upkeep/dao-upkeep.ts'
import {
  type Agent,
  createHookAgent,
  createSocketAgent,
} from '../../../src/relayer/upkeep/host-agents.ts'
import { watchHosts } from '../../../src/relayer/upkeep/host-events.ts'
import { listStatusLosses, runRecovery } from '../../../src/relayer/upkeep/recovery.ts'
import {
  decideRenewal,
  insertHosts,
  listHosts,
  type RenewalOptions,
  readRenewalStatus,
  recheckAfter,
  renewalPause,
  runRenewal,
} from '../../../src/relayer/upkeep/renewal.ts'
import { type AgentServer, serveAgent } from '../../../src/tee/simulator/agent/agent.ts'
import { outdatedSvns, standardLevels, tcbLevel } from '../../../src/tee/simulator/collateral.ts'
import type { SimulatedCvm } from '../../../src/tee/simulator/cvm.ts'
import { createImage } from '../../../src/tee/simulator/image.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import { findAnvil } from '../../anvil.ts'
import { truncate } from '../databases.ts'
import {
  createFixture,
  createFixtureVerifier,
  createWallet,
  log,
  type RelayerFixture,
  socketPath,
} from '../fixture.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: renewal of host proofs is SKIPPED. ***\n')

const day = 86_400
const rules = {
  renewBefore: 4 * day,
  jitter: day,
  urgentBefore: day,
  maxBaseFee: 10n ** 12n,
  minimumExtension: 2 * day,
  minimumRemainingValidity: day,
}

describe.skipIf(absent)('renewal of host proofs', () => {
  let fixture: RelayerFixture
  let collateral: Collateral
  let cvm: SimulatedCvm
  let socket: AgentServer
  let hook: { url: string; stop(): void; mode: string; asked: { record: Hex | null }[] }
  const operator = createWallet()

  beforeAll(async () => {
    fixture = await createFixture({ isOpen: true })
    const image = createImage()
    cvm = fixture.simulator.createPlatform().createCvm({ image, compose: '{}' })
    socket = await serveAgent(cvm, await socketPath('host'))
    hook = await startHook()
  })
  beforeEach(async () => {
    await fixture.reset()
    hook.mode = 'honest'
    hook.asked.length = 0
    collateral = await issue()
  })
  afterAll(async () => {
    await socket?.close()
    hook?.stop()
    await fixture?.stop()
  })

  /** Intel's newest documents, on chain too. */
  async function issue(options: Parameters<RelayerFixture['simulator']['collateral']>[0] = {}) {
    const at = fixture.clock() - day
    const issued = parseCollateral(fixture.simulator.collateral({ issuedAt: at, ...options }))
    const put = await uploadCollateral(
      fixture.dao.clients.stranger,
      fixture.addresses.quoteVerifier,
      issued,
    )
    // The store keeps what it has unless the dates are newer, to the second.
    expect(put.length).toBeGreaterThan(0)
    return issued
  }

  /** The operator's side of a hook, with its key; `mode` makes it misbehave. */
  async function startHook() {
    const app = new Hono()
    const state = { url: '', mode: 'honest', asked: [] as { record: Hex | null }[], stop() {} }
    app.post('/quote', async (c) => {
      if (c.req.header('authorization') !== 'Bearer hook-token') return c.text('no', 401)
      if (state.mode === 'down') return c.text('busy', 503)
      if (state.mode === 'nonsense') return c.json({ quote: 'zz' })
      const asked = await c.req.json()
      state.asked.push(asked)
      const machine =
        state.mode === 'another machine'
          ? fixture.simulator.createPlatform({ name: 'another' }).createCvm({
              image: createImage(),
              compose: '{}',
            })
          : cvm
      const quote = machine.quote(
        state.mode === 'replay' ? new Uint8Array(64) : fromHex(asked.reportData, 'reportData', 64),
      )
      const usesRecord = asked.record !== null && state.mode !== 'no short form'
      const signed = usesRecord
        ? encodeWithKnownPck(parseQuote(quote), fromHex(asked.record, 'record', 20))
        : quote
      const wallet = createWalletClient({
        account: privateKeyToAccount(operator.key),
        chain: foundry,
        transport: http(fixture.anvil.url),
      })
      const binding = {
        chainId: asked.chainId,
        registry: asked.registry,
        block: { number: BigInt(asked.blockNumber), hash: asked.blockHash },
      }
      const { signature } = await signHostPermit(wallet, binding, signed, asked.deadline)
      return c.json({
        quote: to0x(quote),
        eventLog: machine.eventLog('quote'),
        signature,
        ...(usesRecord ? { record: asked.record } : {}),
      })
    })
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 })
    await new Promise<void>((resolve) => server.once('listening', () => resolve()))
    state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/quote`
    state.stop = () => void server.close()
    return state
  }

  const deviceId = () => to0x(cvm.deviceId)
  const outcomes: string[] = []
  const keeper = (agent: Agent, of: Hex = operator.address): RenewalOptions => ({
    db: fixture.database.db,
    chainId: foundry.id,
    reader: fixture.reader,
    registry: fixture.addresses.hosts.toLowerCase() as Hex,
    verifier: fixture.addresses.quoteVerifier,
    account: fixture.signer.address,
    renewedHosts: [{ deviceId: deviceId(), purpose: 'host', operator: of, agent }],
    verifySubmission: createFixtureVerifier(fixture, async () => collateral),
    rules,
    usesRecords: false,
    clock: fixture.clock,
    log,
    onRenewal: (outcome) => outcomes.push(outcome),
  })
  const watched = () => ({ ...keeper(hookAgent()), fromBlock: 0, span: 10_000 })
  const hookAgent = () => createHookAgent({ url: hook.url, token: 'hook-token', timeoutMs: 5_000 })
  const targets = () => ({
    host: createHostTarget(fixture.addresses.hosts),
    record: createRecordTarget(fixture.addresses.quoteVerifier),
  })
  const onChain = () => readHost(fixture.client, fixture.addresses.hosts, deviceId())
  const row = async () => {
    const [found] = await fixture.database.db
      .select()
      .from(hosts)
      .where(eq(hosts.deviceId, deviceId()))
    return found
  }

  /** As the service does: watch, renew, send, watch. */
  async function runRound(options: RenewalOptions): Promise<void> {
    outcomes.length = 0
    await insertHosts(options)
    await fixture.pass(12)
    await watchHosts(watched())
    await runRenewal(options)
    await fixture.pass(1)
    await fixture.drain(targets())
    await watchHosts(watched())
    await runRenewal(options)
  }

  test('a host with an agent socket is registered, and renewed only when it is due', async () => {
    const kept = keeper(createSocketAgent(socket.socket), fixture.signer.address)
    await runRound(kept)
    const first = await onChain()
    expect(first.operator.toLowerCase()).toBe(fixture.signer.address)
    expect(await readRenewalStatus(kept)).toMatchObject({ fresh: 1, nextExpiry: first.expiresAt })

    await fixture.pass(10 * day)
    await runRound(kept)
    expect((await onChain()).provenAtBlock).toBe(first.provenAtBlock)

    await fixture.pass(first.expiresAt - fixture.clock() - 3 * day)
    collateral = await issue()
    await runRound(kept)
    const second = await onChain()
    expect(second.expiresAt).toBeGreaterThan(first.expiresAt + 20 * day)
    expect(outcomes).toEqual(['asked', 'final'])
    expect(await row()).toMatchObject({ failures: 0, lastError: null, intentId: null })
  })

  test('an agent hook signs the compact quote once the verifier has a record of the platform', async () => {
    const kept = { ...keeper(hookAgent()), usesRecords: true }
    await runRound(kept)
    const first = await onChain()
    expect(first.operator.toLowerCase()).toBe(operator.address)
    const rawGas = await lastGas()
    await fixture.drain(targets())

    await fixture.pass(first.expiresAt - fixture.clock() - 2 * day)
    collateral = await issue()
    await runRound(kept)

    expect(await row()).toMatchObject({ lastError: null })
    expect(hook.asked.at(-1)?.record).toMatch(/^0x[0-9a-f]{40}$/)
    expect((await onChain()).expiresAt).toBeGreaterThan(first.expiresAt)
    expect(await lastGas()).toBeLessThan(rawGas - 120_000n)
  })

  async function lastGas(): Promise<bigint> {
    const [slot] = await fixture.database.db.query.slots.findMany({
      orderBy: (table, { desc }) => desc(table.nonce),
      limit: 1,
    })
    const receipt = await fixture.client.getTransactionReceipt({ hash: slot?.minedHash as Hex })
    return receipt.gasUsed
  }

  test.each([
    ['down', 'RELAYER_AGENT_UNAVAILABLE'],
    ['nonsense', 'RELAYER_AGENT_INVALID'],
    ['replay', 'TEE_REPORT_DATA_MISMATCH'],
    ['another machine', 'RELAYER_AGENT_DEVICE'],
  ])('a hook that is %s costs no gas, is asked again later, and recovers', async (mode, code) => {
    hook.mode = mode
    const kept = keeper(hookAgent())
    await runRound(kept)
    expect(await row()).toMatchObject({ failures: 1, lastError: { code }, intentId: null })
    expect((await onChain()).provenAtBlock).toBe(0)

    hook.mode = 'honest'
    await fixture.pass(renewalPause(1) + 1)
    await runRound(kept)
    expect((await onChain()).expiresAt).toBeGreaterThan(fixture.clock())
  })

  test('a renewal with collateral that ends soon costs no gas and waits for newer collateral', async () => {
    const kept = keeper(hookAgent())
    await runRound(kept)
    const first = await onChain()
    await fixture.pass(first.expiresAt - fixture.clock() - 2 * day)
    await runRound(kept)
    expect(await row()).toMatchObject({ lastError: { code: 'RELAYER_COLLATERAL_NEAR_EXPIRY' } })
    expect((await onChain()).provenAtBlock).toBe(first.provenAtBlock)

    collateral = await issue()
    await fixture.pass(3_600)
    await runRound(kept)
    expect((await onChain()).expiresAt).toBeGreaterThan(first.expiresAt)
  })

  test('a renewal is done only when the host proof on-chain ends later', async () => {
    const kept = keeper(hookAgent())
    await runRound(kept)
    const first = await onChain()
    await fixture.pass(first.expiresAt - fixture.clock() - 2 * day)
    collateral = await issue()
    // Somebody else proves the machine under the DAO's shorter lifetime: newer, and ending no later.
    const target = targets().host
    const errand = {
      id: '1',
      key: '1',
      payload: {
        quote: '0x',
        deviceId: deviceId(),
        permit: { operator: operator.address, blockNumber: first.provenAtBlock },
        expiresAfter: first.expiresAt,
      },
    }
    const latest = await fixture.client.getBlockNumber()
    expect(await target.isDone(errand, fixture.client, latest)).toBe(false)
    const before = { ...errand, payload: { ...errand.payload, expiresAfter: first.expiresAt - 1 } }
    expect(await target.isDone(before, fixture.client, latest)).toBe(true)
  })

  test('a relayer with an empty database reads host proofs from the chain and renews nothing that is valid', async () => {
    const kept = { ...keeper(hookAgent()), rules: { ...rules, maxBaseFee: -1n } }
    await runRound(kept)
    const first = await onChain()
    expect(first.expiresAt).toBeGreaterThan(fixture.clock())

    await truncate(fixture.database)
    await insertHosts(kept)
    hook.asked.length = 0
    // The events are not read yet.
    await runRenewal(kept)
    expect(hook.asked).toEqual([])
    expect(await row()).toMatchObject({ expiresAt: null, failures: 0, intentId: null })
    expect((await row())?.notBefore).toBeGreaterThan(fixture.clock())
    expect(await readRenewalStatus(kept)).toMatchObject({ fresh: 0, lapsed: 0, unproven: 1 })

    await watchHosts(watched())
    expect(await readRenewalStatus(kept)).toMatchObject({ fresh: 1, lapsed: 0, unproven: 0 })
    expect(await row()).toMatchObject({ expiresAt: first.expiresAt })
  })

  test('a relayer with an empty database stores no second verification record of a platform', async () => {
    const kept = { ...keeper(hookAgent()), usesRecords: true }
    await runRound(kept)
    await fixture.drain(targets())
    const first = await onChain()
    await fixture.empty()
    await insertHosts(kept)
    await fixture.pass(first.expiresAt - fixture.clock() - 2 * day)
    collateral = await issue()

    // Renewed and final before the events are read.
    await runRenewal(kept)
    await fixture.pass(1)
    await fixture.drain(targets())
    await runRenewal(kept)
    expect(await row()).toMatchObject({ intentId: expect.any(String) })
    await watchHosts(watched())
    await runRenewal(kept)

    expect(await row()).toMatchObject({ intentId: null, record: expect.any(String) })
    const records = await fixture.database.db.query.intents.findMany({
      where: (table, { eq: is }) => is(table.kind, 'record'),
    })
    expect(records).toEqual([])
  })

  test('a verification record is found without a search for events, whose range RPC services limit', async () => {
    const before = await fixture.client.getBlockNumber()
    const kept = { ...keeper(hookAgent()), usesRecords: true }
    await runRound(kept)
    const noSearch = createPublicClient({
      transport: custom({
        request: ({ method, params }: { method: string; params: unknown }) => {
          if (method === 'eth_getLogs')
            throw new Error('eth_getLogs is limited to a 10 block range')
          return fixture.client.request({ method, params } as never)
        },
      }),
      cacheTime: 0,
    })
    const quote = to0x(cvm.quote(new Uint8Array(64)))
    const intent = { id: '1', key: '1', payload: { quote, deviceId: deviceId() } }
    const { record } = targets()
    const isDone = (block: bigint, payload: object = {}) =>
      record.isDone({ ...intent, payload: { ...intent.payload, ...payload } }, noSearch, block)

    expect(await isDone(await fixture.client.getBlockNumber())).toBe(false)
    await fixture.drain(targets())
    const stored = await fixture.client.getBlockNumber()
    expect(await isDone(stored)).toBe(true)
    // an intent that an older relayer stored
    expect(await isDone(stored, { fromBlock: Number(before) })).toBe(true)
    // the verifier rejects a quote of another root: that is an answer and not an outage
    const stranger = createSimulator({ seed: new Uint8Array(32).fill(77), at: fixture.clock() })
    const foreign = stranger.createPlatform().createCvm({ image: createImage(), compose: '{}' })
    expect(await isDone(stored, { quote: to0x(foreign.quote(new Uint8Array(64))) })).toBe(false)
  })

  test('a host that was continued under a new device id is renewed with the agent of its old id', async () => {
    await runRound(keeper(hookAgent()))
    const first = await onChain()
    const oldId: Hex = `0x${'99'.repeat(32)}`
    const kept = { ...keeper(hookAgent()), usesRecords: false }
    const moved = {
      ...kept,
      renewedHosts: kept.renewedHosts.map((host) => ({ ...host, deviceId: oldId })),
    }
    await insertHosts(moved)
    await fixture.database.db
      .update(hosts)
      .set({ continuedAs: deviceId(), expiresAt: fixture.clock() - 1 })
      .where(eq(hosts.deviceId, oldId))
    await fixture.pass(first.expiresAt - fixture.clock() - 2 * day)
    collateral = await issue()

    await runRound(moved)

    expect((await onChain()).expiresAt).toBeGreaterThan(first.expiresAt)
    const [old] = await fixture.database.db.select().from(hosts).where(eq(hosts.deviceId, oldId))
    expect(old).toMatchObject({ failures: 0, intentId: null })
    // the old id is not an expired host
    expect(await readRenewalStatus(moved)).toMatchObject({ fresh: 1, lapsed: 0, failing: 0 })
  })

  test('a renewal waits at most an hour for events that are not read', async () => {
    const kept = { ...keeper(hookAgent()), usesRecords: true }
    await insertHosts(kept)
    await runRenewal(kept)
    await fixture.pass(1)
    await fixture.drain(targets())
    await runRenewal(kept)
    expect(await row()).toMatchObject({ intentId: expect.any(String) })
    await fixture.pass(3_600)
    await runRenewal(kept)
    expect(await row()).toMatchObject({ intentId: null })
  })

  test('two replicas ask the agent of one host only once', async () => {
    const kept = keeper(hookAgent())
    await insertHosts(kept)
    await fixture.pass(1)
    await Promise.all([runRenewal(kept), runRenewal(kept), runRenewal(kept)])
    expect(hook.asked.length).toBe(1)
  })

  test('the agent of a revoked host is not asked', async () => {
    const kept = keeper(hookAgent())
    await runRound(kept)
    const first = await onChain()
    await fixture.dao.decide(
      [revoke(fixture.addresses.hosts, 'host', [deviceId()])],
      'revoke a host',
    )
    await fixture.pass(first.expiresAt - fixture.clock() - 3_600)
    collateral = await issue()
    hook.asked.length = 0
    await runRound(kept)
    expect(hook.asked).toEqual([])
  })

  test('hosts that lose their TCB status in the announced recovery are listed until a new host proof', async () => {
    const old = fixture.simulator
      .createPlatform({
        name: 'old',
        sgx: { components: [...outdatedSvns.sgx, 0, 0, 0, 0, 0, 0, 0, 0] },
      })
      .createCvm({ image: createImage(), compose: '{}' })
    const levels = [...standardLevels.slice(0, 1), tcbLevel(outdatedSvns, '2025-06-01', 'UpToDate')]
    collateral = await issue({ tcbInfo: { levels }, issuedAt: fixture.clock() - 3_600 })
    await prove(cvm)
    await prove(old)
    await issue({ evaluationNumber: 21, issuedAt: fixture.clock() - 60 })
    // The standard number is the lower one: without Intel's list the highest held would count.
    const standard = await issue({ tcbInfo: { levels }, issuedAt: fixture.clock() - 30 })
    expect(standard).toBeDefined()
    await watchHosts(watched())
    await runRecovery(watched())

    const demoted = await listStatusLosses(watched())
    expect(demoted).toEqual([
      expect.objectContaining({
        deviceId: to0x(old.deviceId),
        status: 'UpToDate',
        earlyStatus: 'OutOfDate',
        earlyNumber: 21,
        earlyAdvisories: ['INTEL-SA-01079', 'INTEL-SA-01111'],
      }),
    ])
    expect((await listHosts(watched())).map(({ deviceId: id }) => id).sort()).toEqual(
      [to0x(old.deviceId), deviceId()].sort(),
    )
  })

  test('a proof whose certificate Intel revoked is recognized and ended on request', async () => {
    await prove(cvm)
    await watchHosts(watched())
    await runRecovery(watched())
    expect(await row()).toMatchObject({ isDead: false })

    await fixture.pass(2 * day)
    await issue({ issuedAt: fixture.clock() - 60, pckCrl: { revoked: [cvm.platform.pckSerial] } })
    await runRecovery(watched())
    const governor = fixture.addresses.governor.toLowerCase() as Hex
    const upkeep = { ...watched(), governor, registries: [] }
    const [due] = await listUpkeep(upkeep)
    expect(due).toEqual({
      task: 'end-proof',
      registry: watched().registry,
      deviceId: deviceId(),
    })
    expect(await runUpkeep(upkeep)).toBe(1)
    await fixture.drain({ upkeep: createUpkeepTarget(governor) })
    expect((await onChain()).expiresAt).toBeLessThanOrEqual(fixture.clock())

    await watchHosts(watched())
    expect(await listUpkeep(upkeep)).toEqual([])
  })

  /** A machine proves itself without the relayer. */
  async function prove(machine: SimulatedCvm): Promise<void> {
    const { walletClient } = fixture.dao.clients.stranger
    await fixture.pass(1)
    const block = await fixture.client.getBlock()
    const binding: HostBinding = {
      chainId: foundry.id,
      registry: fixture.addresses.hosts,
      operator: walletClient.account.address,
      block: { number: block.number, hash: block.hash },
    }
    await fixture.pass(1)
    const call = registerHost(
      fixture.addresses.hosts,
      machine.quote(hostReportData(binding)),
      block.number,
    )
    const hash = await walletClient.sendTransaction({
      to: call.to,
      data: call.data,
      gas: 3_000_000n,
    })
    const { status } = await fixture.client.waitForTransactionReceipt({ hash })
    expect(status).toBe('success')
  }
})

describe('the time of a renewal', () => {
  const deviceId: Hex = `0x${'11'.repeat(32)}`
  const proof = { expiresAt: 100 * day, counts: true }
  const cheap = 10n
  const dear = 10n ** 13n
  const at = (time: number, baseFee = cheap) =>
    decideRenewal(deviceId, proof, { at: time, baseFee }, rules)

  test('is not before the jitter of its host', () => {
    const decision = at(0)
    if (decision.do !== 'wait') throw new Error('renewed at once')
    expect(decision.until).toBeLessThanOrEqual(96 * day)
    expect(decision.until).toBeGreaterThan(95 * day)
    expect(at(decision.until - 1)).toEqual(decision)
    expect(at(decision.until)).toEqual({ do: 'renew', isUrgent: false })
  })
  test('differs between hosts by the jitter', () => {
    const starts = Array.from({ length: 200 }, (_, index) => {
      const id: Hex = `0x${index.toString(16).padStart(64, '0')}`
      const decision = decideRenewal(id, proof, { at: 0, baseFee: cheap }, rules)
      return decision.do === 'wait' ? decision.until : 0
    })
    expect(new Set(starts.map((start) => Math.floor(start / 3_600))).size).toBeGreaterThan(20)
  })
  test('is moved to wait for lower fees until it is urgent', () => {
    expect(at(97 * day, dear)).toEqual({ do: 'wait', until: 97 * day + 300 })
    expect(at(99 * day - 10, dear)).toEqual({ do: 'wait', until: 99 * day })
    expect(at(99 * day, dear)).toEqual({ do: 'renew', isUrgent: true })
  })
  test('is now if the proof does not count any more', () => {
    const lost = { ...proof, counts: false }
    for (const known of [lost, undefined]) {
      expect(decideRenewal(deviceId, known, { at: 0, baseFee: dear }, rules)).toEqual({
        do: 'renew',
        isUrgent: true,
      })
    }
  })
  test('depends on the fee up to the maximum and not above it', () => {
    expect(at(97 * day, rules.maxBaseFee)).toEqual({ do: 'renew', isUrgent: false })
    expect(at(97 * day, rules.maxBaseFee + 1n).do).toBe('wait')
  })
  test('is checked each hour for a host that needs nothing, with at most five hosts per second', () => {
    expect([1, 18_000, 18_001, 100_000].map(recheckAfter)).toEqual([3_600, 3_600, 3_601, 20_000])
  })
  test('is moved by up to an hour after failures', () => {
    expect([1, 2, 8, 30].map(renewalPause)).toEqual([30, 60, 3_600, 3_600])
  })
})
