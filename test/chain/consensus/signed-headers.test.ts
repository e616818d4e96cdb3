/** The whole path of a decision: beacon APIs, RPC endpoints, proofs. No set of endpoints can invent a block. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { approvalSlot } from '../../../src/chain/approval.ts'
import type { BootDecision, ChainEvent } from '../../../src/chain/boot/boot.ts'
import {
  bootChainShape,
  initCheckpoint,
  type OpenChainOptions,
  openChain,
} from '../../../src/chain/boot/boot-config.ts'
import type { ChainEvidence } from '../../../src/chain/boot/evidence.ts'
import type { Network } from '../../../src/chain/consensus/network.ts'
import { asAnswer } from '../../../src/chain/consensus/simulator/beacon-api.ts'
import {
  type BeaconChain,
  createBeaconChain,
  type ExecutionBlock,
} from '../../../src/chain/consensus/simulator/beacon-chain.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { type Entry, loggedBlock, loggedBoot } from '../../../src/kms/log/entry.ts'
import { deriveLogKey } from '../../../src/kms/log/key.ts'
import { storedEvidence } from '../../../src/kms/log/stored-evidence.ts'
import type { ReleaseLog } from '../../../src/kms/log/writer.ts'
import { fromHex, to0x, toHex } from '../../../src/lib/bytes.ts'
import { type LogFile, type LogReport, verifyLog } from '../../../src/log-verify/verify.ts'
import type { BootInfo } from '../../../src/quote/measurements/measure.ts'
import { begin, newLocation, rootKey } from '../../kms/log/log-fixture.ts'
import {
  approval,
  buildChain,
  genesisTime,
  type SyntheticChain,
  serveChain,
} from '../proven/synthetic.ts'
import { type BeaconServer, type Behaviour, sendJson, serveBeacon } from './beacon-server.ts'
import { smallNetwork } from './networks.ts'

const network: Network = {
  ...smallNetwork,
  secondsPerSlot: 12,
  genesisTime,
  // Fulu from the genesis on, Gloas from slot 96 on
  forks: smallNetwork.forks.map((fork) => ({ ...fork, epoch: fork.name === 'gloas' ? 12 : 0 })),
}
const slots = 200
/** From this block on the third app is withdrawn, and the fourth is approved. */
const change = 180
const configSchema = z.strictObject(bootChainShape)

let execution: SyntheticChain
/** Everything is approved there, too, and it is as long: an invention of endpoints that collude. */
let invented: SyntheticChain
let beacon: BeaconChain
const stopped: (() => Promise<unknown>)[] = []
const folders: string[] = []

function blockOf({ blocks }: SyntheticChain, slot: number): ExecutionBlock {
  const { json, number } = blocks[slot] as SyntheticChain['blocks'][number]
  return { hash: fromHex(json.hash, 'hash', 32), number, stateRoot: fromHex(json.stateRoot, 'r') }
}

beforeAll(async () => {
  execution = await buildChain({ apps: 4 })
  invented = await buildChain({ apps: 5 })
  const release = approvalSlot('release', execution.release)
  const [, , withdrawn = '0x', approved = '0x'] = execution.apps
  await execution.store(approved, release, 0n)
  for (let block = 1; block < slots; block++) {
    if (block === change) {
      await execution.store(withdrawn, release, 0n)
      await execution.store(approved, release, approval(1))
    }
    execution.mine()
    invented.mine()
  }
  beacon = createBeaconChain({ network, execution: (slot) => blockOf(execution, slot) })
})
afterEach(async () => {
  await Promise.all(stopped.splice(0).map((stop) => stop()))
})
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

interface Setting {
  readonly rpcs: readonly SyntheticChain[]
  readonly beacons?: readonly Behaviour[]
  readonly change?: object
  readonly hasLightClient?: boolean
  /** Changes `chainView`. */
  readonly view?: object
  /** Blocks by which the newest block that an endpoint names is behind. It serves all others by their hash. */
  readonly hidden?: number
  readonly trustedSlot?: number
  /** Changes the network of the settings. */
  readonly network?: Partial<Network>
}

/** A node whose endpoints show these chains, at slot 90. */
async function setUp(setting: Setting) {
  const { rpcs, beacons = [honest, honest], change = {}, hasLightClient = true } = setting
  const { hidden = 0 } = setting
  let shown = rpcs
  const view = { chain: beacon, head: 90 }
  let now = beacon.time(91)
  const endpoints = await Promise.all(
    rpcs.map((_, index) =>
      serveChain((method, params) => {
        const isNewest = method === 'eth_getBlockByNumber' && params[0] === 'latest'
        const head = { head: view.head - (isNewest ? hidden : 0), final: view.head - 12 }
        return (shown[index] as SyntheticChain).answer(method, params, head)
      }),
    ),
  )
  const apis: BeaconServer[] = await Promise.all(beacons.map((each) => serveBeacon(view, each)))
  stopped.push(...endpoints.map(({ stop }) => stop), ...apis.map(({ close }) => close))
  const folder = mkdtempSync(join(tmpdir(), 'assent-signed-'))
  folders.push(folder)
  const consensus = {
    network: { ...network, ...setting.network },
    beaconApis: apis.map(({ endpoint }) => endpoint.name),
    trustedBlockRoot: to0x(beacon.root(setting.trustedSlot ?? 72)),
    storeFolder: join(folder, 'light-client'),
  }
  const config = configSchema.parse({
    chainId: 31_337,
    kmsContract: execution.kmsAuth,
    finality: 'finalized',
    maxBlockAgeSeconds: 600,
    chainView: {
      endpoints: endpoints.map(({ url }) => url),
      quorum: 2,
      checkpointFolder: join(folder, 'checkpoint'),
      refreshSeconds: 1,
      pinnedCode: execution.pinned,
      ...(hasLightClient ? { consensus } : {}),
      ...setting.view,
    },
    ...change,
  })
  const options = { clock: () => now, checkpointKey: new Uint8Array(32).fill(3) }
  return {
    folder,
    apis,
    trustedBlockRoot: consensus.trustedBlockRoot,
    now: () => now,
    begin: () => initCheckpoint(config, options),
    open: (changed: Partial<OpenChainOptions> = {}) =>
      openChain(config, { ...options, ...changed }),
    show: (others: readonly SyntheticChain[]) => {
      shown = others
    },
    goTo: (head: number) => {
      view.head = head
      now = beacon.time(head + 1)
    },
  }
}

const honest: Behaviour = (_request, _response, answer) => answer()
const silent: Behaviour = (request) => void request.socket.destroy()

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'done'
  } catch (error) {
    if (isAssentError(error)) return error.code
    throw error
  }
}

describe('a node with a light client', () => {
  test('decides by the block that the validators finalized, before and after the Gloas fork', async () => {
    const node = await setUp({ rpcs: [execution, execution] })
    await node.begin()
    const boot = execution.boot(execution.apps[0] as `0x${string}`)
    for (const [head, block] of [
      [90, 72],
      [150, 128],
    ] as const) {
      node.goTo(head)
      const decision = await node.open().authorize('isAppAllowed', boot)
      expect(decision.allowed).toBe(true)
      expect(decision.block.number).toBe(BigInt(block))
      expect(decision.block.hash).toBe(execution.blocks[block]?.json.hash)
    }
    const names = readdirSync(join(node.folder, 'light-client'))
    expect(names.filter((name) => name.startsWith('store-'))).toEqual([
      expect.stringMatching(/^store-0+128-/),
    ])
  })

  test('does not accept a block that all RPC endpoints invent together', async () => {
    const node = await setUp({ rpcs: [execution, execution] })
    await node.begin()
    node.goTo(110)
    node.show([invented, invented])
    // approved in the invented chain alone
    const app = invented.apps[4] as `0x${string}`
    const asked = node.open().authorize('isAppAllowed', invented.boot(app))
    expect(await codeOf(asked)).toBe('CHAIN_NO_AGREEMENT')
    node.show([execution, execution])
    const decision = await node.open().authorize('isAppAllowed', execution.boot(app))
    expect(decision.allowed).toBe(false)
  })

  test('does not start with endpoints that invent a chain, while a node without a light client does', async () => {
    const node = await setUp({ rpcs: [invented, invented] })
    expect(await codeOf(node.begin())).toBe('CHAIN_NO_AGREEMENT')
    expect(readdirSync(node.folder)).toEqual([])
    const without = await setUp({ rpcs: [invented, invented], hasLightClient: false })
    expect(await codeOf(without.begin())).toBe('done')
  })

  test('does not accept the chain of other validators', async () => {
    const other = createBeaconChain({
      network,
      seed: 2,
      execution: (slot) => blockOf(invented, slot),
    })
    const lie: Behaviour = (request, response) => {
      const { url = '' } = request
      if (url.includes('finality')) sendJson(response, asAnswer(other.finalityUpdate(110)))
      else if (url.includes('optimistic')) {
        sendJson(response, asAnswer(other.optimisticUpdate(110)))
      } else sendJson(response, [asAnswer(other.update(110))])
    }
    const node = await setUp({ rpcs: [execution, execution], beacons: [honest, lie] })
    await node.begin()
    node.goTo(110)
    await node.apis[0]?.close()
    node.show([invented, invented])
    const app = invented.apps[4] as `0x${string}`
    const asked = node.open().authorize('isAppAllowed', invented.boot(app))
    expect(await codeOf(asked)).toBe('CONSENSUS_UNREACHABLE')
  })

  test('works if one beacon API answers', async () => {
    const node = await setUp({ rpcs: [execution, execution], beacons: [silent, honest, silent] })
    await node.begin()
    const boot = execution.boot(execution.apps[0] as `0x${string}`)
    expect((await node.open().authorize('isAppAllowed', boot)).allowed).toBe(true)
    await node.apis[1]?.close()
    expect(await codeOf(node.open().authorize('isAppAllowed', boot))).toBe('CONSENSUS_UNREACHABLE')
  })

  test('requires a store and does not create one by itself', async () => {
    const node = await setUp({ rpcs: [execution, execution] })
    const boot = execution.boot(execution.apps[0] as `0x${string}`)
    expect(await codeOf(node.open().authorize('isAppAllowed', boot))).toBe(
      'CHAIN_CHECKPOINT_MISSING',
    )
    await node.begin()
    rmSync(join(node.folder, 'light-client'), { recursive: true })
    expect(await codeOf(node.open().authorize('isAppAllowed', boot))).toBe(
      'CONSENSUS_STORE_MISSING',
    )
  })

  test.each<[string, object]>([
    ['of another chain', { chainId: 1 }],
    ['with blocks that are not final', { finality: 'safe' }],
  ])('does not start %s', async (_, change) => {
    const node = await setUp({ rpcs: [execution, execution], change })
    expect(() => node.open()).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })
})

const alone = { quorum: 'light-client' }

describe('with "quorum": "light-client"', () => {
  test('one RPC endpoint is enough', async () => {
    const node = await setUp({ rpcs: [execution], view: alone })
    await node.begin()
    const decision = await node.open().authorize('isAppAllowed', bootOf(execution, 0))
    expect(decision).toMatchObject({ allowed: true, block: { number: 72n } })
  })

  test('the only RPC endpoint cannot invent a block', async () => {
    const node = await setUp({ rpcs: [execution], view: alone })
    await node.begin()
    node.goTo(110)
    node.show([invented])
    const asked = node.open().authorize('isAppAllowed', bootOf(invented, 4))
    expect(await codeOf(asked)).toBe('CHAIN_NO_AGREEMENT')
  })

  test('an endpoint that serves another chain does not stop the others', async () => {
    const node = await setUp({ rpcs: [invented, execution, invented], view: alone })
    await node.begin()
    const decision = await node.open().authorize('isAppAllowed', bootOf(execution, 0))
    expect(decision).toMatchObject({ allowed: true, block: { number: 72n } })
  })
})

describe('the newest block that a sync committee signed', () => {
  /** The final block is 168, the signed one 190: between them is the change. */
  async function openAt190(view: object, rpcs: readonly SyntheticChain[] = [execution, execution]) {
    const node = await setUp({ rpcs, view, hidden: 22, trustedSlot: 128 })
    node.goTo(190)
    await node.begin()
    return node.open()
  }

  test.each([[{}], [alone], [{ withdrawalCheck: 'deny-when-signed' }]])(
    'denies a withdrawal that RPC endpoints hide: %j',
    async (view) => {
      const opened = await openAt190(view)
      expect(await opened.authorize('isAppAllowed', bootOf(execution, 2))).toMatchObject({
        allowed: false,
        refusedBy: 'unconfirmed-withdrawal',
        block: { number: 190n },
      })
      expect(await opened.authorize('isAppAllowed', bootOf(execution, 0))).toMatchObject({
        allowed: true,
        block: { number: 168n },
      })
    },
  )

  test('allows nothing that the final block does not allow', async () => {
    const opened = await openAt190({})
    expect(await opened.authorize('isAppAllowed', bootOf(execution, 3))).toMatchObject({
      allowed: false,
      block: { number: 168n },
    })
  })

  test('is not used with insecure-wait-until-final', async () => {
    const opened = await openAt190({ withdrawalCheck: 'insecure-wait-until-final' })
    const decision = await opened.authorize('isAppAllowed', bootOf(execution, 2))
    expect(decision).toMatchObject({ allowed: true, block: { number: 168n } })
  })

  test('is the only reason for an early denial with deny-when-signed, so one endpoint cannot block boots', async () => {
    // the third shows, as its newest block, one of a chain on which nothing is approved
    const nothing = await buildChain({ apps: 0 })
    for (let block = 1; block < slots; block++) nothing.mine()
    const rpcs = [execution, execution, nothing]
    const boot = bootOf(execution, 0)
    const shown = await openAt190({}, rpcs)
    expect((await shown.authorize('isAppAllowed', boot)).allowed).toBe(false)
    const signed = await openAt190({ withdrawalCheck: 'deny-when-signed' }, rpcs)
    expect((await signed.authorize('isAppAllowed', boot)).allowed).toBe(true)
  })
})

describe('settings of the light client', () => {
  test.each<[string, object, string]>([
    ['light-client as quorum without one', { quorum: 'light-client' }, 'light-client needs'],
    ['deny-when-signed without one', { withdrawalCheck: 'deny-when-signed' }, 'deny-when-signed'],
  ])('refuse %s', async (_, view, why) => {
    await expect(
      setUp({ rpcs: [execution, execution], hasLightClient: false, view }),
    ).rejects.toThrow(why)
  })

  test('refuse foreign apps where no RPC quorum confirms their answers', async () => {
    const view = { quorum: 'light-client', foreignApps: 'insecure-execute' }
    await expect(setUp({ rpcs: [execution], view })).rejects.toThrow('needs an RPC quorum')
  })
})

test('a doctor continues from the store of its node and writes nothing', async () => {
  const short = { weakSubjectivityEpochs: 8 }
  const node = await setUp({ rpcs: [execution, execution], network: short })
  await node.begin()
  for (const head of [130, 150]) {
    node.goTo(head)
    await node.open().facts()
  }
  // now the trusted block root is too old, and the store is not
  node.goTo(190)
  const folder = join(node.folder, 'light-client')
  const before = readdirSync(folder)
  expect(await codeOf(node.open({ checkpointKey: 'none-yet' }).facts())).toBe(
    'CONSENSUS_HEADER_TOO_OLD',
  )
  const doctor = node.open({ readOnly: true })
  expect((await doctor.facts()).block.number).toBe(168n)
  expect((await doctor.facts()).block.number).toBe(168n)
  expect(readdirSync(folder)).toEqual(before)
})

test('a doctor of a node without a store begins at the trusted block root', async () => {
  const node = await setUp({ rpcs: [execution, execution] })
  expect((await node.open({ readOnly: true }).facts()).block.number).toBe(72n)
  expect(readdirSync(node.folder)).toEqual([])
})

test('an observer learns of the next fork, and of one that this version does not know', async () => {
  const epoch = 5_000
  const announce: Behaviour = (request, response, answer) => {
    if (!request.url?.includes('fork_schedule')) return answer()
    const fork = { current_version: '0x99000001', previous_version: '0x99000001' }
    sendJson(response, { data: [{ ...fork, epoch: String(epoch) }] })
  }
  const node = await setUp({ rpcs: [execution, execution], beacons: [honest, announce] })
  await node.begin()
  const events: ChainEvent[] = []
  const view = node.open()
  view.watch?.((event) => events.push(event))
  await vi.waitFor(
    async () => {
      await view.facts()
      expect(events.at(-1)).toMatchObject({
        consensus: {
          finalizedAt: beacon.time(72),
          nextForkAt: beacon.time(12 * 8),
          unknownForkAt: beacon.time(epoch * 8),
        },
      })
    },
    { timeout: 10_000, interval: 300 },
  )
})

describe('the release log of a node with a light client', () => {
  /** Decides at three final blocks, of which the last two are in the period after the first. */
  async function written() {
    const node = await setUp({ rpcs: [execution, execution] })
    await node.begin()
    const location = await newLocation({ clock: () => node.now(), segmentBytes: 20_000 })
    const log = await begin(location)
    for (const head of [90, 150, 190]) {
      node.goTo(head)
      const view = node.open()
      for (const app of [0, 1]) {
        const boot = { ...bootOf(execution, app), teeVariant: 'dstack-tdx' } as BootInfo
        const [own, decided] = await Promise.all([
          view.authorize('isKmsAllowed', boot),
          view.authorize('isAppAllowed', boot),
        ])
        await append(log, { kind: 'self' }, own, boot)
        const release = { kind: 'release', method: 'GetAppKey', epochs: decided.epochs ?? null }
        await append(log, release, decided, boot)
      }
    }
    await log.close()
    const names = readdirSync(location.folder).filter((name) => name.endsWith('.log'))
    const files = names.map((name) => ({
      name,
      content: readFileSync(join(location.folder, name)),
    }))
    return { files, trusted: node.trustedBlockRoot }
  }

  function append(log: ReleaseLog, entry: object, decision: BootDecision, boot: BootInfo) {
    const stored = storedEvidence(decision.evidence as ChainEvidence)
    const common = { quote: '00', boot: loggedBoot(boot), block: loggedBlock(decision.block) }
    return log.append({ ...entry, ...common, proof: stored.digest } as Entry, stored)
  }

  const { rootKey: key } = deriveLogKey(rootKey, 'kms-1').identity
  const verify = (files: readonly LogFile[], roots?: readonly string[]) =>
    verifyLog(files, {
      rootKey: toHex(key),
      chainId: 31_337,
      kmsContract: execution.kmsAuth,
      pins: execution.pinned,
      ...(roots ? { finality: { network, trustedBlockRoots: roots } } : {}),
    })

  const aboutSignatures = ({ unchecked, unprovable }: LogReport) =>
    [...unchecked, ...unprovable].filter((what) => /signatures|agreed/.test(what))

  test('proves offline that the validators finalized each block', async () => {
    const { files, trusted } = await written()
    expect(files.length).toBeGreaterThan(1)
    const report = verify(files, [trusted])
    expect(report).toMatchObject({ problems: [], signed: 12, signedUnchecked: 0 })
    expect(aboutSignatures(report)).toEqual([])
  })

  test('says what was not checked without a trusted block root, or without a network', async () => {
    const { files, trusted } = await written()
    const claimed = verify(files, [])
    expect(claimed).toMatchObject({ problems: [], signed: 12 })
    expect(aboutSignatures(claimed)).toEqual([expect.stringContaining(trusted)])
    const unknown = verify(files)
    expect(unknown).toMatchObject({ problems: [], signed: 0, signedUnchecked: 12 })
    expect(aboutSignatures(unknown)).toEqual([
      expect.stringContaining('agreed on a block'),
      expect.stringContaining('signatures for 12 key releases'),
    ])
  })

  test('is refused under another trusted block root', async () => {
    const { files } = await written()
    const report = verify(files, [`0x${'12'.repeat(32)}`])
    expect(report.problems.map(({ code }) => code)).toContain('SIGNATURES')
    expect(report.problems[0]?.what).toContain('which is not trusted')
    expect(report.signed).toBe(0)
  })

  test('is refused with the signatures of another block', async () => {
    const node = await setUp({ rpcs: [execution, execution] })
    await node.begin()
    const boot = { ...bootOf(execution, 0), teeVariant: 'dstack-tdx' } as BootInfo
    const older = await node.open().authorize('isKmsAllowed', boot)
    node.goTo(150)
    const newer = await node.open().authorize('isKmsAllowed', boot)
    const evidence = { ...older.evidence, signatures: newer.evidence?.signatures } as ChainEvidence
    const location = await newLocation({ clock: () => node.now() })
    const log = await begin(location)
    await append(log, { kind: 'self' }, { ...older, evidence }, boot)
    await log.close()
    const content = readFileSync(join(location.folder, '00000000.log'))
    const report = verify([{ name: '00000000.log', content }], [node.trustedBlockRoot])
    expect(report.problems).toMatchObject([
      { code: 'SIGNATURES', what: expect.stringContaining('which is another block') },
    ])
  })

  test('is read without signatures, which are missed only under a trusted block root', async () => {
    const node = await setUp({ rpcs: [execution, execution], hasLightClient: false })
    await node.begin()
    const location = await newLocation({ clock: () => node.now() })
    const log = await begin(location)
    const boot = { ...bootOf(execution, 0), teeVariant: 'dstack-tdx' } as BootInfo
    const own = await node.open().authorize('isKmsAllowed', boot)
    await append(log, { kind: 'self' }, own, boot)
    await log.close()
    const content = readFileSync(join(location.folder, '00000000.log'))
    const files = [{ name: '00000000.log', content }]
    const report = verify(files, [])
    expect(report).toMatchObject({ problems: [], signed: 0, proven: 1 })
    expect(aboutSignatures(report)).toEqual([
      expect.stringContaining('agreed on a block'),
      expect.stringContaining('the blocks of 1 releases: they have no signatures'),
    ])
    expect(verify(files, [node.trustedBlockRoot]).problems).toMatchObject([{ code: 'SIGNATURES' }])
  })
})

function bootOf(chain: SyntheticChain, app: number) {
  return chain.boot(chain.apps[app] as `0x${string}`)
}
