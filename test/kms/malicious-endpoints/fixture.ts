/**
 * Where the lies are told: a node, contracts on it, a KMS and a webhook that ask it through liars.
 *
 * One CVM may have keys; each of the others lacks exactly one thing.
 */
import { type EIP1193Provider, http } from 'viem'
import { type RunningAuth, startAuth } from '../../../src/auth/service.ts'
import { kinds, noEnd } from '../../../src/chain/approval.ts'
import type { BootAuthorizer } from '../../../src/chain/boot/boot.ts'
import { type BlockReference, volatileCheckpoint } from '../../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../../src/chain/proven/header-quorum.ts'
import { connectEndpoint } from '../../../src/chain/proven/rpc-endpoint.ts'
import { type ChainView, openView } from '../../../src/chain/proven/view.ts'
import type { ViewOptions } from '../../../src/chain/proven/view-context.ts'
import { verifyAttestation, verifyBoot } from '../../../src/kms/authorization/verify-attestation.ts'
import { attest } from '../../../src/kms/certificates/ratls.ts'
import { type Hex, to0x } from '../../../src/lib/bytes.ts'
import { createLog } from '../../../src/lib/log.ts'
import { type BootInfo, bootInfoToJson } from '../../../src/quote/measurements/measure.ts'
import type { SimulatedCvm } from '../../../src/tee/simulator/cvm.ts'
import { createSimulator } from '../../../src/tee/simulator/simulator.ts'
import { type Anvil, startAnvil } from '../../anvil.ts'
import { compile, fakeKmsSource } from '../../chain/fakes.ts'
import { type Liar, startLiar } from '../../chain/malicious-endpoint.ts'
import {
  appCall,
  deployRegistries,
  hostsCall,
  kmsCall,
  type Registries,
} from '../../chain/registries.ts'
import { askForKeys, mint } from '../http-fixture.ts'
import { startNode } from '../node-fixture.ts'

/** A client of endpoints, with three of its own. */
export interface Reader {
  readonly liars: readonly Liar[]
  view: ChainView
}

export type Guest = 'allowed' | 'withdrawn' | 'unproven' | 'foreign' | 'otherDevice' | 'upgraded'

interface Stage extends Record<Guest, SimulatedCvm> {
  anvil: Anvil
  chain: Registries
  node: Awaited<ReturnType<typeof startNode>>
  webhook: RunningAuth
  kms: Reader
  auth: Reader
  /** Tells the truth. */
  honest: Liar
  now: number
  /** Heights of final blocks: everything allowed, long ago; the same, a moment ago; the withdrawn is withdrawn. */
  longAgo: bigint
  before: bigint
  final: BlockReference
  /** Apps of those CVMs; the first accepts what the others do not. */
  lenient: Hex
  withdrawnApp: Hex
  strictApp: Hex
  foreignApp: Hex
  upgradedApp: Hex
  otherImplementation: Hex
  /** Which of a reader's liars is being asked. */
  asked: number
}

export const stage = {} as Stage

const maxBlockAgeSeconds = 900
const hour = 3600

export async function setStage(): Promise<void> {
  const anvil = await startAnvil({ args: ['--chain-id', '31337', '--slots-in-an-epoch', '1'] })
  const { request } = http(anvil.url)({ retryCount: 0 })
  const chain = await deployRegistries({ request } as unknown as EIP1193Provider, 'anvil')
  // nobody builds on the chain any more once the stage is set
  let known: Map<string, Promise<unknown>> | undefined
  const truths = () => known
  const reader = async () => ({
    liars: await Promise.all([1, 2, 3].map(() => startLiar(anvil.url, truths))),
    view: undefined as unknown as ChainView,
  })
  const [kms, auth, honest] = [await reader(), await reader(), await startLiar(anvil.url, truths)]
  Object.assign(stage, { anvil, chain, kms, auth, honest })
  stage.now = Number((await chain.client.getBlock()).timestamp) + 2 * hour
  const simulator = createSimulator({ at: stage.now })
  stage.node = await startNode({ simulator, clock: () => stage.now, view: () => kms.view, chain })
  stage.webhook = await startAuth({
    chain: through(auth),
    outageStatus: 503,
    acceptMissingTeeVariant: false,
    requestsPerMinute: 1_000_000,
    log: createLog({ service: 'auth', level: 'silent' }),
    host: '127.0.0.1',
    port: 0,
  })
  await build()
  known = new Map()
}

export async function strikeStage(): Promise<void> {
  const { node, webhook, kms, auth, honest, anvil } = stage
  await Promise.all([node?.stop(), webhook?.stop()])
  const liars = [...(kms?.liars ?? []), ...(auth?.liars ?? []), honest]
  await Promise.all(liars.map((liar) => liar?.stop()))
  await anvil?.stop()
}

/** Whatever the reader's view is when it is asked. */
function through(reader: Reader): BootAuthorizer {
  return {
    chainId: 31337,
    kms: stage.chain.kmsAuth,
    authorize: (...asked) => reader.view.authorize(...asked),
    facts: () => reader.view.facts(),
  }
}

async function build(): Promise<void> {
  const { chain, node } = stage
  const { host, stranger, image, boot } = node
  const { kmsAuth, hosts, send } = chain
  const device = to0x(host.deviceId)
  const [yes, gone, strict, changed] = [
    await chain.createApp({ allowAnyDevice: true }),
    await chain.createApp({ allowAnyDevice: true }),
    await chain.createApp(),
    await chain.createApp({ allowAnyDevice: true }),
  ]
  const { FakeKms } = compile(fakeKmsSource)
  const forever = await chain.deployCode(FakeKms?.bytecode as Hex)
  await send(kmsAuth, kmsCall('registerApp', [forever]))
  const [bootYes, bootGone] = [boot(yes, host), boot(gone, host)]
  Object.assign(stage, {
    allowed: bootYes,
    withdrawn: bootGone,
    unproven: boot(yes, stranger),
    foreign: boot(forever, host),
    otherDevice: boot(strict, host),
    upgraded: boot(changed, host),
    lenient: yes,
    withdrawnApp: gone,
    strictApp: strict,
    foreignApp: forever,
    upgradedApp: changed,
    // the same contract at another address has other code: its own address is in it
    otherImplementation: await chain.deploy('App'),
  })
  const own: BootInfo = await ownBoot()
  for (const hash of [own.osImageHash, image.osImageHash]) {
    await send(kmsAuth, kmsCall('addOsImageHash', [to0x(hash)]))
  }
  await send(kmsAuth, kmsCall('addKmsAggregatedMr', [to0x(own.mrAggregated)]))
  await send(kmsAuth, kmsCall('addKmsDevice', [device]))
  await send(kmsAuth, kmsCall('setHosts', [hosts, noEnd]))
  await send(kmsAuth, kmsCall('setGatewayAppId', ['a gateway whose name is longer than a word']))
  const terms = { kind: kinds.host, id: device, activeFrom: 0, expiresAt: 0, evidence: '0x' }
  await send(hosts, hostsCall('approve', [[terms], noEnd]))
  await chain.proveHost(device)
  const composeHash = to0x(bootYes.composeHash)
  for (const app of [yes, gone, strict, changed])
    await send(app, appCall('addComposeHash', [composeHash]))
  await send(yes, appCall('addDevice', [device]))

  const height = () => chain.client.getBlockNumber()
  stage.longAgo = await height()
  await chain.pass(2 * hour - 300)
  stage.before = await height()
  await send(gone, appCall('removeComposeHash', [composeHash]))
  await send(changed, appCall('upgradeToAndCall', [stage.otherImplementation, '0x']))
  await chain.test.mine({ blocks: 4 })
  const block = await chain.client.getBlock({ blockTag: 'finalized' })
  stage.final = { number: block.number, hash: block.hash, timestamp: Number(block.timestamp) }
  stage.now = Number((await chain.client.getBlock()).timestamp) + 5
}

async function ownBoot(): Promise<BootInfo> {
  const attestation = await attest(stage.node.own.source, new Uint8Array(64))
  return verifyBoot(
    await verifyAttestation(attestation, stage.node.rules),
    '',
    'full',
    stage.node.rules,
  ).bootInfo
}

/* ASKING */

export interface Configured {
  /** How many of the reader's endpoints are configured, and have to agree. */
  readonly endpoints: 1 | 3
  readonly fresh?: boolean | undefined
  readonly changed?: Partial<ViewOptions>
}

/** What a reader sees from now on, remembering the newest final block unless it is fresh. */
export function openStageView(reader: Reader, { endpoints: count, fresh, changed }: Configured) {
  const endpoints = reader.liars
    .slice(0, count)
    .map(({ url }, index) =>
      connectEndpoint({ url, name: `${index + 1}`, timeoutMs: 1_000, maxBytes: 200_000 }),
    )
  const required = count === 1 ? 1 : 2
  const rules = { endpoints, required, chainId: 31337, finality: 'finalized' } as const
  const memory = volatileCheckpoint()
  if (!fresh) void memory.write(stage.final)
  reader.view = openView({
    chainId: 31337,
    kms: stage.chain.kmsAuth,
    pinned: stage.chain.pinned,
    source: agreedHeaders(rules),
    endpoints,
    required,
    checkpoint: memory,
    maxBlockAgeSeconds,
    refreshSeconds: 60,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock: () => stage.now,
    ...changed,
  })
}

/** GetAppKey over RA-TLS, as a guest asks; the lies are about the chain, so one certificate does for all of them. */
export async function askKms(guest: Guest) {
  const cvm = stage[guest]
  return askForKeys(stage.node.kms, await identityOf(guest), cvm.vmConfig)
}

const identityOf = once((guest) =>
  mint(stage.node.keys, { attestation: (reportData) => stage[guest].attestation(reportData) }),
)

export const bootOf = once(async (guest) => {
  const { source, vmConfig } = stage[guest]
  const { rules } = stage.node
  const proven = await verifyAttestation(await attest(source, new Uint8Array(64)), rules)
  return verifyBoot(proven, vmConfig, 'full', rules).bootInfo
})

/** One result for each CVM. A stage that is set again has other CVMs under the same names. */
function once<T>(make: (guest: Guest) => Promise<T>): (guest: Guest) => Promise<T> {
  const known = new WeakMap<SimulatedCvm, Promise<T>>()
  return (guest) => {
    const made = known.get(stage[guest]) ?? make(guest)
    known.set(stage[guest], made)
    return made
  }
}

/** What a dstack KMS would post about the same guest. */
export async function askWebhook(guest: Guest) {
  const response = await fetch(`${stage.webhook.url}/bootAuth/app`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(bootInfoToJson(await bootOf(guest))),
  })
  const { isAllowed, reason } = (await response.json()) as { isAllowed: boolean; reason: string }
  const header = (name: string) => response.headers.get(name) ?? undefined
  return {
    status: response.status,
    isAllowed,
    reason,
    outcome: header('x-assent-outcome'),
    code: header('x-assent-error'),
  }
}
