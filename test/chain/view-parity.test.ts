/** Decisions from proofs are equal to the answers of the contracts, on random histories of all their operations. */
import fc from 'fast-check'
import { network } from 'hardhat'
import {
  concat,
  decodeFunctionResult,
  type EIP1193Provider,
  encodeFunctionData,
  hexToBigInt,
  http,
  keccak256,
  sha256,
  toHex as toHexText,
} from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { inputs, isNightly, seed } from '../../scripts/test-effort.ts'
import { appAbi, kmsAuthAbi } from '../../src/chain/abi.ts'
import { kinds, noEnd } from '../../src/chain/approval.ts'
import {
  appDenialReason,
  type DenialReason,
  epochsOf,
  kmsDenialReason,
  reasons,
} from '../../src/chain/proven/boot-rules.ts'
import { blockSchema, readHeader } from '../../src/chain/proven/header.ts'
import { proofSchema, verifyProof } from '../../src/chain/proven/proof.ts'
import { gatherApp, gatherKms, gatherKmsAuth } from '../../src/chain/proven/read-boot-facts.ts'
import {
  createStateCache,
  openState,
  type ProofSource,
  type ProvenReads,
  type ProvenState,
} from '../../src/chain/proven/state.ts'
import { readStateOf } from '../../src/chain/rpc/state-reader.ts'
import {
  type BootExplanation,
  explainApp,
  explainKms,
  type KnownBoot,
} from '../../src/chain/why/explain-boot.ts'
import { fromHex, type Hex } from '../../src/lib/bytes.ts'
import {
  denialReasonAt,
  type EvaluatedEntry,
  epochsAt,
} from '../../src/log-verify/evaluate-entry.ts'
import { openEvidence } from '../../src/log-verify/evidence.ts'
import { NodePool } from '../../src/log-verify/trie.ts'
import { findAnvil, startAnvil } from '../anvil.ts'
import { compile, fakeKmsSource } from './fakes.ts'
import {
  appCall,
  bondsCall,
  deployRegistries,
  hostsCall,
  imagesCall,
  kmsCall,
  type Registries,
} from './registries.ts'

const id = (name: string): Hex => keccak256(toHexText(name))
let images: readonly Hex[]
let measurements: readonly Hex[]
let devices: readonly Hex[]
let releases: readonly Hex[]
const tcbStatuses = ['UpToDate', 'OutOfDate']

/** Two implementations of tries and headers; a night asks both. */
type NodeName = 'hardhat' | 'anvil'
const nodes: readonly NodeName[] = isNightly
  ? ['hardhat', 'anvil']
  : [findAnvil() ? 'anvil' : 'hardhat']

let provider: EIP1193Provider
/** Whether the node can execute a call at another time than its block's. */
let canChangeTime: boolean
let onChain: Registries
/** Two apps of ours, one of somebody else's code, one address without any. */
let apps: readonly Hex[]
let foreign: Hex
let fakeCode: Hex
let otherAppCode: Hex
let otherHosts: Hex

async function begin(node: NodeName): Promise<() => Promise<void>> {
  const { stop, ...started } = await startNode(node)
  provider = started.provider
  // the node of Hardhat takes no block overrides
  canChangeTime = node === 'anvil'
  onChain = await deployRegistries(provider, node)
  seen.clear()
  const { FakeKms, Empty } = compile(fakeKmsSource)
  if (!FakeKms || !Empty) throw new Error('the fakes did not compile')
  // the same contract at another address has other code: its own address is in it
  otherAppCode = await onChain.deploy('App')
  fakeCode = FakeKms.bytecode as Hex
  await openChapter(-1)
  otherHosts = await onChain.deployCode(Empty.bytecode as Hex)
  return stop
}

async function startNode(
  node: NodeName,
): Promise<{ provider: EIP1193Provider; stop: () => Promise<void> }> {
  if (node === 'hardhat') {
    const connection = await network.create()
    const { provider } = connection as unknown as { provider: EIP1193Provider }
    return { provider, stop: () => connection.close() }
  }
  const anvil = await startAnvil({ args: ['--chain-id', '31337'] })
  const { request } = http(anvil.url)({ retryCount: 0 })
  return { provider: { request } as unknown as EIP1193Provider, stop: () => anvil.stop() }
}

/* RANDOM HISTORIES */

/** Fresh ids and apps: in the long run everything gets revoked, and revoked things never come back. */
async function openChapter(chapter: number): Promise<void> {
  const names = (kind: string, count: number) =>
    Array.from({ length: count }, (_, index) => id(`${kind} ${chapter} ${index}`))
  // the last one is approved by chance only
  images = names('image', 3)
  edges = []
  measurements = names('kms', 2)
  devices = names('machine', 3)
  releases = names('release', 4)
  const own = [await onChain.createApp(), await onChain.createApp({ allowAnyDevice: true })]
  foreign = await onChain.deployCode(fakeCode)
  apps = [...own, foreign, `0x${(0xe0a0a00 + chapter).toString(16).padStart(40, '0')}`]
  // enough is approved for every later refusal to be the only one
  const { kmsAuth, hosts, send } = onChain
  for (const app of [foreign, apps[3]]) await send(kmsAuth, kmsCall('registerApp', [app]))
  await send(kmsAuth, kmsCall('setActivationDelay', [kinds.osImage, 0, noEnd]))
  await send(kmsAuth, kmsCall('addOsImageHash', [images[0]]))
  await send(kmsAuth, kmsCall('addKmsAggregatedMr', [measurements[0]]))
  await send(kmsAuth, kmsCall('setHosts', [hosts, noEnd]))
  await send(hosts, hostsCall('setRules', [rules(0), noEnd]))
  await send(hosts, hostsCall('setStatusAcceptedUntil', [1, 2 ** 39, noEnd]))
  for (const device of devices.slice(0, 2)) {
    await send(kmsAuth, kmsCall('addKmsDevice', [device]))
    for (const app of own) await send(app, appCall('addDevice', [device]))
  }
  for (const app of own) {
    for (const release of releases.slice(0, 3))
      await send(app, appCall('addComposeHash', [release]))
  }
  await send(kmsAuth, kmsCall('setImages', [onChain.images, noEnd]))
  // and each kind of refusal is met early in some chapter
  await send(kmsAuth, kmsCall('addOsImageHash', [images[1]]))
  await send(onChain.images, imagesCall('closeImages', [[images[1]]]))
  await send(own[1] as Hex, appCall('setRequireTcbUpToDate', [chapter % 2 === 0]))
  const soon = Number((await onChain.client.getBlock()).timestamp) + 600
  edges.push(soon)
  await send(own[0] as Hex, appCall('supersede', [2, soon, true]))
  await send(hosts, hostsCall('setBonds', [onChain.bonds, noEnd]))
  await send(onChain.bonds, bondsCall('setTerms', [1, 3_600, noEnd]))
  await send(onChain.bonds, bondsCall('deposit', [devices[0], 1]))
  await approve(hosts, kinds.host, devices[0] as Hex, 0, 0)
  await onChain.proveHost(devices[0] as Hex)
}

const chapterLength = 40

/** Numbers from which one operation is made. */
type Dice = readonly number[]

const zero: Hex = `0x${'00'.repeat(20)}`
const pick = <T>(list: readonly T[], die = 0): T => list[die % list.length] as T
/** Moments at which some answer changes. */
let edges: number[] = []
function later(now: number, die = 0): number {
  const time = die % 3 === 0 ? 0 : now + (die % 5000) - 500
  if (time > now + 1) edges.push(time)
  return time
}
/** A block at the next such moment, or a second before or after it. */
async function goToEdge(die = 0): Promise<void> {
  const now = Number((await onChain.client.getBlock()).timestamp)
  const edge = edges.sort((a, b) => a - b).find((time) => time > now + 1)
  if (edge === undefined) return
  await onChain.test.setNextBlockTimestamp({ timestamp: BigInt(edge + (die % 3) - 1) })
  await onChain.test.mine({ blocks: 1 })
  count('at an edge')
}

async function operate(dice: Dice): Promise<void> {
  const [which = 0, a = 0, b = 0, c = 0, d = 0] = dice
  const now = Number((await onChain.client.getBlock()).timestamp)
  const { kmsAuth, hosts, send } = onChain
  const registries = [kmsAuth, pick(apps.slice(0, 2), a), hosts]
  const target = pick(registries, b)
  const [kind, key] = subjectOf(target, a, c)
  const operations: (() => Promise<void>)[] = [
    () => approve(target, kind, key, later(now, c), later(now, d)),
    () => approve(target, kind, key, 0, 0),
    () => approve(target, kind, key, 0, now + 100 + (d % 3000)),
    () => send(target, kmsCall('withdraw', [kind, [key]])),
    () => send(target, kmsCall('suspend', [kind, [key]])),
    () => send(target, kmsCall('lift', [kind, [key], noEnd])),
    () => send(target, kmsCall('extend', [kind, [key], later(now, d), now + 60])),
    () => send(target, kmsCall('shorten', [kind, [key], later(now, d)])),
    // revoked things never come back, so this is rare
    () => (c % 6 === 0 ? send(target, kmsCall('revoke', [kind, [key]])) : Promise.resolve()),
    () => send(kmsAuth, kmsCall('registerApp', [pick(apps, c)])),
    () => send(kmsAuth, kmsCall('addOsImageHash', [pick(images, c)])),
    () => send(kmsAuth, kmsCall('addKmsAggregatedMr', [pick(measurements, c)])),
    () => send(kmsAuth, kmsCall('addKmsAggregatedMr', [pick(measurements, d)])),
    () => send(kmsAuth, kmsCall('addKmsDevice', [pick(devices, c)])),
    () => send(kmsAuth, kmsCall('addKmsDevice', [pick(devices, d)])),
    () => send(kmsAuth, kmsCall('setHosts', [pick([hosts, zero], c), noEnd])),
    () => send(kmsAuth, kmsCall('setGatewayAppId', ['g'.repeat(c % 80)])),
    () => send(kmsAuth, kmsCall('setActivationDelay', [c % 4, d % 300, noEnd])),
    () => send(pick(apps.slice(0, 2), a), appCall('addComposeHash', [pick(releases, c)])),
    () => send(pick(apps.slice(0, 2), a), appCall('addComposeHash', [pick(releases, d)])),
    () => send(pick(apps.slice(0, 2), a), appCall('addDevice', [pick(devices, c)])),
    () => send(pick(apps.slice(0, 2), a), appCall('setAllowAnyDevice', [c % 2 === 0])),
    () => send(pick(apps.slice(0, 2), a), appCall('setRequireTcbUpToDate', [c % 2 === 0])),
    () =>
      send(
        pick(apps.slice(0, 2), a),
        appCall('supersede', [1 + (c % 4), later(now, d), d % 2 === 0]),
      ),
    () => onChain.proveHost(pick(devices, a), 1 + (c % 3)),
    () => onChain.proveHost(pick(devices, c)),
    () => send(hosts, hostsCall('setStatusAcceptedUntil', [1 + (c % 3), later(now, d), noEnd])),
    () => send(hosts, hostsCall('setRules', [rules(c % 4 === 0 ? later(now, d) : 0), noEnd])),
    () => send(hosts, hostsCall('setBonds', [pick([onChain.bonds, zero], c), noEnd])),
    () => send(onChain.bonds, bondsCall('setTerms', [c % 3, 3_600, noEnd])),
    () => send(onChain.bonds, bondsCall('deposit', [pick(devices, c), 1 + (d % 2)])),
    () => send(onChain.bonds, bondsCall('unbond', [pick(devices, c), 1])),
    () => send(kmsAuth, kmsCall('setImages', [pick([onChain.images, zero], c), noEnd])),
    () => send(onChain.images, imagesCall('closeImages', [[pick(images, c)]])),
    () => send(onChain.images, imagesCall('openImages', [[pick(images, c)], noEnd])),
    () =>
      send(onChain.images, imagesCall('approveMeasurementSets', [[set(c, later(now, d))], noEnd])),
    () => send(onChain.images, imagesCall('withdraw', [kinds.measurements, [setId(c)]])),
    () => onChain.pass(1 + (d % 900)),
    () => onChain.pass(1),
    () => goToEdge(c),
    () => goToEdge(d),
    () => goToEdge(a),
  ]
  // what the contracts refuse to do is refused, and the history goes on
  await pick(operations, which)().catch(() => undefined)
}

function subjectOf(target: Hex, a: number, c: number): [number, Hex] {
  if (target === onChain.hosts) return [kinds.host, pick(devices, c)]
  if (target !== onChain.kmsAuth) {
    return a % 2 === 0 ? [kinds.release, pick(releases, c)] : [kinds.device, pick(devices, c)]
  }
  const appIds = apps.map((app): Hex => `0x${app.slice(2).padStart(64, '0')}`)
  const lists = [images, measurements, devices, appIds] as const
  return [a % 4, pick(lists[a % 4] ?? images, c)]
}

async function approve(to: Hex, kind: number, key: Hex, from: number, until: number) {
  const terms = [{ kind, id: key, activeFrom: from, expiresAt: until, evidence: '0x' }]
  await onChain.send(to, kmsCall('approve', [terms, 2 ** 39]))
}

const registers = [1, 2].map((byte): Hex => `0x${`0${byte}`.repeat(192)}`)
const systems = registers.map((each) => sha256(concat([each, `0x${'00'.repeat(32)}`])))

/** A set of measurements of some image. */
function set(die: number, expiresAt: number) {
  const osImageHash = pick(images, die)
  return {
    osImageHash,
    variant: 0,
    registers: registers[0],
    activeFrom: 0,
    expiresAt,
    evidence: '0x',
  }
}

function setId(die: number): Hex {
  const words = [pick(images, die), `0x${'00'.repeat(32)}`, systems[0]] as Hex[]
  return keccak256(concat(words))
}

function rules(attestedSince: number) {
  return {
    attestedSince,
    minLifetime: 0,
    maxLifetime: 86_400,
    window: 255,
    minEvaluationNumber: 0,
    isOpen: false,
    activationDelay: 0,
  }
}

/* BOTH ANSWERS */

const memory = createStateCache(2 ** 20)

async function proven(): Promise<{ state: ProvenState; at: number }> {
  const request = provider.request.bind(provider)
  const block = await request({ method: 'eth_getBlockByNumber', params: ['latest', false] })
  const header = readHeader(blockSchema.parse(block))
  const source: ProofSource = async ({ number, stateRoot }, address, slots) => {
    const params = [address, [...slots], `0x${number.toString(16)}`] as [Hex, Hex[], Hex]
    const answer = proofSchema.parse(await request({ method: 'eth_getProof', params }))
    return verifyProof(answer, { stateRoot, address, slots }, memory.nodes)
  }
  // one memory for all blocks: what was proven of an earlier one must not be taken for this one
  const state = openState(header, source, memory)
  // what the node takes for now in a call at that block: TIMESTAMP, returned by init code
  const { data } = await onChain.client.call({
    data: '0x425f5260205ff3',
    blockNumber: header.number,
  })
  return { state, at: Number(hexToBigInt(data ?? '0x0')) }
}

function bootOf([a = 0, b = 0, c = 0, d = 0, e = 0]: Dice) {
  return {
    appId: pick(apps, a),
    composeHash: pick(releases, b),
    instanceId: `0x${'00'.repeat(20)}` as Hex,
    deviceId: pick(devices, c),
    mrAggregated: pick(measurements, d),
    mrSystem: pick(systems, b + c),
    osImageHash: pick(images, e),
    tcbStatus: pick(tcbStatuses, d),
    advisoryIds: [],
  }
}

/** The same boot for the offline verifier of a release log: from the proofs alone, in separate code. */
function offline(
  question: EvaluatedEntry['question'],
  boot: ReturnType<typeof bootOf>,
  { header }: ProvenState,
  reading: ProvenReads,
): EvaluatedEntry {
  const pool = new NodePool()
  const nodes = reading.paths().flatMap((path) => path.map(([, node]) => node))
  for (const node of [header.rlp, ...nodes]) {
    pool.add(Buffer.from(fromHex(node, 'node')))
  }
  const evidence = {
    version: 2,
    chainId: 31337,
    kmsContract: onChain.kmsAuth,
    blockHash: header.hash,
    agreement: { required: 1, configured: 1, endpoints: ['a'] },
  }
  const logged = Object.entries(boot).map(([name, value]) => [
    name,
    typeof value === 'string' ? value.replace(/^0x/, '') : value,
  ])
  return {
    question,
    boot: Object.fromEntries(logged),
    state: openEvidence(evidence, pool),
    writtenAt: header.timestamp,
    pins: onChain.pinned,
  }
}

const seen = new Map<string, number>()
const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)

async function compare(dice: Dice, { state, at }: Awaited<ReturnType<typeof proven>>) {
  const boot = bootOf(dice)
  const registry = { kms: onChain.kmsAuth, pinned: onChain.pinned }
  const contract = {
    address: onChain.kmsAuth,
    abi: kmsAuthAbi,
    blockNumber: state.header.number,
  } as const
  const reading = state.read()
  const app = await gatherApp(reading, registry, boot)
  const refusal = appDenialReason(app.facts, boot.tcbStatus, at, 'refuse')
  const [allowed, reason] = await onChain.client.readContract({
    ...contract,
    functionName: 'isAppAllowed',
    args: [boot],
  })
  if (refusal === 'appForeign') {
    // only that app knows what it answers; up to it both agreed
    expect(boot.appId).toBe(foreign)
  } else {
    expect([refusal === undefined, refusal ? reasons[refusal] : '']).toEqual([allowed, reason])
  }
  count(`app: ${refusal ?? 'allowed'}`)
  const forApp = offline('app', boot, state, reading)
  expect(denialReasonAt(forApp, at)).toBe(refusal && reasons[refusal])

  const readingKms = state.read()
  const kms = await gatherKms(readingKms, registry, boot)
  const refusedKms = kmsDenialReason(kms.facts, boot.tcbStatus, at)
  expect([refusedKms === undefined, refusedKms ? reasons[refusedKms] : '']).toEqual(
    await onChain.client.readContract({ ...contract, functionName: 'isKmsAllowed', args: [boot] }),
  )
  count(`kms: ${refusedKms ?? 'allowed'}`)
  const forKms = offline('kms', boot, state, readingKms)
  expect(denialReasonAt(forKms, at)).toBe(refusedKms && reasons[refusedKms])

  const times = { block: at, now: at }
  const explained = await explainApp(reading, registry, boot, times)
  expectFirstDenial(explained, refusal)
  const explainedKms = await explainKms(readingKms, registry, boot, times)
  expectFirstDenial(explainedKms, refusedKms)
  await comparePartial(dice, boot, explained, { state, at })
  // a fifth of them, because each moment is a call
  if (canChangeTime && ((dice[1] ?? 0) % 5 === 0 || isNightly)) {
    // only a foreign app knows what it answers
    if (boot.appId !== foreign) await compareTimeline(explained, boot, 'isAppAllowed', state)
    await compareTimeline(explainedKms, boot, 'isKmsAllowed', state)
  }

  if (!apps.slice(0, 2).includes(boot.appId)) return
  const [write, read] = await onChain.client.readContract({
    address: boot.appId,
    abi: appAbi,
    functionName: 'epochsOf',
    args: [boot.composeHash],
    blockNumber: state.header.number,
  })
  expect(epochsOf(app.facts, at)).toEqual({ write, read })
  if (write > 0) expect(epochsAt(forApp, at)).toEqual({ write, read })
  if (write > read) count('epochs: migrating')
  if (write > 1) count('epochs: later')
}

/* THE EXPLANATION */

type Boot = ReturnType<typeof bootOf>

/** `assent app why` and `assent kms why` name the reason of the KMS. */
function expectFirstDenial(explained: BootExplanation, denial: DenialReason | undefined) {
  const first = explained.conditions.find(({ state }) => state === 'unmet')
  expect(first?.denial).toBe(denial)
  expect([explained.answer, explained.reason]).toEqual(
    denial === undefined ? ['allowed', ''] : ['denied', reasons[denial]],
  )
}

const optional = ['composeHash', 'deviceId', 'osImageHash', 'mrSystem', 'tcbStatus'] as const

/** A question that leaves something out may say unknown, and says nothing that the complete question contradicts. */
async function comparePartial(
  [a = 0, b = 0]: Dice,
  boot: Boot,
  complete: BootExplanation,
  { state, at }: Awaited<ReturnType<typeof proven>>,
) {
  const known = { appId: boot.appId } as KnownBoot & { appId: Hex }
  const kept = optional.filter((_, index) => ((a ^ b) >> index) & 1)
  Object.assign(known, Object.fromEntries(kept.map((name) => [name, boot[name]])))
  // sometimes through an endpoint, as the command reads it
  const isByEndpoint = a % 10 === 0
  const reader = isByEndpoint ? readStateOf(onChain.client, state.header.number) : state.read()
  const registry = { kms: onChain.kmsAuth, pinned: onChain.pinned }
  const partial = await explainApp(reader, registry, known, { block: at, now: at })
  for (const [index, { state }] of partial.conditions.entries()) {
    if (state !== 'unknown') expect(state).toBe(complete.conditions[index]?.state)
  }
  if (kept.length === optional.length) expect(partial.answer).toBe(complete.answer)
  if (partial.answer !== 'unknown') expect(partial.answer).toBe(complete.answer)
  count(`partial: ${partial.answer}`)
}

/** The timeline is what the contract answers at each of its moments, in the second before it, and at other times. */
async function compareTimeline(
  { timeline, at }: BootExplanation,
  boot: Boot,
  functionName: 'isAppAllowed' | 'isKmsAllowed',
  { header }: ProvenState,
) {
  const answerAt = async (time: number) => {
    const { data } = await onChain.client.call({
      to: onChain.kmsAuth,
      data: encodeFunctionData({ abi: kmsAuthAbi, functionName, args: [boot] }),
      blockNumber: header.number,
      blockOverrides: { time: BigInt(time) },
    })
    return decodeFunctionResult({ abi: kmsAuthAbi, functionName, data: data ?? '0x' })
  }
  const moments = timeline.slice(1).flatMap(({ from }) => [from - 1, from])
  const others = [...edges, ...[1, 3_601, 86_401, 92 * 86_400].map((later) => at + later)]
  for (const time of [...moments, ...others.filter((other) => other > at)]) {
    const expected = timeline.findLast(({ from }) => from <= time)
    expect(await answerAt(time)).toEqual([expected?.answer === 'allowed', expected?.reason])
  }
  for (const { answer } of timeline.slice(1)) count(`timeline: ${answer}`)
}

describe.each(nodes)('proven and answered, on %s', (node) => {
  let stop: () => Promise<void>
  beforeAll(async () => {
    stop = await begin(node)
  })
  afterAll(() => stop())

  // anvil takes about three times as long for one
  const steps = inputs(120, node === 'anvil' ? 1_000 : 3_000)
  const die = fc.nat({ max: 1_000_000 })
  const dice = fc.tuple(die, die, die, die, die)

  test(`agree after each of ${steps} random operations`, { timeout: 3_600_000 }, async () => {
    const history = fc.sample(fc.tuple(dice, fc.array(dice, { minLength: 6, maxLength: 6 })), {
      seed,
      numRuns: steps,
    })
    for (const [index, [operation, boots]] of history.entries()) {
      if (index % chapterLength === 0) await openChapter(index / chapterLength)
      await operate(operation)
      const now = await proven()
      for (const each of boots) await compare(each, now)
      const { gatewayAppId } = await gatherKmsAuth(now.state.read(), {
        kms: onChain.kmsAuth,
        pinned: onChain.pinned,
      })
      expect(gatewayAppId).toBe(
        await onChain.client.readContract({
          address: onChain.kmsAuth,
          abi: kmsAuthAbi,
          functionName: 'gatewayAppId',
          blockNumber: now.state.header.number,
        }),
      )
    }
    // a test of refusals that never meets one proves nothing
    const met = [...seen.keys()]
    const refusals = [
      'allowed',
      'appNotRegistered',
      'imageNotAllowed',
      'appHasNoCode',
      'appForeign',
    ]
    refusals.push('tcbNotUpToDate', 'releaseNotAllowed', 'deviceNotAllowed', 'hostNotRegistered')
    refusals.push('measurementsNotAllowed')
    expect(met).toEqual(expect.arrayContaining(refusals.map((name) => `app: ${name}`)))
    expect(met).toContain('at an edge')
    expect(met).toContain('kms: allowed')
    expect(met).toContain('kms: hostNotRegistered')
    expect(met).toContain('epochs: migrating')
    expect(met).toContain('epochs: later')
    expect(met).toEqual(expect.arrayContaining(['partial: unknown', 'partial: denied']))
    if (canChangeTime) {
      expect(met).toEqual(expect.arrayContaining(['timeline: allowed', 'timeline: denied']))
    }
  })

  test('an app upgraded to code that is not pinned is foreign from then on', async () => {
    const app = await onChain.createApp({ allowAnyDevice: true })
    const registry = { kms: onChain.kmsAuth, pinned: onChain.pinned }
    const boot = { ...bootOf([]), appId: app }
    const before = await gatherApp((await proven()).state.read(), registry, boot)
    await onChain.send(app, appCall('upgradeToAndCall', [otherAppCode, '0x']))
    const after = await gatherApp((await proven()).state.read(), registry, boot)

    expect(before.facts.contract).toMatchObject({ rules: { allowAnyDevice: true } })
    expect(after.facts.contract).toBe('foreign')
  })

  test('a registry of hosts with code that is not pinned says nothing', async () => {
    await onChain.send(onChain.kmsAuth, kmsCall('setHosts', [otherHosts, noEnd]))
    const registry = { kms: onChain.kmsAuth, pinned: onChain.pinned }

    await expect(
      gatherApp((await proven()).state.read(), registry, bootOf([])),
    ).rejects.toMatchObject({ code: 'CHAIN_CONTRACT_UNKNOWN' })
  })

  test('neither does a KmsAuth with code that is not pinned, or none', async () => {
    const { state } = await proven()
    const others = { ...onChain.pinned, kmsAuth: onChain.pinned.app }

    await expect(
      gatherKmsAuth(state.read(), { kms: onChain.kmsAuth, pinned: others }),
    ).rejects.toMatchObject({ code: 'CHAIN_CONTRACT_UNKNOWN' })
    await expect(
      gatherKmsAuth(state.read(), { kms: foreign, pinned: onChain.pinned }),
    ).rejects.toMatchObject({ code: 'CHAIN_CONTRACT_UNKNOWN' })
    await expect(
      gatherKmsAuth(state.read(), { kms: apps[3] as Hex, pinned: onChain.pinned }),
    ).rejects.toMatchObject({ code: 'CONTRACT_MISSING' })
  })
})
