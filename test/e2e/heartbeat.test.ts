/** A heartbeat with everything real: anvil, a relayer on SQL, a KMS in a simulated CVM, and a guest that wants its key. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { createPublicClient, type EIP1193Provider, http, parseEther } from 'viem'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

import type { BootAuthorizer } from '../../src/chain/boot/boot.ts'
import {
  type BootChainConfig,
  bootChainShape,
  initCheckpoint,
  openChain,
} from '../../src/chain/boot/boot-config.ts'
import { type Hex, to0x } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import { type OpenDatabase, openDatabase } from '../../src/relayer/database/database.ts'
import { createHeartbeatTarget } from '../../src/relayer/heartbeat/post.ts'
import { type Relayer, startRelayer } from '../../src/relayer/service.ts'
import { createLocalSigner } from '../../src/relayer/signer/signer.ts'
import type { SimulatedCvm } from '../../src/tee/simulator/cvm.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { type Anvil, anvilKeys, startAnvil } from '../anvil.ts'
import { appCall, deployRegistries, kmsCall, type Registries } from '../chain/registries.ts'
import { askForKeys, mint } from '../kms/http-fixture.ts'
import { startNode } from '../kms/node-fixture.ts'

const token = 'token-of-the-kms'
const maxAgeSeconds = 12
const signer = createLocalSigner(anvilKeys[1])

let folder: string
let anvil: Anvil
let chain: Registries
let contract: Hex
let database: OpenDatabase
let relayer: Relayer | undefined
let node: Awaited<ReturnType<typeof startNode>>
let guest: SimulatedCvm

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assent-heartbeat-'))
  await writeFile(join(folder, 'token'), `${token}\n`)
  anvil = await startAnvil({ mining: 1, args: ['--chain-id', '31337', '--slots-in-an-epoch', '1'] })
  const { request } = http(anvil.url)({ retryCount: 0 })
  chain = await deployRegistries({ request } as unknown as EIP1193Provider, 'anvil')
  contract = await chain.deploy('Heartbeat')
  await anvil.client.setBalance({ address: signer.address, value: parseEther('1') })
  database = await openDatabase({ memory: true })
  await startTheRelayer()
  await startTheKms()
}, 60_000)

afterAll(async () => {
  await node?.stop()
  await relayer?.stop()
  await database?.close()
  await anvil?.stop()
  await rm(folder, { recursive: true })
})

/** On a port that stays the same, because the settings of the KMS name it. */
async function startTheRelayer(port = 0) {
  const key = { chainId: 31_337, account: signer.address }
  relayer = await startRelayer({
    chainId: 31_337,
    clients: [createPublicClient({ transport: http(anvil.url), cacheTime: 0 })],
    targets: { heartbeat: createHeartbeatTarget(contract, key, database.db) },
    signer,
    db: database.db,
    verifySubmission: () => Promise.reject(new Error('no quote here')),
    operators: [{ name: 'kms', tokenSha256: createHash('sha256').update(token).digest('hex') }],
    rateLimit: { perMinute: 60_000, burst: 10_000 },
    clock: systemClock,
    log: createLog({ service: 'test', level: 'silent' }),
    // posts more often than blocks become final for the KMS
    finality: { depth: 0 },
    pollMs: 100,
    port,
    jobs: {
      fromBlock: 0,
      span: 1,
      heartbeat: { contract, everySeconds: 1, noncesPerClient: 256 },
    },
  })
}

async function startTheKms() {
  const { kmsAuth, send } = chain
  const chainView = {
    endpoints: [anvil.url],
    quorum: 'insecure-single-endpoint',
    checkpointFolder: join(folder, 'checkpoint'),
    refreshSeconds: 1,
    pinnedCode: chain.pinned,
    heartbeat: {
      contract,
      relayers: [{ url: relayer?.url, poster: signer.address, tokenFile: join(folder, 'token') }],
      maxAgeSeconds,
    },
  }
  const config: BootChainConfig = {
    chainId: 31_337,
    kmsContract: kmsAuth,
    chainView: bootChainShape.chainView.parse(chainView),
    finality: 'finalized',
    // the clock would accept nothing: the heartbeat alone decides
    maxBlockAgeSeconds: 1,
    rpcTimeoutMs: 5_000,
  }
  // while it mines, anvil may answer with the proof of a neighbouring block
  await vi.waitFor(
    () => initCheckpoint({ ...config, maxBlockAgeSeconds: 3_600 }, { clock: systemClock }),
    { timeout: 20_000, interval: 250 },
  )
  const view: BootAuthorizer = openChain(config, { clock: systemClock })
  const simulator = createSimulator({ at: systemClock() })
  node = await startNode({
    simulator,
    clock: systemClock,
    view: () => view,
    chain,
    selfAuthorization: 'insecure-off',
  })
  const app = await chain.createApp({ allowAnyDevice: true })
  guest = node.boot(app, node.host)
  await send(kmsAuth, kmsCall('addOsImageHash', [to0x(node.image.osImageHash)]))
  await send(kmsAuth, kmsCall('setGatewayAppId', ['gateway']))
  await send(app, appCall('addComposeHash', [to0x(guest.composeHash)]))
}

async function askForTheKey() {
  const identity = await mint(node.keys, {
    attestation: (reportData) => guest.attestation(reportData),
  })
  const { status, code } = await askForKeys(node.kms, identity, guest.vmConfig)
  return status === 200 ? 'released' : code
}

const until = (answer: string) =>
  expect.poll(askForTheKey, { timeout: 40_000, interval: 250 }).toBe(answer)

test('a KMS releases keys while its nonces come back in final blocks', {
  timeout: 120_000,
}, async () => {
  await until('released')
  const port = Number(new URL(relayer?.url ?? '').port)

  // more than the bound passes, with posts that replace each other before they are final
  const end = Date.now() + (maxAgeSeconds + 4) * 1_000
  while (Date.now() < end) {
    expect(await askForTheKey()).toBe('released')
    await new Promise((wait) => setTimeout(wait, 500))
  }

  await relayer?.stop()
  relayer = undefined
  await until('CHAIN_VIEW_TOO_OLD')

  await startTheRelayer(port)
  await until('released')
})
