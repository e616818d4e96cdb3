/**
 * Beacon APIs that lie, together with RPC endpoints that collude, in front of a real KMS and a real webhook: not one key
 * is released.
 *
 * All RPC endpoints show an invented block, in which a withdrawn app is still approved, and all beacon APIs try to make
 * this block final.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { createLightClient, type LightClient } from '../../src/chain/consensus/light-client.ts'
import type { Network } from '../../src/chain/consensus/network.ts'
import { signedHeaders } from '../../src/chain/consensus/signed-headers.ts'
import {
  createBeaconChain,
  type ExecutionBlock,
} from '../../src/chain/consensus/simulator/beacon-chain.ts'
import { volatileStoreFolder } from '../../src/chain/consensus/store-folder.ts'
import { connectEndpoint } from '../../src/chain/proven/rpc-endpoint.ts'
import { isAssentError } from '../../src/errors/index.ts'
import { fromHex } from '../../src/lib/bytes.ts'
import { findAnvil } from '../anvil.ts'
import {
  type BeaconServer,
  type Behaviour,
  sendJson,
  serveBeacon,
} from '../chain/consensus/beacon-server.ts'
import { smallNetwork } from '../chain/consensus/networks.ts'
import type { Lie, Real } from '../chain/malicious-endpoint.ts'
import { type BeaconLie, beaconLies, head, type World } from './malicious-endpoints/beacon-cases.ts'
import {
  askKms,
  askWebhook,
  openStageView,
  type Reader,
  setStage,
  stage,
  strikeStage,
} from './malicious-endpoints/fixture.ts'
import { type Block, before, blockAt, forge, hex } from './malicious-endpoints/modify-response.ts'

const absent = findAnvil() === undefined
if (absent) console.warn('\n*** ANVIL ABSENT: the tests with lying beacon APIs are SKIPPED. ***\n')

const trustedSlot = 72
let network: Network
let world: World
let inventedBlock: Block
const servers: BeaconServer[] = []

beforeAll(async () => {
  if (absent) return
  await setStage()
  network = {
    ...smallNetwork,
    // Fulu from the genesis on, Gloas later
    forks: smallNetwork.forks.map((fork) => ({ ...fork, epoch: fork.name === 'gloas' ? 100 : 0 })),
    genesisTime: stage.now - (head + 1) * smallNetwork.secondsPerSlot,
  }
  const real: Real = async (method, params) => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    const response = await fetch(stage.anvil.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    return ((await response.json()) as { result: unknown }).result
  }
  const final = await blockAt(real, stage.final.number)
  inventedBlock = forge(await blockAt(real, before()), {
    number: hex(stage.final.number + 1n),
    timestamp: hex(BigInt(stage.final.timestamp)),
  })
  const options = { network }
  world = {
    honest: createBeaconChain({ ...options, execution: () => toExecution(final) }),
    invented: createBeaconChain({ ...options, execution: () => toExecution(inventedBlock) }),
    strangers: createBeaconChain({
      ...options,
      seed: 2,
      execution: () => toExecution(inventedBlock),
    }),
  }
}, 120_000)
afterAll(strikeStage)
afterEach(async () => {
  for (const { liars } of readers()) {
    for (const liar of liars) Object.assign(liar, { lie: undefined, liesSent: 0 })
  }
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

const readers = () => (absent ? [] : [stage.kms, stage.auth])

function toExecution({ hash, number, stateRoot }: Block): ExecutionBlock {
  return {
    hash: fromHex(hash, 'hash', 32),
    number: BigInt(number),
    stateRoot: fromHex(stateRoot, 'root', 32),
  }
}

/** Answers requests for it or for a newest block with the invented block, and with the state before the withdrawal. */
const invent: Lie = (method, params, real) => {
  const isAsked =
    (method === 'eth_getBlockByHash' && params[0] === inventedBlock.hash) ||
    (method === 'eth_getBlockByNumber' && params[0] === 'latest')
  if (isAsked) return inventedBlock
  if (method === 'eth_getProof') return real(method, [params[0], params[1], hex(before())])
  return undefined
}

/** Codes that the light client of a reader reported. */
interface Opened {
  readonly codes: string[]
}

/** A light client that began honestly and from then on hears `behave` from all its beacon APIs. */
async function open(reader: Reader, behave: Behaviour): Promise<Opened> {
  let isBegun = false
  const listen: Behaviour = (request, response, honest) =>
    isBegun ? behave(request, response, honest) : honest()
  const view = { chain: world.honest, head }
  const apis = await Promise.all([1, 2].map(() => serveBeacon(view, listen, 1_500)))
  servers.push(...apis)
  const codes: string[] = []
  const client = createLightClient({
    network,
    endpoints: apis.map(({ endpoint }) => endpoint),
    folder: volatileStoreFolder(),
    clock: () => stage.now,
    graceMs: 100,
  })
  await client.begin(world.honest.root(trustedSlot))
  isBegun = true
  const reporting: LightClient = {
    ...client,
    advance: async () => {
      try {
        const progress = await client.advance()
        codes.push(...progress.faults.map(({ code }) => code))
        return progress
      } catch (error) {
        if (isAssentError(error)) {
          const { found = [] } = error.facts as { found?: { code: string }[] }
          codes.push(error.code, ...found.map(({ code }) => code))
        }
        throw error
      }
    },
  }
  const endpoints = reader.liars.map(({ url }, index) =>
    connectEndpoint({ url, name: `${index + 1}`, timeoutMs: 1_000, maxBytes: 200_000 }),
  )
  const rules = { endpoints, required: 2, chainId: 31337, finality: 'finalized' } as const
  openStageView(reader, {
    endpoints: 3,
    changed: { source: signedHeaders(rules, reporting, { network, clock: () => stage.now }) },
  })
  return { codes }
}

const telling =
  ({ tell }: Pick<BeaconLie, 'tell'>): Behaviour =>
  ({ url = '' }, response) => {
    if (url.includes('finality_update')) tell(world, 'finalityUpdate', response)
    else if (url.includes('optimistic_update')) tell(world, 'optimisticUpdate', response)
    else if (url.includes('updates')) tell(world, 'update', response)
    else sendJson(response, {})
  }

function collude(): void {
  for (const { liars } of readers()) for (const liar of liars) liar.lie = invent
}

describe.skipIf(absent)('a KMS with a light client', () => {
  const honest: Behaviour = (_request, _response, answer) => answer()

  test('releases keys to an allowed boot, and denies a withdrawn one', async () => {
    for (const reader of readers()) await open(reader, honest)

    expect(await askKms('allowed')).toMatchObject({ status: 200 })
    expect(await askWebhook('allowed')).toMatchObject({ isAllowed: true })
    expect(await askKms('withdrawn')).toMatchObject({ status: 400, code: 'KMS_BOOT_DENIED' })
    expect(await askWebhook('withdrawn')).toMatchObject({ isAllowed: false, outcome: 'denied' })
  })

  test('releases no key when all RPC endpoints invent a block and the beacon APIs are honest', async () => {
    for (const reader of readers()) await open(reader, honest)
    collude()

    expect(await askKms('withdrawn')).toMatchObject({
      status: 400,
      code: expect.stringMatching(/^CHAIN_/),
    })
    expect(await askWebhook('withdrawn')).toMatchObject({ isAllowed: false, outcome: 'outage' })
  })

  // the assumption of this test: without it, the lies below would be refused for another reason
  test('believes two thirds of its sync committee', async () => {
    const tell: BeaconLie['tell'] = ({ invented }, kind, response) => {
      const { fork: version, data } = invented[kind](head)
      const json = { version, data: (data as { json: unknown }).json }
      sendJson(response, kind === 'update' ? [json] : json)
    }
    for (const reader of readers()) await open(reader, telling({ tell }))
    collude()

    expect(await askKms('withdrawn')).toMatchObject({ status: 200 })
    expect(await askWebhook('withdrawn')).toMatchObject({ isAllowed: true })
  })
})

describe.skipIf(absent)(`${beaconLies.length} lies of beacon APIs release no key`, () => {
  test.each(beaconLies)('$name', async (lie) => {
    const opened = await Promise.all(readers().map((reader) => open(reader, telling(lie))))
    collude()
    const [kms, webhook] = await Promise.all([askKms('withdrawn'), askWebhook('withdrawn')])

    expect(kms).toMatchObject({
      status: 400,
      code: expect.stringMatching(/^(CHAIN_|CONSENSUS_|KMS_BOOT_DENIED|KMS_SELF_DENIED)/),
    })
    expect(webhook).toMatchObject({ isAllowed: false })
    for (const { codes } of opened) {
      if (lie.code === 'nothing new') expect(codes).toEqual([])
      else expect(codes).toContain(lie.code)
    }
  })
})

describe.skipIf(absent)('lies about the bootstrap', () => {
  const begin = async (tell: (response: Parameters<Behaviour>[1]) => void, bound = 100) => {
    const server = await serveBeacon({ chain: world.honest, head }, (_request, response) =>
      tell(response),
    )
    servers.push(server)
    const client = createLightClient({
      network: { ...network, weakSubjectivityEpochs: bound },
      endpoints: [server.endpoint],
      folder: volatileStoreFolder(),
      clock: () => stage.now,
    })
    const error = await client.begin(world.honest.root(trustedSlot)).catch((cause) => cause)
    const { found = [] } = (error.facts ?? {}) as { found?: { code: string }[] }
    return [error.code, ...found.map(({ code }: { code: string }) => code)]
  }
  const bootstrapOf = (change: (json: Record<string, unknown>) => void) => {
    const { fork: version, data } = world.honest.bootstrap(trustedSlot)
    const json = structuredClone((data as { json: Record<string, unknown> }).json)
    change(json)
    return { version, data: json }
  }

  test.each<[string, string, () => object]>([
    [
      'of another block',
      'CONSENSUS_ROOT_MISMATCH',
      () => {
        const { fork: version, data } = world.honest.bootstrap(80)
        return { version, data: (data as { json: unknown }).json }
      },
    ],
    [
      'of another chain',
      'CONSENSUS_ROOT_MISMATCH',
      () => {
        const { fork: version, data } = world.strangers.bootstrap(trustedSlot)
        return { version, data: (data as { json: unknown }).json }
      },
    ],
    [
      'with a committee of strangers',
      'CONSENSUS_PROOF_INVALID',
      () => {
        const { data } = world.strangers.bootstrap(trustedSlot)
        const { current_sync_committee: committee } = (data as { json: Record<string, unknown> })
          .json
        return bootstrapOf((json) => Object.assign(json, { current_sync_committee: committee }))
      },
    ],
    [
      'with another branch',
      'CONSENSUS_PROOF_INVALID',
      () => bootstrapOf((json) => void (json.current_sync_committee_branch as string[]).reverse()),
    ],
  ])('are refused: one %s', async (_, code, make) => {
    expect(await begin((response) => sendJson(response, make()))).toContain(code)
  })

  test('are refused: a checkpoint beyond the weak subjectivity period', async () => {
    const stale = bootstrapOf(() => {})
    expect(await begin((response) => sendJson(response, stale), 3)).toEqual([
      'CONSENSUS_HEADER_TOO_OLD',
    ])
  })
})
