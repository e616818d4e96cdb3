/** Everything that the demo runs: a chain, a DAO, a KMS, the webhook, the relayer. All on this machine. */
import { startAuth } from '../../src/auth/service.ts'
import type { BootAuthorizer } from '../../src/chain/boot.ts'
import { volatileCheckpoint } from '../../src/chain/proven/checkpoint.ts'
import { agreedHeaders } from '../../src/chain/proven/header-quorum.ts'
import { readPinnedCode } from '../../src/chain/proven/pinning.ts'
import { connectEndpoint } from '../../src/chain/proven/rpc-endpoint.ts'
import { openView } from '../../src/chain/proven/view.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { createLog } from '../../src/lib/log.ts'
import { createSimulator } from '../../src/tee/simulator/simulator.ts'
import { connectDevChain, type DevChain } from './chain.ts'
import { type Dao, foundDao, relayerAccount } from './dao.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { type DemoRelayer, startDemoRelayer } from './relayer.ts'

export interface World {
  readonly clock: Clock
  readonly chain: DevChain
  readonly dao: Dao
  readonly fleet: Fleet
  readonly relayer: DemoRelayer
  readonly auth: { readonly url: string }
  stop(): Promise<void>
}

/** Decisions from storage proofs. There is one node here, and so only one endpoint to vouch for its blocks. */
async function proveChain(
  { url, chain, client, clock }: DevChain,
  dao: Dao,
): Promise<BootAuthorizer> {
  const { kmsAuth, hosts } = dao.addresses
  const chainId = chain.id
  const endpoints = [connectEndpoint({ url, name: 'development', timeoutMs: 10_000 })]
  // a development chain has no reorgs to wait for
  const finality = { confirmations: 0 }
  return openView({
    chainId,
    kms: kmsAuth,
    pinned: await readPinnedCode(client, kmsAuth, { hosts }),
    source: agreedHeaders({ endpoints, required: 1, chainId, finality }),
    endpoints,
    required: 1,
    memory: volatileCheckpoint(),
    maxBlockAgeSeconds: 3_600,
    // days pass between two questions
    refreshSeconds: 0,
    withdrawals: 'deny-when-shown-by-one',
    foreignApps: 'refuse',
    clock,
  })
}

/** @param rpcUrl a development node whose clock can be moved: Hardhat's, anvil */
export async function createWorld(rpcUrl: string): Promise<World> {
  const chain = await connectDevChain(rpcUrl)
  const { clock } = chain
  const simulator = createSimulator({ at: clock() })
  const dao = await foundDao(chain, simulator.rootCertificate)
  const bootChain = await proveChain(chain, dao)
  const fleet = await startFleet({ simulator, chain: bootChain, clock })
  const relayer = await startDemoRelayer({
    chain,
    hosts: dao.addresses.hosts,
    collateral: fleet.collateral,
    root: simulator.rootCertificate,
    account: relayerAccount,
  })
  const auth = await startAuth({
    chain: bootChain,
    outageStatus: 503,
    acceptMissingTeeVariant: false,
    requestsPerMinute: 10_000,
    log: createLog({ service: 'auth', level: 'silent' }),
    host: '127.0.0.1',
    port: 0,
  })
  return {
    clock,
    chain,
    dao,
    fleet,
    relayer,
    auth,
    async stop() {
      await Promise.all([fleet.stop(), auth.stop(), relayer.stop()])
    },
  }
}
