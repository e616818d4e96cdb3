/** The whole path on an OP Stack chain, from the settings on: light client of L1, dispute game, L2 block, decision. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'

import { bootChainShape, initCheckpoint, openChain } from '../../../src/chain/boot/boot-config.ts'
import type { Network } from '../../../src/chain/consensus/network.ts'
import {
  type BeaconChain,
  createBeaconChain,
} from '../../../src/chain/consensus/simulator/beacon-chain.ts'
import { isAssentError } from '../../../src/errors/index.ts'
import { fromHex, to0x } from '../../../src/lib/bytes.ts'
import { findAnvil } from '../../anvil.ts'
import { bootOf, setStage, stage, strikeStage } from '../../kms/malicious-endpoints/fixture.ts'
import { forge, hex } from '../../kms/malicious-endpoints/modify-response.ts'
import {
  invent,
  l1Block,
  rollup,
  setRollup,
  settingsOf,
  strikeRollup,
} from '../../kms/malicious-endpoints/rollup-cases.ts'
import { type BeaconServer, serveBeacon } from '../consensus/beacon-server.ts'
import { smallNetwork } from '../consensus/networks.ts'

const absent = findAnvil() === undefined
const configSchema = z.strictObject(bootChainShape)
const [head, trustedSlot] = [110, 72]
const options = () => ({ clock: () => stage.now, checkpointKey: new Uint8Array(32).fill(3) })

let network: Network
let beacon: BeaconChain
const servers: BeaconServer[] = []
const folders: string[] = []

beforeAll(async () => {
  if (absent) return
  await setStage()
  await setRollup()
  network = {
    ...smallNetwork,
    chainId: 900,
    forks: smallNetwork.forks.map((fork) => ({ ...fork, epoch: fork.name === 'gloas' ? 100 : 0 })),
    genesisTime: stage.now - (head + 1) * smallNetwork.secondsPerSlot,
  }
  const { hash, number, stateRoot } = await l1Block(rollup.final.number)
  const block = {
    hash: fromHex(hash, 'hash', 32),
    number: BigInt(number),
    stateRoot: fromHex(stateRoot, 'root', 32),
  }
  beacon = createBeaconChain({ network, execution: () => block })
  servers.push(
    await serveBeacon({ chain: beacon, head }),
    await serveBeacon({ chain: beacon, head }),
  )
}, 120_000)
afterEach(() => {
  if (absent) return
  for (const liar of [...stage.kms.liars, ...rollup.l1Liars]) liar.lie = undefined
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()))
  await strikeRollup()
  await strikeStage()
  for (const folder of folders) rmSync(folder, { recursive: true })
})

/** Settings of a node whose L1 has a light client. */
function settings(
  changed: { readonly opStack?: object; readonly l1?: object; readonly view?: object } = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'assent-rollup-'))
  folders.push(folder)
  const { l1, ...opStack } = settingsOf({ contracts: rollup.honest })
  const consensus = {
    network,
    beaconApis: servers.map(({ endpoint }) => endpoint.name),
    trustedBlockRoot: to0x(beacon.root(trustedSlot)),
    storeFolder: join(folder, 'light-client'),
  }
  return {
    chainId: 31337,
    kmsContract: stage.chain.kmsAuth,
    finality: 'finalized',
    maxBlockAgeSeconds: 900,
    chainView: {
      endpoints: stage.kms.liars.map(({ url }) => url),
      quorum: 'l1',
      checkpointFolder: join(folder, 'checkpoint'),
      refreshSeconds: 1,
      pinnedCode: stage.chain.pinned,
      opStack: {
        ...opStack,
        ...changed.opStack,
        l1: { ...l1, quorum: 'light-client', consensus, ...changed.l1 },
      },
      ...changed.view,
    },
  }
}

async function decide(config: ReturnType<typeof settings>, guest: 'allowed' | 'withdrawn') {
  const view = openChain(configSchema.parse(config), options())
  try {
    const { allowed, evidence } = await view.authorize('isAppAllowed', await bootOf(guest))
    return { allowed, evidence }
  } catch (error) {
    if (!isAssentError(error)) throw error
    return { code: error.code }
  }
}

describe.skipIf(absent)('a node on an OP Stack chain, from its settings', () => {
  test('decides by the block that L1 proves, and remembers both blocks', async () => {
    const config = settings()
    await initCheckpoint(configSchema.parse(config), options())

    const { allowed, evidence } = await decide(config, 'allowed')
    expect(allowed).toBe(true)
    expect(evidence?.rollup).toMatchObject({ chainId: 900, blockHash: rollup.final.hash })
    expect(evidence?.rollup?.signatures?.length).toBeGreaterThan(0)
    expect(await decide(config, 'withdrawn')).toMatchObject({ allowed: false })
    const { checkpointFolder } = config.chainView
    expect(readdirSync(checkpointFolder).sort()).toEqual([expect.stringMatching(/^block-/), 'l1'])
    expect(readdirSync(join(checkpointFolder, 'l1'))).toEqual([expect.stringMatching(/^block-/)])
  })

  test('decides nothing without the checkpoint of L1', async () => {
    const config = settings()
    await initCheckpoint(configSchema.parse(config), options())
    rmSync(join(config.chainView.checkpointFolder, 'l1'), { recursive: true })

    expect(await decide(config, 'allowed')).toEqual({ code: 'CHAIN_CHECKPOINT_MISSING' })
  })

  test('releases nothing when all endpoints of both chains invent blocks', async () => {
    const config = settings()
    await initCheckpoint(configSchema.parse(config), options())
    const final = await l1Block(rollup.final.number)
    const forged = forge(final, {
      number: hex(rollup.final.number + 1n),
      stateRoot: `0x${'01'.repeat(32)}`,
    })
    for (const liar of rollup.l1Liars)
      liar.lie = (method) =>
        method === 'eth_getBlockByHash' || method === 'eth_getBlockByNumber' ? forged : undefined
    for (const liar of stage.kms.liars) liar.lie = invent

    expect(await decide(config, 'withdrawn')).toEqual({ code: 'CHAIN_NO_AGREEMENT' })
  })

  test('denies by newer blocks also when L1 proves the block', async () => {
    const config = settings({
      opStack: {
        anchorStateRegistry: rollup.behind.registry,
        disputeGameFactory: rollup.behind.factory,
      },
    })
    const asked = {
      ...config,
      chainView: { ...config.chainView, withdrawalCheck: 'deny-when-signed' },
    }
    const { clock } = options()
    const view = openChain(configSchema.parse(asked), { clock, checkpointKey: 'none-yet' })

    expect(await view.authorize('isAppAllowed', await bootOf('withdrawn'))).toMatchObject({
      allowed: false,
      refusedBy: 'unconfirmed-withdrawal',
    })
    const blind = {
      ...asked,
      chainView: { ...asked.chainView, withdrawalCheck: 'insecure-wait-until-final' },
    }
    const late = openChain(configSchema.parse(blind), { clock, checkpointKey: 'none-yet' })
    expect(await late.authorize('isAppAllowed', await bootOf('withdrawn'))).toMatchObject({
      allowed: true,
    })
  })
})

describe.skipIf(absent)('settings of an OP Stack chain are refused', () => {
  test.each<[what: string, changed: Parameters<typeof settings>[0], message: RegExp]>([
    ['a quorum by L1 without opStack', { view: { opStack: 'agreed' } }, /l1 needs opStack/],
    [
      'anchored without an air gap',
      { opStack: { finalityDelaySeconds: undefined } },
      /anchored needs it/,
    ],
    [
      'proposed without a time',
      { opStack: { level: 'proposed', minAgeSeconds: 0 } },
      /at least 60/,
    ],
    ['an L1 quorum above its endpoints', { l1: { quorum: 3 } }, /larger than the number/],
    [
      'a light client that is not configured',
      { l1: { consensus: undefined } },
      /light-client needs/,
    ],
    ['a light client in the wrong place', { view: { consensus: {} } }, /consensus/],
    ['an unknown layout', { opStack: { gameLayout: 'other' } }, /gameLayout/],
    [
      'an executed foreign app',
      { view: { foreignApps: 'insecure-execute' } },
      /needs an RPC quorum/,
    ],
    ['http to another machine', { l1: { endpoints: ['http://l1.example'] } }, /insecureRemoteHttp/],
  ])('%s', (_, changed, message) => {
    const parsed = configSchema.safeParse(settings(changed))

    expect(JSON.stringify(parsed.error?.issues)).toMatch(message)
  })

  test.each<[what: string, changed: object, view: object]>([
    ['another finality', { finality: 'safe' }, {}],
    ['a known rollup without opStack', { chainId: 8453 }, { opStack: undefined, quorum: 2 }],
  ])('%s', async (_, changed, view) => {
    const { chainView, ...config } = settings()
    const all = { ...config, ...changed, chainView: { ...chainView, ...view } }

    expect(() => openChain(configSchema.parse(all), options())).toThrow(/Configuration: /)
  })

  test('a light client of another chain', () => {
    const { chainView, ...config } = settings()
    const { opStack } = chainView
    const all = {
      ...config,
      chainView: { ...chainView, opStack: { ...opStack, l1: { ...opStack.l1, chainId: 901 } } },
    }

    expect(() => openChain(configSchema.parse(all), options())).toThrow(/is of chain 900, not 901/)
  })
})
